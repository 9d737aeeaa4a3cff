// unxz on liblzma.
#include <fmt/format.h>
#include <lzma.h>

#include <new>

#include "core/units.h"
#include "transforms/compress/codec.h"
#include "transforms/compress/compress.h"

namespace checkvalve {
namespace {

class XzDecompressor : public Codec {
public:
  explicit XzDecompressor(std::uint64_t max_memory_bytes) {
    if (lzma_stream_decoder(&stream_, max_memory_bytes, LZMA_CONCATENATED) != LZMA_OK) throw std::bad_alloc();
  }
  ~XzDecompressor() override { lzma_end(&stream_); }

  Result<CodecStep> step(std::span<const std::byte> in, std::span<std::byte> out, bool last) override {
    stream_.next_in = reinterpret_cast<const std::uint8_t*>(in.data());
    stream_.avail_in = in.size();
    stream_.next_out = reinterpret_cast<std::uint8_t*>(out.data());
    stream_.avail_out = out.size();
    const lzma_ret code = lzma_code(&stream_, last ? LZMA_FINISH : LZMA_RUN);
    const CodecStep done{in.size() - stream_.avail_in, out.size() - stream_.avail_out, code == LZMA_STREAM_END};
    const std::uint64_t at = stream_.total_in;
    switch (code) {
    case LZMA_OK:
    case LZMA_STREAM_END: return done;
    case LZMA_BUF_ERROR:
      if (last && done.made < out.size())
        return transform_failure(fmt::format("the xz data is truncated at byte {}", at));
      return done;
    case LZMA_MEM_ERROR: throw std::bad_alloc();
    case LZMA_MEMLIMIT_ERROR:
      return transform_failure(fmt::format("needs {} of memory; allow it with max_memory={}MiB",
                                           format_size(lzma_memusage(&stream_)), (lzma_memusage(&stream_) >> 20) + 1));
    case LZMA_FORMAT_ERROR: return transform_failure(fmt::format("not xz data at byte {}", at));
    default: return transform_failure(fmt::format("damaged xz data near byte {}", at));
    }
  }

private:
  lzma_stream stream_ = LZMA_STREAM_INIT;
};

class Unxz : public Transform {
public:
  Unxz(ExpansionLimits limits, std::uint64_t max_memory_bytes) : limits_(limits), max_memory_bytes_(max_memory_bytes) {}
  std::string rename(std::string_view name) const override {
    constexpr SuffixRule rules[] = {{".txz", ".tar"}, {".xz", ""}};
    return strip_suffix(name, rules);
  }
  std::uint64_t memory_bytes(std::optional<std::uint64_t>) const override { return max_memory_bytes_; }
  Result<std::unique_ptr<Stage>> start(const FileContext&) const override {
    return std::make_unique<CodecStage>(std::make_unique<XzDecompressor>(max_memory_bytes_), limits_);
  }

private:
  const ExpansionLimits limits_;
  const std::uint64_t max_memory_bytes_;
};

constexpr OptionSpec unxz_options[] = {
    max_ratio_option,
    max_size_option,
    {"max_memory", OptionType::size, "10MiB",
     "maximum memory for each file in flight: 10MiB reads xz -6, 66MiB reads xz -9"},
};

} // namespace

const TransformDescriptor unxz_transform = {
    .name = "unxz",
    .summary = "decompresses xz, including files of several streams",
    .renames = "removes .xz; .txz becomes .tar",
    .options = unxz_options,
    .make = [](const OptionValues& options) -> Result<std::shared_ptr<const Transform>> {
      return std::make_shared<Unxz>(ExpansionLimits::read(options), options.number("max_memory"));
    },
};

} // namespace checkvalve
