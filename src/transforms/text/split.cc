// split: several files of one, by lines or by bytes.
#include <fmt/format.h>

#include <algorithm>

#include "transforms/text/line_stage.h"
#include "transforms/text/text.h"

namespace checkvalve {
namespace {

struct SplitSettings {
  std::uint64_t lines = 0; // of a part at most; one of the three is set
  std::uint64_t bytes = 0;
  std::uint64_t line_bytes = 0; // whole lines, in at most so many bytes
  bool header = false;          // the first line begins each part
  std::uint64_t max_line_bytes = 0;
};

class BytesStage : public Stage {
public:
  explicit BytesStage(std::uint64_t bytes) : bytes_(bytes) {}
  Result<void> push(Chunk& in, Emit& out) override {
    while (!in.empty() && !out.full()) {
      if (left_ == 0) {
        out.end_part();
        left_ = bytes_;
      }
      const std::size_t taken = std::min<std::uint64_t>({std::uint64_t{in.size()}, left_, Emit::default_chunk_bytes});
      out.write(in.bytes().first(taken));
      in.narrow(taken, in.size() - taken);
      left_ -= taken;
    }
    return {};
  }
  Result<bool> finish(Emit&) override { return true; }

private:
  const std::uint64_t bytes_;
  std::uint64_t left_ = bytes_; // of the part
};

class LinesSplitStage : public LineStage {
public:
  explicit LinesSplitStage(const SplitSettings& settings) : LineStage(settings.max_line_bytes), settings_(settings) {}

protected:
  Result<void> line(std::string_view text, std::string_view ending, Emit& out) override {
    if (settings_.header && line_number() == 1) {
      header_ = text;
      header_ += ending.empty() ? "\n" : ending;
      return begin_part(out);
    }
    const std::uint64_t size = text.size() + ending.size();
    const bool full = settings_.lines != 0 ? lines_ == settings_.lines : bytes_ + size > settings_.line_bytes;
    if (full && lines_ != 0) {
      out.end_part();
      CV_CHECK(begin_part(out));
    }
    if (settings_.line_bytes != 0 && bytes_ + size > settings_.line_bytes)
      return transform_failure(fmt::format("line {} does not fit into a part of line_bytes={} bytes{}", line_number(),
                                           settings_.line_bytes, header_.empty() ? "" : " with the header"));
    out.write(text);
    out.write(ending);
    ++lines_;
    bytes_ += size;
    return {};
  }

private:
  Result<void> begin_part(Emit& out) {
    lines_ = 0;
    bytes_ = header_.size();
    out.write(header_);
    return {};
  }

  const SplitSettings& settings_;
  std::string header_;
  std::uint64_t lines_ = 0; // of the part, without the header
  std::uint64_t bytes_ = 0; // of the part
};

class Split : public Transform {
public:
  explicit Split(SplitSettings settings) : settings_(settings) {}
  bool splits() const override { return true; }
  std::string part_name(std::string_view name, std::uint64_t part) const override {
    const std::size_t dot = name.rfind('.');
    const std::size_t stem = dot == name.npos || dot == 0 ? name.size() : dot;
    return fmt::format("{}.{:04}{}", name.substr(0, stem), part, name.substr(stem));
  }
  // A line that has begun, and the header.
  std::uint64_t memory_bytes(std::optional<std::uint64_t> size_bytes) const override {
    if (settings_.bytes != 0) return 0;
    return 3 * std::min(settings_.max_line_bytes, size_bytes.value_or(settings_.max_line_bytes));
  }
  Result<std::unique_ptr<Stage>> start(const FileContext&) const override {
    if (settings_.bytes != 0) return std::make_unique<BytesStage>(settings_.bytes);
    return std::make_unique<LinesSplitStage>(settings_);
  }

private:
  const SplitSettings settings_;
};

constexpr OptionSpec split_options[] = {
    {"lines", OptionType::integer, "0", "maximum number of lines in a part"},
    {"line_bytes", OptionType::size, "0", "maximum number of bytes in a part, without splitting lines"},
    {"bytes", OptionType::size, "0", "number of bytes in a part, splitting lines"},
    {"header", OptionType::boolean, "no", "begin each part with the file's first line, which `lines` does not count"},
    max_line_option,
};

} // namespace

const TransformDescriptor split_transform = {
    .name = "split",
    .summary = "splits a file into several; the rest of the chain works on each of them",
    .renames = "NAME.csv becomes NAME.0001.csv, NAME.0002.csv, …",
    .options = split_options,
    .make = [](const OptionValues& options) -> Result<std::shared_ptr<const Transform>> {
      SplitSettings s;
      s.lines = options.number("lines");
      s.bytes = options.number("bytes");
      s.line_bytes = options.number("line_bytes");
      s.header = options.boolean("header");
      s.max_line_bytes = options.number("max_line");
      if ((s.lines != 0) + (s.bytes != 0) + (s.line_bytes != 0) != 1)
        return option_failure("split needs one of lines, line_bytes and bytes, e.g. split lines=100000");
      if (s.header && s.bytes != 0)
        return option_failure("header goes with lines or line_bytes: `bytes` cuts anywhere");
      return std::make_shared<Split>(s);
    },
};

} // namespace checkvalve
