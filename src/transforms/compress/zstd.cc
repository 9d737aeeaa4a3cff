// zstd and unzstd (RFC 8878) on libzstd.
#define ZSTD_STATIC_LINKING_ONLY // for the estimates of memory
#include <fmt/format.h>
#include <zstd.h>
#include <zstd_errors.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <new>

#include "core/units.h"
#include "transforms/compress/codec.h"
#include "transforms/compress/compress.h"

namespace checkvalve {
namespace {

constexpr int last_fast_level = 12; // above it, starting a job takes as long as its compression

struct ZstdSettings {
  int level = 3;
  std::optional<int> threads; // nullopt: chosen by file size

  // A thread of its own keeps a large file's compression going while bytes come and go, and works on whole jobs, which
  // takes less time than the same bytes as a stream. A small file is done before that pays.
  int threads_for(std::optional<std::uint64_t> size_bytes) const {
    constexpr std::uint64_t large_bytes = 32 << 20;
    if (threads) return *threads;
    return level <= last_fast_level && size_bytes && *size_bytes >= large_bytes ? 1 : 0;
  }
  ZSTD_compressionParameters parameters(std::optional<std::uint64_t> size_bytes) const {
    return ZSTD_getCParams(level, size_bytes.value_or(ZSTD_CONTENTSIZE_UNKNOWN), 0);
  }
  // Of what a thread compresses at once. libzstd's own choice, four windows, takes four times the memory for the same
  // speed and size.
  std::uint64_t job_bytes(const ZSTD_compressionParameters& parameters) const {
    const std::uint64_t window = 1ULL << parameters.windowLog;
    return level <= last_fast_level ? std::max<std::uint64_t>(window, 1 << 20) : 4 * window;
  }
};

class ZstdCompressor : public Codec {
public:
  ZstdCompressor(const ZstdSettings& settings, std::optional<std::uint64_t> size_bytes) : context_(ZSTD_createCCtx()) {
    if (!context_) throw std::bad_alloc();
    ZSTD_CCtx_setParameter(context_, ZSTD_c_compressionLevel, settings.level);
    ZSTD_CCtx_setParameter(context_, ZSTD_c_checksumFlag, 1);
    const int threads = settings.threads_for(size_bytes);
    ZSTD_CCtx_setParameter(context_, ZSTD_c_nbWorkers, threads);
    if (threads != 0)
      ZSTD_CCtx_setParameter(context_, ZSTD_c_jobSize,
                             static_cast<int>(settings.job_bytes(settings.parameters(size_bytes))));
    if (size_bytes) ZSTD_CCtx_setPledgedSrcSize(context_, *size_bytes);
  }
  ~ZstdCompressor() override { ZSTD_freeCCtx(context_); }

  Result<CodecStep> step(std::span<const std::byte> in, std::span<std::byte> out, bool last) override {
    ZSTD_inBuffer input{in.data(), in.size(), 0};
    ZSTD_outBuffer output{out.data(), out.size(), 0};
    const std::size_t left = ZSTD_compressStream2(context_, &output, &input, last ? ZSTD_e_end : ZSTD_e_continue);
    if (ZSTD_isError(left)) return transform_failure(ZSTD_getErrorName(left));
    return CodecStep{input.pos, output.pos, last && left == 0};
  }

private:
  ZSTD_CCtx* context_;
};

class ZstdDecompressor : public Codec {
public:
  explicit ZstdDecompressor(std::uint64_t max_window_bytes)
      : context_(ZSTD_createDCtx()), max_window_bytes_(max_window_bytes) {
    if (!context_) throw std::bad_alloc();
    ZSTD_DCtx_setParameter(context_, ZSTD_d_windowLogMax, static_cast<int>(std::bit_width(max_window_bytes)) - 1);
  }
  ~ZstdDecompressor() override { ZSTD_freeDCtx(context_); }

  Result<CodecStep> step(std::span<const std::byte> in, std::span<std::byte> out, bool last) override {
    if (last && frame_ended_) return CodecStep{0, 0, true};
    if (frame_ended_ && in.empty()) return CodecStep{}; // a further call would begin a frame
    ZSTD_inBuffer input{in.data(), in.size(), 0};
    ZSTD_outBuffer output{out.data(), out.size(), 0};
    const std::size_t left = ZSTD_decompressStream(context_, &output, &input);
    if (ZSTD_isError(left)) return refusal(left);
    taken_ += input.pos;
    frame_ended_ = left == 0;
    if (last && left != 0 && output.pos < output.size)
      return transform_failure(fmt::format("the zstd data is truncated at byte {}", taken_));
    return CodecStep{input.pos, output.pos, false};
  }

private:
  Failure refusal(std::size_t code) const {
    if (ZSTD_getErrorCode(code) == ZSTD_error_frameParameter_windowTooLarge)
      return transform_failure(
          fmt::format("the frame near byte {} needs a window larger than max_window={}; allow it with "
                      "max_window=128MiB, which costs as much memory for each file",
                      taken_, format_size(max_window_bytes_)));
    return transform_failure(fmt::format("invalid zstd data near byte {}: {}", taken_, ZSTD_getErrorName(code)));
  }

