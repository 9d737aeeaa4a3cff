#include "cli/progress.h"

#include <langinfo.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "core/path.h"
#include "core/units.h"

namespace checkvalve {
namespace {

constexpr std::int64_t bar_interval_ms = 100;
constexpr std::int64_t line_interval_ms = 10'000;
constexpr std::size_t max_large_files = 3;

// Takes one code point off valid UTF-8.
std::string_view take_code_point(std::string_view& text, char32_t& code) {
  const auto lead = static_cast<unsigned char>(text[0]);
  const std::size_t length = std::min<std::size_t>(text.size(), lead < 0x80   ? 1
                                                                : lead < 0xE0 ? 2
                                                                : lead < 0xF0 ? 3
                                                                              : 4);
  code = length == 1 ? lead : lead & (0x7F >> length);
  for (std::size_t i = 1; i < length; ++i) code = code << 6 | (static_cast<unsigned char>(text[i]) & 0x3F);
  const std::string_view taken = text.substr(0, length);
  text.remove_prefix(length);
  return taken;
}

std::size_t columns_of(char32_t code) {
  const int width = ::wcwidth(static_cast<wchar_t>(code));
  return width < 0 ? 1 : static_cast<std::size_t>(width); // the locale does not know it: most take one
}

std::string ascii_only(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    char32_t code = 0;
    const std::string_view taken = take_code_point(text, code);
    out += taken.size() == 1 ? taken[0] : '?';
  }
  return out;
}

std::string bar(double part, std::size_t columns, const ProgressStyle& style) {
  const auto full = static_cast<std::size_t>(std::clamp(part, 0.0, 1.0) * static_cast<double>(columns));
  std::string done;
  std::string left;
  for (std::size_t i = 0; i < full; ++i) done += style.utf8 ? "━" : "#";
  for (std::size_t i = full; i < columns; ++i) left += style.utf8 ? "─" : ".";
  if (!style.color) return style.utf8 ? done + left : "[" + done + left + "]";
  return "\x1b[32m" + done + "\x1b[0m\x1b[2m" + left + "\x1b[0m";
}

double part_of(std::uint64_t done, std::uint64_t total) {
  return total == 0 ? 0 : static_cast<double>(done) / static_cast<double>(total);
}

std::string time_left(double seconds) {
  return format_duration(std::chrono::milliseconds(static_cast<std::int64_t>(std::max(1.0, seconds)) * 1000));
}

// "9/10 files · 1.0 MiB of 2.0 MiB · 3.0 MiB/s · 1m left", longest first: what does not fit is omitted from the end.
std::vector<std::string> facts(const ProgressView& view) {
  std::vector<std::string> out;
  out.push_back(fmt::format("{}/{} files", format_count(view.files_done), format_count(view.files_total)));
  out.push_back(fmt::format("{} of {}", format_size(view.bytes_done), format_size(view.bytes_total)));
  out.push_back(fmt::format("{}/s", format_size(static_cast<std::uint64_t>(view.bytes_per_second))));
  if (view.seconds_left) out.push_back(time_left(*view.seconds_left) + " left");
  if (view.files_failed > 0) out.push_back(fmt::format("{} failed", format_count(view.files_failed)));
  return out;
}

std::string join_facts(const std::vector<std::string>& words, std::string_view separator, std::size_t columns) {
  std::string out;
  for (const std::string& word : words) {
    const std::string longer = out.empty() ? word : fmt::format("{}{}{}", out, separator, word);
    if (display_columns(longer) > columns) break;
    out = longer;
  }
  return out;
}

std::string head_line(const ProgressView& view, const ProgressStyle& style) {
  const std::string_view separator = style.utf8 ? " · " : " | ";
  if (!view.planned)
    return fit(fmt::format("listing: {} at the source, {} at the target", format_count(view.source_entries),
                           format_count(view.target_entries)),
               style.width, style.utf8);
  const double part =
      view.bytes_total > 0 ? part_of(view.bytes_done, view.bytes_total) : part_of(view.files_done, view.files_total);
  const std::string percent = fmt::format("{:3.0f}%", std::clamp(part, 0.0, 1.0) * 100);
  const std::size_t bar_columns = style.width >= 60 ? std::min<std::size_t>(style.width / 4, 30) : 0;
  const std::size_t taken = percent.size() + 1 + (bar_columns ? bar_columns + (style.utf8 ? 1 : 3) : 0);
  const std::string words = join_facts(facts(view), separator, style.width > taken ? style.width - taken : 0);
  return (bar_columns ? bar(part, bar_columns, style) + " " : "") + percent + " " + words;
}

std::string large_file_line(const ProgressView::LargeFile& file, const ProgressStyle& style) {
  const std::string tail =
      fmt::format(" {:3.0f}% of {}", part_of(file.done_bytes, file.size_bytes) * 100, format_size(file.size_bytes));
  if (style.width < tail.size() + 10) return fit(tail, style.width, style.utf8);
  return "  " + fit(escape_bytes(file.path), style.width - 2 - tail.size(), style.utf8) + tail;
}

bool stderr_is_utf8() { return std::strcmp(::nl_langinfo(CODESET), "UTF-8") == 0; }

ProgressStyle terminal_style() {
  ProgressStyle style;
  winsize size{};
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) style.width = size.ws_col;
  // The last column stays free: many terminals wrap once it is written.
  style.width = std::max<std::size_t>(style.width, 20) - 1;
  style.utf8 = stderr_is_utf8();
  const char* no_color = std::getenv("NO_COLOR");
  style.color = !no_color || !*no_color; // https://no-color.org
  return style;
}

