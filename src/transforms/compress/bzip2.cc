// bunzip2 on libbz2.
#include <bzlib.h>
#include <fmt/format.h>

#include <new>

#include "transforms/compress/codec.h"
#include "transforms/compress/compress.h"

namespace checkvalve {
namespace {

class Bzip2Decompressor : public Codec {
public:
  ~Bzip2Decompressor() override { close(); }

  Result<CodecStep> step(std::span<const std::byte> in, std::span<std::byte> out, bool last) override {
    if (!open_) {
      if (last && any_stream_) return CodecStep{0, 0, true};
      if (last) return transform_failure("an empty file is not valid bzip2 data");
      if (in.empty()) return CodecStep{};
      stream_ = {};
      if (BZ2_bzDecompressInit(&stream_, 0, 0) != BZ_OK) throw std::bad_alloc();
      open_ = true;
    }
    stream_.next_in = reinterpret_cast<char*>(const_cast<std::byte*>(in.data()));
    stream_.avail_in = static_cast<unsigned>(in.size());
    stream_.next_out = reinterpret_cast<char*>(out.data());
    stream_.avail_out = static_cast<unsigned>(out.size());
    const int code = BZ2_bzDecompress(&stream_);
    const CodecStep done{in.size() - stream_.avail_in, out.size() - stream_.avail_out, false};
    taken_ += done.taken;
    if (code == BZ_MEM_ERROR) throw std::bad_alloc();
    if (code == BZ_STREAM_END) {
      close();
      any_stream_ = true;
    } else if (code != BZ_OK) {
      return transform_failure(fmt::format(
          "{} near byte {}",
          code == BZ_DATA_ERROR_MAGIC ? (any_stream_ ? "garbage after the end of the bzip2 data" : "not bzip2 data")
                                      : "damaged bzip2 data",
          taken_));
    } else if (last && done.made < out.size()) {
      return transform_failure(fmt::format("the bzip2 data is truncated at byte {}", taken_));
    }
    return done;
  }

private:
  void close() {
    if (open_) BZ2_bzDecompressEnd(&stream_);
    open_ = false;
  }

  bz_stream stream_{};
  bool open_ = false;
  bool any_stream_ = false;
  std::uint64_t taken_ = 0;
};

class Bunzip2 : public Transform {
public:
  explicit Bunzip2(ExpansionLimits limits) : limits_(limits) {}
  std::string rename(std::string_view name) const override {
    constexpr SuffixRule rules[] = {{".tbz2", ".tar"}, {".tbz", ".tar"}, {".bz2", ""}};
    return strip_suffix(name, rules);
  }
  std::uint64_t memory_bytes(std::optional<std::uint64_t>) const override {
    return 4 << 20;
  } // bzip2(1), MEMORY MANAGEMENT
  Result<std::unique_ptr<Stage>> start(const FileContext&) const override {
    return std::make_unique<CodecStage>(std::make_unique<Bzip2Decompressor>(), limits_);
  }

private:
  const ExpansionLimits limits_;
};

constexpr OptionSpec bunzip2_options[] = {max_ratio_option, max_size_option};

} // namespace

const TransformDescriptor bunzip2_transform = {
    .name = "bunzip2",
    .summary = "decompresses bzip2, including files of several streams",
    .renames = "removes .bz2; .tbz2 and .tbz become .tar",
    .options = bunzip2_options,
    .make = [](const OptionValues& options) -> Result<std::shared_ptr<const Transform>> {
      return std::make_shared<Bunzip2>(ExpansionLimits::read(options));
    },
};

} // namespace checkvalve
