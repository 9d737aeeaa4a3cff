#include "cli/dates.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <ctime>

#include "cli/settings.h"

namespace checkvalve {
namespace {

using std::chrono::days;
using std::chrono::sys_days;
using std::chrono::year_month_day;

constexpr int max_range_days = 3'660; // ten years: more is a typing error
constexpr std::string_view date_forms = "2024-03-01, 2024-03-01..2024-03-03, today, yesterday or last-7-days";

Failure wrong(std::string message, std::string hint = "") {
  return Failure(config_error("", std::move(message), std::move(hint)));
}

Failure not_a_date(std::string_view text) {
  return wrong(fmt::format("invalid date '{}': expected {}", text, date_forms));
}

// All of `text`, which must be `digits` digits.
bool read_digits(std::string_view text, std::size_t digits, int& value) {
  if (text.size() != digits || text.find_first_not_of("0123456789") != text.npos) return false;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return true;
}

Result<year_month_day> parse_day(std::string_view text, year_month_day today) {
  if (text == "today") return today;
  if (text == "yesterday") return year_month_day(sys_days(today) - days(1));
  int year = 0;
  int month = 0;
  int day = 0;
  const bool shaped = text.size() == 10 && text[4] == '-' && text[7] == '-' &&
                      read_digits(text.substr(0, 4), 4, year) && read_digits(text.substr(5, 2), 2, month) &&
                      read_digits(text.substr(8, 2), 2, day);
  if (!shaped) return not_a_date(text);
  const year_month_day date{std::chrono::year(year), std::chrono::month(static_cast<unsigned>(month)),
                            std::chrono::day(static_cast<unsigned>(day))};
  if (!date.ok()) return wrong(fmt::format("invalid date '{}': no such day", text));
  return date;
}

std::tm to_tm(year_month_day date) {
  std::tm parts{};
  parts.tm_year = static_cast<int>(date.year()) - 1900;
  parts.tm_mon = static_cast<int>(static_cast<unsigned>(date.month())) - 1;
  parts.tm_mday = static_cast<int>(static_cast<unsigned>(date.day()));
  parts.tm_hour = 12;
  const std::time_t seconds = timegm(&parts); // fills in the day of the week and of the year
  gmtime_r(&seconds, &parts);
  return parts;
}

Result<std::string> format_with(std::string_view format, year_month_day date) {
  constexpr std::string_view allowed = "YmdyjbBaAuwVGUWeF%";
  if (format.empty()) return wrong("empty format in {date:}", "for example {date:%Y/%m/%d}");
  for (std::size_t i = 0; i < format.size(); ++i) {
    if (format[i] != '%') continue;
    ++i;
    if (i == format.size() || allowed.find(format[i]) == allowed.npos)
      return wrong(
          fmt::format("invalid conversion '%{}' in {{date:{}}}: expected one of %Y %m %d %y %j %b %B %a %A %u %w %V %G "
                      "%U %W %e %F %%",
                      i == format.size() ? "" : std::string(1, format[i]), format));
  }
  const std::tm parts = to_tm(date);
  std::string out(format.size() * 16 + 16, '\0');
  out.resize(std::strftime(out.data(), out.size(), std::string(format).c_str(), &parts));
  return out;
}

// `placeholder` is "date" or "date:FORMAT".
Result<std::string> fill(std::string_view placeholder, const year_month_day* date) {
  if (!date) return wrong(fmt::format("missing date for {{{}}}", placeholder), "give --date");
  return format_with(placeholder == "date" ? "%F" : placeholder.substr(5), *date);
}

} // namespace

Result<std::vector<year_month_day>> parse_dates(std::string_view text, year_month_day today) {
  year_month_day first;
  year_month_day last;
  if (text.starts_with("last-") && text.ends_with("-days") && text.size() > 10) {
    const std::string_view digits = text.substr(5, text.size() - 10);
    int count = 0;
    if (digits.size() > 4 || !read_digits(digits, digits.size(), count) || count == 0) return not_a_date(text);
    first = year_month_day(sys_days(today) - days(count));
    last = year_month_day(sys_days(today) - days(1));
  } else if (const auto dots = text.find(".."); dots != text.npos) {
    CV_TRY(first, parse_day(text.substr(0, dots), today));
    CV_TRY(last, parse_day(text.substr(dots + 2), today));
  } else {
    CV_TRY(first, parse_day(text, today));
    last = first;
  }
  if (sys_days(last) < sys_days(first))
    return wrong(fmt::format("invalid range '{}': the end is before the beginning", text));
  const auto count = (sys_days(last) - sys_days(first)).count() + 1;
  if (count > max_range_days)
    return wrong(fmt::format("invalid range '{}': {} days, the maximum is {}", text, count, max_range_days));
  std::vector<year_month_day> dates;
  for (auto day = sys_days(first); day <= sys_days(last); day += days(1)) dates.emplace_back(day);
  return dates;
}

year_month_day today_local() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  localtime_r(&now, &parts);
  return {std::chrono::year(parts.tm_year + 1900), std::chrono::month(static_cast<unsigned>(parts.tm_mon + 1)),
          std::chrono::day(static_cast<unsigned>(parts.tm_mday))};
}

std::string format_date(year_month_day date) {
  return fmt::format("{:04}-{:02}-{:02}", static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                     static_cast<unsigned>(date.day()));
}

bool has_date(std::string_view text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '{') continue;
    if (text.substr(i, 2) == "{{")
      ++i;
    else if (text.substr(i).starts_with("{date}") || text.substr(i).starts_with("{date:"))
      return true;
  }
  return false;
}

Result<std::string> expand_date(std::string_view text, const year_month_day* date) {
  std::string out;
  while (!text.empty()) {
    const auto brace = std::min(text.find_first_of("{}"), text.size());
    out += text.substr(0, brace);
    text.remove_prefix(brace);
    if (text.empty()) break;
    if (text.starts_with("{{") || text.starts_with("}}")) {
      out += text[0];
      text.remove_prefix(2);
      continue;
    }
    const auto end = text.find('}');
    if (text[0] == '}' || end == text.npos)
      return wrong(fmt::format("unmatched '{}'", text[0]),
                   fmt::format("write {} for a literal brace", std::string(2, text[0])));
    const std::string_view inside = text.substr(1, end - 1);
    if (inside != "date" && !inside.starts_with("date:"))
      return wrong(fmt::format("unknown placeholder {{{}}}: expected {{date}} or {{date:%Y/%m/%d}}", inside),
                   "write {{ and }} for literal braces");
    CV_TRY(const std::string day, fill(inside, date));
    out += day;
    text.remove_prefix(end + 1);
  }
  return out;
}

Result<std::string> replace_dates(std::string_view text, const year_month_day* date) {
  std::string out;
  for (;;) {
    const auto begin = std::min(text.find("{date}"), text.find("{date:"));
    const auto end = begin == text.npos ? text.npos : text.find('}', begin);
    if (end == text.npos) return out += text;
    CV_TRY(const std::string day, fill(text.substr(begin + 1, end - begin - 1), date));
    out += text.substr(0, begin);
    out += day;
    text.remove_prefix(end + 1);
  }
}

} // namespace checkvalve
