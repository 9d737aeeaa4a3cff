// checksum: passes bytes through and publishes their digest, beside the file or in a list of the target's files.
#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>
#include <new>

#include "core/path.h"
#include "transforms/checksum_line.h"
#include "transforms/other/other.h"

namespace checkvalve {
namespace {

class Digest {
public:
  explicit Digest(const EVP_MD* kind) : context_(EVP_MD_CTX_new()) {
    if (!context_ || EVP_DigestInit_ex(context_, kind, nullptr) != 1) throw std::bad_alloc();
  }
  ~Digest() { EVP_MD_CTX_free(context_); }
  Digest(const Digest&) = delete;
  Digest& operator=(const Digest&) = delete;
  void update(std::span<const std::byte> bytes) { EVP_DigestUpdate(context_, bytes.data(), bytes.size()); }
  std::string hex() {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    EVP_DigestFinal_ex(context_, digest, &size);
    std::string text;
    for (unsigned i = 0; i < size; ++i) text += fmt::format("{:02x}", digest[i]);
    return text;
  }

private:
  EVP_MD_CTX* context_;
};

struct Settings {
  const EVP_MD* kind = nullptr;
  std::string algorithm;
  std::string suffix; // of the side file; empty: none
  std::string list;   // empty: none
};

class ChecksumStage : public Stage {
public:
  ChecksumStage(const Settings& settings, std::string name)
      : settings_(settings), digest_(settings.kind), name_(std::move(name)) {}
  Result<void> push(Chunk& in, Emit& out) override {
    while (!in.empty() && !out.full()) {
      const std::size_t taken = std::min(in.size(), Emit::default_chunk_bytes);
      digest_.update(in.bytes().first(taken));
      if (taken == in.size()) {
        out.pass(std::move(in));
        in = Chunk();
      } else {
        out.write(in.bytes().first(taken));
        in.narrow(taken, in.size() - taken);
      }
    }
    return {};
  }
  Result<bool> finish(Emit& out) override {
    const std::string hex = digest_.hex();
    if (!settings_.suffix.empty()) out.side(0, checksum_line(hex, name_));
    if (!settings_.list.empty()) out.checksum(settings_.algorithm + ":" + hex);
    return true;
  }

private:
  const Settings& settings_;
  Digest digest_;
  const std::string name_;
};

class Checksum : public Transform {
public:
  explicit Checksum(Settings settings) : settings_(std::move(settings)) {}
  bool keeps_size() const override { return true; }
  std::vector<std::string> side_suffixes() const override {
    if (settings_.suffix.empty()) return {};
    return {settings_.suffix};
  }
  std::optional<ChecksumList> checksum_list() const override {
    if (settings_.list.empty()) return std::nullopt;
    return ChecksumList{settings_.list, settings_.algorithm};
  }
  std::uint64_t memory_bytes(std::optional<std::uint64_t>) const override { return 4096; }
  Result<std::unique_ptr<Stage>> start(const FileContext& file) const override {
    return std::make_unique<ChecksumStage>(settings_, std::string(base_name(file.target_path)));
  }

private:
  const Settings settings_;
};

constexpr OptionSpec checksum_options[] = {
    {"algorithm", OptionType::text, "sha256", "sha256, sha512, sha1 or md5"},
    {"suffix", OptionType::text, "",
     "suffix of the side file's name; default: the algorithm, such as .sha256. With list, a side file is written only "
     "if this is set"},
    {"list", OptionType::text, "",
     "name of one list in the target's root, such as SHA256SUMS, instead of a side file for each file"},
};

} // namespace

const TransformDescriptor checksum_transform = {
    .name = "checksum",
    .summary = "publishes a digest of the bytes that pass through: in a side file (.sha256), or in one list "
               "(SHA256SUMS)",
    .options = checksum_options,
    .make = [](const OptionValues& options) -> Result<std::shared_ptr<const Transform>> {
      Settings settings;
      settings.algorithm = options.text("algorithm");
      for (const char* known : {"sha256", "sha512", "sha1", "md5"})
        if (settings.algorithm == known) settings.kind = EVP_get_digestbyname(known);
      if (!settings.kind)
        return option_failure(
            fmt::format("invalid value '{}' for algorithm: expected sha256, sha512, sha1 or md5", settings.algorithm));
      settings.list = options.text("list");
      if (options.has("list"))
        if (auto ok = check_name(settings.list); !ok)
          return option_failure(
              fmt::format("list must be the name of a file in the target's root: {}", ok.error().message));
      if (options.has("suffix")) {
        settings.suffix = options.text("suffix");
        if (settings.suffix.empty() || settings.suffix.find('/') != settings.suffix.npos)
          return option_failure("suffix must be text without '/'");
      } else if (settings.list.empty()) {
        settings.suffix = "." + settings.algorithm;
      }
      return std::make_shared<Checksum>(std::move(settings));
    },
};

} // namespace checkvalve
