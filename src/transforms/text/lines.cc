// lines: which lines pass, what they become, and what stands before and after them.
#include <fmt/format.h>

#include <charconv>
#include <deque>

#include "core/path.h"
#include "transforms/text/line_stage.h"
#include "transforms/text/regex.h"
#include "transforms/text/text.h"

namespace checkvalve {
namespace {

struct LineSettings {
  std::uint64_t skip_head = 0;
  std::uint64_t skip_tail = 0;
  std::uint64_t limit = 0; // 0: none
  std::shared_ptr<const re2::RE2> keep;
  std::shared_ptr<const re2::RE2> drop;
  std::shared_ptr<const re2::RE2> replace;
  std::string with;
  std::shared_ptr<const re2::RE2> must_match;
  std::shared_ptr<const re2::RE2> must_not_match;
  std::shared_ptr<const re2::RE2> must_contain;
  std::uint64_t min_lines = 0;
  std::uint64_t max_lines = 0; // 0: any number
  bool count_file = false;
  std::string add_header;
  std::string check_header;
  bool drop_header = false;
  std::string add_trailer;   // "{count}" is the number of lines before it
  std::string check_trailer; // likewise; the trailer does not pass
  std::uint64_t max_line_bytes = 0;
};

std::string filled(const std::string& pattern, std::uint64_t count) {
  std::string text = pattern;
  if (const auto at = text.find("{count}"); at != text.npos) text.replace(at, 7, std::to_string(count));
  return text;
}

// The order: header, head and tail skipped, trailer checked, filters, replacement, limit, trailer added.
class LinesStage : public LineStage {
public:
  explicit LinesStage(const LineSettings& settings) : LineStage(settings.max_line_bytes), settings_(settings) {}

protected:
  Result<void> line(std::string_view text, std::string_view ending, Emit& out) override {
    if (line_number() == 1) {
      newline_ = ending.empty() ? "\n" : std::string(ending);
      if (!settings_.check_header.empty() && text != settings_.check_header)
        return transform_failure(fmt::format("line 1 differs from the header '{}'", settings_.check_header));
      if (settings_.drop_header || !settings_.check_header.empty()) {
        header_seen_ = true;
        if (!settings_.drop_header)
          write_header(text, ending, out);
        else
          write_added_header(out);
        return {};
      }
      write_added_header(out);
    }
    const std::uint64_t body = line_number() - (header_seen_ ? 1 : 0);
    if (body <= settings_.skip_head) return {};
    const std::size_t held_back = settings_.skip_tail + (settings_.check_trailer.empty() ? 0 : 1);
    if (held_back == 0) return body_line(text, ending, out);
    held_.push_back({std::string(text), std::string(ending)});
    held_bytes_ += text.size();
    if (held_.size() <= held_back) {
      if (held_bytes_ > max_line_bytes())
        return transform_failure(
            fmt::format("the lines up to {} are held back for skip_tail and check_trailer and exceed "
                        "max_line={} bytes",
                        line_number(), max_line_bytes()));
      return {};
    }
    const Held next = std::move(held_.front());
    held_.pop_front();
    held_bytes_ -= next.text.size();
    return body_line(next.text, next.ending, out);
  }

  Result<bool> end(Emit& out) override {
    if (line_number() == 0) {
      if (!settings_.check_header.empty())
        return transform_failure(fmt::format("the file is empty; expected the header '{}'", settings_.check_header));
      write_added_header(out);
    }
    if (!settings_.check_trailer.empty()) CV_CHECK(check_trailer());
    if (settings_.must_contain && !contained_)
      return transform_failure(fmt::format("no line matches must_contain ({} lines read)", counted_));
    if (counted_ < settings_.min_lines)
      return transform_failure(
          fmt::format("the file has {} lines, fewer than min_lines={}", counted_, settings_.min_lines));
    if (settings_.count_file) out.side(0, fmt::format("{}\n", passed_));
    if (!settings_.add_trailer.empty()) {
      if (unended_) out.write(newline_);
      out.write(filled(settings_.add_trailer, passed_));
      out.write(newline_);
    }
    return true;
  }

private:
  struct Held {
    std::string text;
    std::string ending;
  };

  void write_added_header(Emit& out) const {
    if (settings_.add_header.empty()) return;
    out.write(settings_.add_header);
    out.write(newline_);
  }

  void write_header(std::string_view text, std::string_view ending, Emit& out) {
    write_added_header(out);
    out.write(text);
    out.write(ending);
    unended_ = ending.empty();
  }

  Result<void> body_line(std::string_view text, std::string_view ending, Emit& out) {
    ++counted_;
    const LineSettings& s = settings_;
    const std::uint64_t number = line_number() - held_.size();
    if (s.must_match && !re2::RE2::PartialMatch(piece(text), *s.must_match))
      return transform_failure(fmt::format("line {} does not match must_match", number));
    if (s.must_not_match && re2::RE2::PartialMatch(piece(text), *s.must_not_match))
      return transform_failure(fmt::format("line {} matches must_not_match", number));
    if (s.must_contain && !contained_) contained_ = re2::RE2::PartialMatch(piece(text), *s.must_contain);
    if (s.max_lines != 0 && counted_ > s.max_lines)
      return transform_failure(fmt::format("line {}: the file has more than max_lines={} lines", number, s.max_lines));
    if (s.keep && !re2::RE2::PartialMatch(piece(text), *s.keep)) return {};
    if (s.drop && re2::RE2::PartialMatch(piece(text), *s.drop)) return {};
    if (s.limit != 0 && passed_ >= s.limit) return {};
    ++passed_;
    if (s.replace) {
      std::string replaced(text);
      re2::RE2::GlobalReplace(&replaced, *s.replace, s.with);
      out.write(replaced);
    } else {
      out.write(text);
    }
    out.write(ending);
    unended_ = ending.empty();
    return {};
  }

