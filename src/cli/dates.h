// Dated directories: the dates of --date, and {date} in paths.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"

namespace checkvalve {

// Reads "2024-03-01", "2024-03-01..2024-03-03" (both ends included), "today", "yesterday" and "last-N-days" (the N days
// before today); a range's ends may be words. In ascending order. `today` is the date in the user's time zone. Error
// kind config, for more than 3,660 days as well.
Result<std::vector<std::chrono::year_month_day>> parse_dates(std::string_view text, std::chrono::year_month_day today);

// Today in the process's time zone (TZ).
std::chrono::year_month_day today_local();

std::string format_date(std::chrono::year_month_day date); // "2024-03-01"

// Whether the text has a {date} or {date:…} in it. "{{" and "}}" are literal braces.
bool has_date(std::string_view text);

// Replaces {date} by 2024-03-01, {date:FORMAT} by the date in a strftime form (%Y %m %d %y %j %b %B %a %A %u %w %V %G
// %U %W %e %F %%), "{{" by "{" and "}}" by "}". Without a date, a {date} is an error, as is any other brace. Kind
// config.
Result<std::string> expand_date(std::string_view text, const std::chrono::year_month_day* date);

// Replaces {date} and {date:FORMAT} alone: for patterns and options of transforms, whose other braces mean other
// things.
Result<std::string> replace_dates(std::string_view text, const std::chrono::year_month_day* date);

} // namespace checkvalve
