// gzip (RFC 1952) on libdeflate, gunzip on zlib, which streams.
#include <fmt/format.h>
#include <libdeflate.h>
#include <zlib.h>

#include <algorithm>
#include <new>

#include "transforms/compress/codec.h"
#include "transforms/compress/compress.h"

namespace checkvalve {
namespace {

constexpr int gzip_window = 15 + 16; // 32 KiB, with gzip's header and trailer (zlib.h, deflateInit2)

CodecStep prepare(z_stream& stream, std::span<const std::byte> in, std::span<std::byte> out) {
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(in.data()));
  stream.avail_in = static_cast<uInt>(in.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  return {in.size(), out.size(), false};
}

void settle(const z_stream& stream, CodecStep& step) {
  step.taken -= stream.avail_in;
  step.made -= stream.avail_out;
}

// Every member_bytes of input become a gzip member of their own: libdeflate works on whole buffers, at more than twice
// the speed of zlib. Readers of RFC 1952 take members as one file (section 2.2).
constexpr std::size_t member_bytes = 1 << 20;

class GzipStage : public Stage {
public:
  explicit GzipStage(int level) : compressor_(libdeflate_alloc_compressor(level)) {
    if (!compressor_) throw std::bad_alloc();
  }
  ~GzipStage() override { libdeflate_free_compressor(compressor_); }

  Result<void> push(Chunk& in, Emit& out) override {
    while (!in.empty() && !out.full()) {
      const std::size_t taken = std::min(in.size(), member_bytes - begun_.size());
      begun_ += in.text().substr(0, taken);
      in.narrow(taken, in.size() - taken);
      if (begun_.size() == member_bytes) write_member(out);
    }
    return {};
  }
  Result<bool> finish(Emit& out) override {
    if (!begun_.empty() || !any_member_) write_member(out);
    return true;
  }

private:
  void write_member(Emit& out) {
    member_.resize(libdeflate_gzip_compress_bound(compressor_, begun_.size()));
    // Its header has neither a name nor a time: equal content gives equal bytes.
    const std::size_t size =
        libdeflate_gzip_compress(compressor_, begun_.data(), begun_.size(), member_.data(), member_.size());
    out.write(std::string_view(member_).substr(0, size));
    begun_.clear();
    any_member_ = true;
  }

  libdeflate_compressor* compressor_;
  std::string begun_; // input of the next member
  std::string member_;
  bool any_member_ = false;
};

class Inflater : public Codec {
public:
  Inflater() {
    if (inflateInit2(&stream_, gzip_window) != Z_OK) throw std::bad_alloc();
  }
  ~Inflater() override { inflateEnd(&stream_); }

  Result<CodecStep> step(std::span<const std::byte> in, std::span<std::byte> out, bool last) override {
    if (last && between_members_ && any_member_) return CodecStep{0, 0, true};
    if (between_members_ && !in.empty()) {
      // Zeros after the last member are padding, as written by tapes and some tools.
      const auto zeros = std::ranges::find_if(in, [](std::byte b) { return b != std::byte(0); }) - in.begin();
      if (any_member_ && zeros != 0) {
        padded_ = true;
        taken_ += static_cast<std::uint64_t>(zeros);
        return CodecStep{static_cast<std::size_t>(zeros), 0, false};
      }
      if (padded_) return transform_failure(fmt::format("garbage after the end of the gzip data, at byte {}", taken_));
      between_members_ = false;
    }
    CodecStep done = prepare(stream_, in, out);
    const int code = inflate(&stream_, Z_NO_FLUSH);
    settle(stream_, done);
    taken_ += done.taken;
    if (code == Z_STREAM_END) {
      inflateReset(&stream_);
      between_members_ = any_member_ = true;
    } else if (code == Z_MEM_ERROR) {
      throw std::bad_alloc();
    } else if (code != Z_OK && code != Z_BUF_ERROR) {
      return transform_failure(fmt::format(
          "{} at byte {}: {}",
          any_member_ && stream_.total_out == 0 ? "garbage after the end of the gzip data" : "invalid gzip data",
          taken_, stream_.msg ? stream_.msg : "a preset dictionary is needed"));
    } else if (last && done.made < out.size()) {
      return transform_failure(fmt::format("the gzip data is truncated at byte {}", taken_));
    }
    return done;
  }

private:
  z_stream stream_{};
  std::uint64_t taken_ = 0;
  bool between_members_ = true;
  bool any_member_ = false;
  bool padded_ = false;
};

class Gzip : public Transform {
public:
  explicit Gzip(int level) : level_(level) {}
  std::string rename(std::string_view name) const override { return std::string(name) + ".gz"; }
  // A member's input, output and what is emitted of it; libdeflate's tables take less than 700 KiB.
  std::uint64_t memory_bytes(std::optional<std::uint64_t> size_bytes) const override {
    return 3 * std::min<std::uint64_t>(member_bytes, size_bytes.value_or(member_bytes)) + (700 << 10);
  }
  Result<std::unique_ptr<Stage>> start(const FileContext&) const override {
    return std::make_unique<GzipStage>(level_);
  }

private:
  const int level_;
};

class Gunzip : public Transform {
public:
  explicit Gunzip(ExpansionLimits limits) : limits_(limits) {}
  std::string rename(std::string_view name) const override {
    constexpr SuffixRule rules[] = {{".tgz", ".tar"}, {".gz", ""}};
    return strip_suffix(name, rules);
  }
  std::uint64_t memory_bytes(std::optional<std::uint64_t>) const override { return 64 << 10; }
  Result<std::unique_ptr<Stage>> start(const FileContext&) const override {
    return std::make_unique<CodecStage>(std::make_unique<Inflater>(), limits_);
  }

private:
  const ExpansionLimits limits_;
};

constexpr OptionSpec gzip_options[] = {{"level", OptionType::integer, "6", "1 (fast) to 9 (small)"}};
constexpr OptionSpec gunzip_options[] = {max_ratio_option, max_size_option};

} // namespace

const TransformDescriptor gzip_transform = {
    .name = "gzip",
    .summary = "compresses to gzip",
    .renames = "adds .gz",
    .options = gzip_options,
    .make = [](const OptionValues& options) -> Result<std::shared_ptr<const Transform>> {
      const std::uint64_t level = options.number("level");
      if (level < 1 || level > 9) return option_failure("level must be between 1 and 9");
      return std::make_shared<Gzip>(static_cast<int>(level));
    },
};

const TransformDescriptor gunzip_transform = {
    .name = "gunzip",
    .summary = "decompresses gzip, including files of several members",
    .renames = "removes .gz; .tgz becomes .tar",
    .options = gunzip_options,
    .make = [](const OptionValues& options) -> Result<std::shared_ptr<const Transform>> {
      return std::make_shared<Gunzip>(ExpansionLimits::read(options));
    },
};

} // namespace checkvalve