void write_stderr(std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(STDERR_FILENO, text.data(), text.size());
    if (written <= 0) return; // a terminal that is gone must not end the run
    text.remove_prefix(static_cast<std::size_t>(written));
  }
}

} // namespace

std::size_t display_columns(std::string_view text) {
  std::size_t columns = 0;
  while (!text.empty()) {
    char32_t code = 0;
    take_code_point(text, code);
    columns += columns_of(code);
  }
  return columns;
}

std::string fit(std::string_view text, std::size_t columns, bool utf8) {
  std::string shown = utf8 ? std::string(text) : ascii_only(text);
  if (display_columns(shown) <= columns) return shown;
  const std::string_view gap = utf8 ? "…" : "~";
  if (columns <= 1) return std::string(columns, '~');
  // The end of a name is more significant than its middle: one third of the room for the front, the rest for the back.
  const std::size_t front_columns = (columns - 1) / 3;
  std::string_view rest = shown;
  std::string front;
  std::size_t used = 0;
  while (!rest.empty()) {
    std::string_view after = rest;
    char32_t code = 0;
    const std::string_view taken = take_code_point(after, code);
    if (used + columns_of(code) > front_columns) break;
    used += columns_of(code);
    front += taken;
    rest = after;
  }
  while (display_columns(rest) > columns - 1 - used) {
    char32_t code = 0;
    take_code_point(rest, code);
  }
  return fmt::format("{}{}{}", front, gap, rest);
}

std::vector<std::string> render_progress(const ProgressView& view, const ProgressStyle& style) {
  std::vector<std::string> lines = {head_line(view, style)};
  for (const auto& file : view.large) {
    if (lines.size() > max_large_files) break;
    lines.push_back(large_file_line(file, style));
  }
  if (!view.last_failure.empty()) {
    const std::string text = fit("  failed: " + view.last_failure, style.width, style.utf8);
    lines.push_back(style.color ? "\x1b[31m" + text + "\x1b[0m" : text);
  }
  return lines;
}

std::string render_progress_line(const ProgressView& view) {
  if (!view.planned)
    return fmt::format("listing: {} entries at the source, {} at the target", format_count(view.source_entries),
                       format_count(view.target_entries));
  return join_facts(facts(view), ", ", std::string::npos);
}

ProgressMode choose_progress(std::string_view wanted) {
  if (wanted == "never") return ProgressMode::none;
  const char* term = std::getenv("TERM");
  const bool terminal = ::isatty(STDERR_FILENO) == 1 && term && *term && std::strcmp(term, "dumb") != 0;
  if (terminal) return ProgressMode::bar;
  return wanted == "always" ? ProgressMode::lines : ProgressMode::none;
}

void Progress::update(Tracker& tracker, std::int64_t now_ms) {
  if (mode_ == ProgressMode::none) return;
  if (last_ms_ == 0 && mode_ == ProgressMode::lines)
    last_ms_ = now_ms; // the first line after 10 s: short runs need none
  if (now_ms - last_ms_ < (mode_ == ProgressMode::bar ? bar_interval_ms : line_interval_ms)) return;
  last_ms_ = now_ms;
  const ProgressView view = tracker.view(now_ms);
  if (mode_ == ProgressMode::lines) {
    write_stderr(render_progress_line(view) + "\n");
    return;
  }
  std::string out = lines_drawn_ > 0 ? fmt::format("\x1b[{}A", lines_drawn_) : "";
  const std::vector<std::string> lines = render_progress(view, terminal_style());
  for (const std::string& line : lines) out += "\r" + line + "\x1b[K\n";
  out += "\x1b[J"; // lines that were drawn before and are gone
  lines_drawn_ = lines.size();
  write_stderr(out);
}

void Progress::message(std::string_view line) {
  clear();
  write_stderr(std::string(line) + "\n");
}

void Progress::clear() {
  if (lines_drawn_ > 0) write_stderr(fmt::format("\x1b[{}A\r\x1b[J", lines_drawn_));
  lines_drawn_ = 0;
}

} // namespace checkvalve