  ZSTD_DCtx* context_;
  const std::uint64_t max_window_bytes_;
  std::uint64_t taken_ = 0;
  bool frame_ended_ = false; // also false before the first frame: an empty file is not valid zstd data
};

class Zstd : public Transform {
public:
  explicit Zstd(ZstdSettings settings) : settings_(settings) {}
  std::string rename(std::string_view name) const override { return std::string(name) + ".zst"; }
  std::uint64_t memory_bytes(std::optional<std::uint64_t> size_bytes) const override {
    const ZSTD_compressionParameters parameters = settings_.parameters(size_bytes);
    const std::uint64_t one = ZSTD_estimateCStreamSize_usingCParams(parameters);
    const auto threads = static_cast<std::uint64_t>(settings_.threads_for(size_bytes));
    if (threads == 0) return one;
    // The input of a job for each thread and of three that are gathered or done; the streams' share covers the output.
    return (threads + 1) * one + (threads + 3) * settings_.job_bytes(parameters);
  }
  Result<std::unique_ptr<Stage>> start(const FileContext& file) const override {
    return std::make_unique<CodecStage>(std::make_unique<ZstdCompressor>(settings_, file.size_bytes),
                                        ExpansionLimits{});
  }

private:
  const ZstdSettings settings_;
};

class Unzstd : public Transform {
public:
  Unzstd(ExpansionLimits limits, std::uint64_t max_window_bytes)
      : limits_(limits), max_window_bytes_(max_window_bytes) {}
  std::string rename(std::string_view name) const override {
    constexpr SuffixRule rules[] = {{".tzst", ".tar"}, {".zst", ""}};
    return strip_suffix(name, rules);
  }
  std::uint64_t memory_bytes(std::optional<std::uint64_t>) const override {
    return ZSTD_estimateDStreamSize(max_window_bytes_);
  }
  Result<std::unique_ptr<Stage>> start(const FileContext&) const override {
    return std::make_unique<CodecStage>(std::make_unique<ZstdDecompressor>(max_window_bytes_), limits_);
  }

private:
  const ExpansionLimits limits_;
  const std::uint64_t max_window_bytes_;
};

constexpr OptionSpec zstd_options[] = {
    {"level", OptionType::integer, "3", "1 (fast) to 19 (small, 90 MiB of memory for each file)"},
    {"threads", OptionType::text, "auto",
     "additional threads for each file, 0 to 64; auto: one for files from 32 MiB, up to level 12"},
};
constexpr OptionSpec unzstd_options[] = {
    max_ratio_option,
    max_size_option,
    {"max_window", OptionType::size, "8MiB",
     "maximum window size, a power of two; each file in flight uses as much memory"},
};

} // namespace

const TransformDescriptor zstd_transform = {
    .name = "zstd",
    .summary = "compresses to zstd, with a checksum",
    .renames = "adds .zst",
    .options = zstd_options,
    .make = [](const OptionValues& options) -> Result<std::shared_ptr<const Transform>> {
      const std::uint64_t level = options.number("level");
      if (level < 1 || level > 19) return option_failure("level must be between 1 and 19");
      ZstdSettings settings{static_cast<int>(level), std::nullopt};
      if (const std::string text = options.text("threads"); text != "auto") {
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), settings.threads.emplace());
        if (error != std::errc() || end != text.data() + text.size() || *settings.threads < 0 || *settings.threads > 64)
          return option_failure(
              fmt::format("invalid value '{}' for threads: expected auto or an integer from 0 to 64", text));
      }
      return std::make_shared<Zstd>(settings);
    },
};

const TransformDescriptor unzstd_transform = {
    .name = "unzstd",
    .summary = "decompresses zstd, including files of several frames",
    .renames = "removes .zst; .tzst becomes .tar",
    .options = unzstd_options,
    .make = [](const OptionValues& options) -> Result<std::shared_ptr<const Transform>> {
      const std::uint64_t window = options.number("max_window");
      if (!std::has_single_bit(window) || window < 1024 || window > (1ULL << 31))
        return option_failure("max_window must be a power of two between 1KiB and 2GiB");
      return std::make_shared<Unzstd>(ExpansionLimits::read(options), window);
    },
};

} // namespace checkvalve
