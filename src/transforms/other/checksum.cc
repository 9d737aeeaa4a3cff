// checksum: passes bytes through and publishes their digest beside the file, as sha256sum(1) writes and checks it.
#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>
#include <new>

#include "core/path.h"
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

class ChecksumStage : public Stage {
public:
  ChecksumStage(const EVP_MD* kind, std::string name) : digest_(kind), name_(std::move(name)) {}
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
    // GNU coreutils: a name with a newline or a backslash is escaped, and the line begins with a backslash.
    std::string escaped;
    for (const char c : name_) escaped += c == '\n' ? "\\n" : c == '\\' ? "\\\\" : std::string(1, c);
    out.side(0, fmt::format("{}{}  {}\n", escaped == name_ ? "" : "\\", digest_.hex(), escaped));
    return true;
  }

private:
  Digest digest_;
  const std::string name_;
};

class Checksum : public Transform {
public:
  Checksum(const EVP_MD* kind, std::string suffix) : kind_(kind), suffix_(std::move(suffix)) {}
  bool keeps_size() const override { return true; }
  std::vector<std::string> side_suffixes() const override { return {suffix_}; }
  std::uint64_t memory_bytes(std::optional<std::uint64_t>) const override { return 4096; }
  Result<std::unique_ptr<Stage>> start(const FileContext& file) const override {
    return std::make_unique<ChecksumStage>(kind_, std::string(base_name(file.target_path)));
  }

private:
  const EVP_MD* kind_;
  const std::string suffix_;
};

constexpr OptionSpec checksum_options[] = {
    {"algorithm", OptionType::text, "sha256", "sha256, sha512, sha1 or md5"},
    {"suffix", OptionType::text, "", "what the side file's name ends with; else the algorithm: .sha256"},
};

} // namespace

const TransformDescriptor checksum_transform = {
    .name = "checksum",
    .summary = "publishes a digest of the bytes that pass in a file beside the target's (.sha256)",
    .options = checksum_options,
    .make = [](const OptionValues& options) -> Result<std::shared_ptr<const Transform>> {
      const std::string algorithm = options.text("algorithm");
      const EVP_MD* kind = nullptr;
      for (const char* known : {"sha256", "sha512", "sha1", "md5"})
        if (algorithm == known) kind = EVP_get_digestbyname(known);
      if (!kind)
        return option_failure(fmt::format("algorithm is '{}', but must be sha256, sha512, sha1 or md5", algorithm));
      const std::string suffix = options.has("suffix") ? options.text("suffix") : "." + algorithm;
      if (suffix.empty() || suffix.find('/') != suffix.npos) return option_failure("suffix must be text without '/'");
      return std::make_shared<Checksum>(kind, suffix);
    },
};

} // namespace checkvalve
