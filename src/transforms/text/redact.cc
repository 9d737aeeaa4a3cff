// redact: overwrites or replaces what matches, line by line.
#include <fmt/format.h>

#include "transforms/text/line_stage.h"
#include "transforms/text/regex.h"
#include "transforms/text/text.h"

namespace checkvalve {
namespace {

struct RedactSettings {
  std::shared_ptr<const re2::RE2> pattern;
  std::string with;
  bool keep_length = false;
  std::uint64_t max_line_bytes = 0;
};

class RedactStage : public LineStage {
public:
  explicit RedactStage(const RedactSettings& settings) : LineStage(settings.max_line_bytes), settings_(settings) {}

protected:
  Result<void> line(std::string_view text, std::string_view ending, Emit& out) override {
    std::size_t at = 0;   // up to which text is written
    std::size_t from = 0; // from which the next match is looked for
    re2::StringPiece match;
    while (from <= text.size() &&
           settings_.pattern->Match(piece(text), from, text.size(), RE2::UNANCHORED, &match, 1)) {
      const auto begin = static_cast<std::size_t>(match.data() - text.data());
      out.write(text.substr(at, begin - at));
      write_replacement(match.size(), out);
      at = begin + match.size();
      from = match.empty() ? at + 1 : at; // after an empty match the next one lies further on
    }
    out.write(text.substr(at));
    out.write(ending);
    return {};
  }

private:
  void write_replacement(std::size_t length, Emit& out) const {
    if (length == 0) return; // nothing is there to be hidden
    if (!settings_.keep_length) return out.write(settings_.with);
    for (std::size_t i = 0; i < length; ++i) out.write(settings_.with);
  }

  const RedactSettings& settings_;
};

class Redact : public Transform {
public:
  explicit Redact(RedactSettings settings) : settings_(std::move(settings)) {}
  bool keeps_size() const override { return settings_.keep_length; }
  // A line, and what it may become if each of its bytes is replaced.
  std::uint64_t memory_bytes(std::optional<std::uint64_t> size_bytes) const override {
    const std::uint64_t line = std::min(settings_.max_line_bytes, size_bytes.value_or(settings_.max_line_bytes));
    return line * (2 + settings_.with.size());
  }
  Result<std::unique_ptr<Stage>> start(const FileContext&) const override {
    return std::make_unique<RedactStage>(settings_);
  }

private:
  const RedactSettings settings_;
};

constexpr OptionSpec redact_options[] = {
    {"pattern", OptionType::text, "", "regular expression (RE2 syntax) to replace; required"},
    {"with", OptionType::text, "***", "the replacement"},
    {"keep_length", OptionType::boolean, "no",
     "replace each byte of a match by `with`, a single byte, so that the size does not change"},
    max_line_option,
};

} // namespace

const TransformDescriptor redact_transform = {
    .name = "redact",
    .summary = "replaces what matches a regular expression, line by line",
    .options = redact_options,
    .make = [](const OptionValues& options) -> Result<std::shared_ptr<const Transform>> {
      RedactSettings settings;
      CV_TRY(settings.pattern, compile_regex("pattern", options.text("pattern")));
      if (!settings.pattern) return option_failure("redact needs a pattern, e.g. redact pattern='[0-9]{16}'");
      settings.keep_length = options.boolean("keep_length");
      settings.with = settings.keep_length && !options.has("with") ? "*" : options.text("with");
      if (settings.keep_length && settings.with.size() != 1)
        return option_failure("with keep_length, `with` must be one byte");
      settings.max_line_bytes = options.number("max_line");
      return std::make_shared<Redact>(std::move(settings));
    },
};

} // namespace checkvalve