  Result<void> check_trailer() const {
    // The trailer is the first of the lines held back: skip_tail counts from behind it.
    if (held_.size() != settings_.skip_tail + 1)
      return transform_failure(fmt::format("missing trailer '{}'", settings_.check_trailer));
    const std::string wanted = filled(settings_.check_trailer, counted_);
    const std::string& found = held_.front().text;
    if (found == wanted) return {};
    return transform_failure(fmt::format("line {} is '{}'; expected the trailer '{}'", line_number() - held_.size() + 1,
                                         escape_bytes(found.substr(0, 80)), wanted));
  }

  const LineSettings& settings_;
  std::string newline_ = "\n"; // as the file's first line has it
  bool header_seen_ = false;
  bool unended_ = false;      // the last line written has no newline
  std::uint64_t counted_ = 0; // lines between header and trailer
  std::uint64_t passed_ = 0;
  bool contained_ = false; // a line has matched must_contain
  std::deque<Held> held_;
  std::size_t held_bytes_ = 0;
};

class Lines : public Transform {
public:
  explicit Lines(LineSettings settings) : settings_(std::move(settings)) {}
  std::vector<std::string> side_suffixes() const override {
    return settings_.count_file ? std::vector<std::string>{".count"} : std::vector<std::string>{};
  }
  // A line begun, the lines held back, and one that grows by replacement.
  std::uint64_t memory_bytes(std::optional<std::uint64_t> size_bytes) const override {
    return std::min(settings_.max_line_bytes, size_bytes.value_or(settings_.max_line_bytes)) *
           (settings_.replace ? 6 : 3);
  }
  Result<std::unique_ptr<Stage>> start(const FileContext&) const override {
    return std::make_unique<LinesStage>(settings_);
  }

private:
  const LineSettings settings_;
};

constexpr OptionSpec lines_options[] = {
    {"skip_head", OptionType::integer, "0", "number of lines to skip at the start (after a checked header)"},
    {"skip_tail", OptionType::integer, "0", "number of lines to skip at the end"},
    {"limit", OptionType::integer, "0", "maximum number of lines to pass; 0: all"},
    {"keep", OptionType::text, "", "pass only lines matching this regular expression"},
    {"drop", OptionType::text, "", "omit lines matching this regular expression"},
    {"replace", OptionType::text, "", "replace each match of this regular expression"},
    {"with", OptionType::text, "", "the replacement; \\1 to \\9 are the groups"},
    {"must_match", OptionType::text, "", "fail the file at a line not matching this regular expression"},
    {"must_not_match", OptionType::text, "", "fail the file at a line matching this regular expression"},
    {"must_contain", OptionType::text, "", "fail the file unless a line matches this regular expression"},
    {"min_lines", OptionType::integer, "0", "fail the file if it has fewer lines between header and trailer"},
    {"max_lines", OptionType::integer, "0", "fail the file if it has more lines; 0: no limit"},
    {"count_file", OptionType::boolean, "no", "publish the number of passed lines in a side file (.count)"},
    {"add_header", OptionType::text, "", "line to insert at the start"},
    {"check_header", OptionType::text, "", "fail the file unless this is its first line, which passes"},
    {"drop_header", OptionType::boolean, "no", "omit the first line"},
    {"add_trailer", OptionType::text, "", "line to append; {count} is the number of passed lines: 'TRAILER|{count}'"},
    {"check_trailer", OptionType::text, "",
     "fail the file unless this is its last line, which is omitted; {count} is the number of lines between "
     "header "
     "and trailer"},
    max_line_option,
};

} // namespace

const TransformDescriptor lines_transform = {
    .name = "lines",
    .summary = "filters, replaces, skips, checks and counts lines",
    .options = lines_options,
    .make = [](const OptionValues& options) -> Result<std::shared_ptr<const Transform>> {
      LineSettings s;
      s.skip_head = options.number("skip_head");
      s.skip_tail = options.number("skip_tail");
      s.limit = options.number("limit");
      CV_TRY(s.keep, compile_regex("keep", options.text("keep")));
      CV_TRY(s.drop, compile_regex("drop", options.text("drop")));
      CV_TRY(s.replace, compile_regex("replace", options.text("replace")));
      CV_TRY(s.must_match, compile_regex("must_match", options.text("must_match")));
      CV_TRY(s.must_not_match, compile_regex("must_not_match", options.text("must_not_match")));
      CV_TRY(s.must_contain, compile_regex("must_contain", options.text("must_contain")));
      s.min_lines = options.number("min_lines");
      s.max_lines = options.number("max_lines");
      s.count_file = options.boolean("count_file");
      s.with = options.text("with");
      if (!s.replace && options.has("with")) return option_failure("`with` requires `replace`");
      if (s.replace) CV_CHECK(check_rewrite(*s.replace, s.with));
      s.add_header = options.text("add_header");
      s.check_header = options.text("check_header");
      s.drop_header = options.boolean("drop_header");
      s.add_trailer = options.text("add_trailer");
      s.check_trailer = options.text("check_trailer");
      s.max_line_bytes = options.number("max_line");
      return std::make_shared<Lines>(std::move(s));
    },
};

} // namespace checkvalve
