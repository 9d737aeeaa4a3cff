#include "core/units.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>
#include <ctime>

namespace checkvalve {
namespace {

Failure unreadable(std::string_view what, std::string_view text, std::string_view wanted) {
  return Failure(
      make_error(ErrorKind::config, fmt::format("invalid {} '{}': expected a form like {}", what, text, wanted)));
}

// Reads a non-negative decimal number and removes it, and the spaces around it, from the front of `text`.
bool take_number(std::string_view& text, double& value) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
  if (error != std::errc() || value < 0 || !std::isfinite(value)) return false;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  return true;
}

struct Unit {
  std::string_view name;
  double factor;
};

constexpr double kib = 1024;
constexpr std::array size_units = {
    Unit{"", 1},
    Unit{"B", 1},
    Unit{"K", kib},
    Unit{"k", kib},
    Unit{"KiB", kib},
    Unit{"kB", 1e3},
    Unit{"KB", 1e3},
    Unit{"M", kib* kib},
    Unit{"MiB", kib* kib},
    Unit{"MB", 1e6},
    Unit{"G", kib* kib* kib},
    Unit{"GiB", kib* kib* kib},
    Unit{"GB", 1e9},
    Unit{"T", kib* kib* kib* kib},
    Unit{"TiB", kib* kib* kib* kib},
    Unit{"TB", 1e12},
};
constexpr std::array duration_units = {
    Unit{"ms", 1}, Unit{"s", 1e3}, Unit{"m", 60e3}, Unit{"h", 3600e3}, Unit{"d", 86400e3}, Unit{"w", 7 * 86400e3},
};

} // namespace

Result<std::uint64_t> parse_size(std::string_view text) {
  std::string_view rest = text;
  double value = 0;
  if (!take_number(rest, value)) return unreadable("size", text, "64MiB, 1.5G or 4096");
  while (!rest.empty() && rest.back() == ' ') rest.remove_suffix(1);
  for (const Unit& unit : size_units)
    if (unit.name == rest && value * unit.factor < 9.2e18) return static_cast<std::uint64_t>(value * unit.factor);
  return unreadable("size", text, "64MiB, 1.5G or 4096");
}

Result<std::chrono::milliseconds> parse_duration(std::string_view text) {
  constexpr std::string_view wanted = "30s, 5m, 1h30m or 2d";
  std::string_view rest = text;
  double total = 0;
  bool any = false;
  while (!rest.empty()) {
    double value = 0;
    if (!take_number(rest, value)) return unreadable("duration", text, wanted);
    std::size_t length = 0;
    while (length < rest.size() && rest[length] >= 'a' && rest[length] <= 'z') ++length;
    const std::string_view name = rest.substr(0, length);
    rest.remove_prefix(length);
    double factor = name.empty() && rest.empty() && !any ? 1e3 : 0;
    for (const Unit& unit : duration_units)
      if (unit.name == name) factor = unit.factor;
    if (factor == 0) return unreadable("duration", text, wanted);
    total += value * factor;
    any = true;
  }
  constexpr double longest = 250.0 * 365 * 86400e3; // ms: counted in nanoseconds it must not overflow (at 292 years)
  if (!any || total > longest) return unreadable("duration", text, wanted);
  return std::chrono::milliseconds(static_cast<std::int64_t>(total));
}

Result<std::uint64_t> parse_rate(std::string_view text) {
  if (text == "off") return 0;
  if (text.ends_with("/s")) text.remove_suffix(2);
  return parse_size(text);
}

std::string format_size(std::uint64_t bytes) {
  constexpr std::array names = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  if (bytes < 1024) return fmt::format("{} B", bytes);
  double value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (value >= 1023.95 && unit + 1 < names.size()) {
    value /= 1024;
    ++unit;
  }
  return fmt::format("{:.1f} {}", value, names[unit]);
}

std::string format_duration(std::chrono::milliseconds duration) {
  const auto ms = duration.count();
  if (ms < 1000) return fmt::format("{}ms", ms);
  if (ms < 60'000) return fmt::format("{:.1f}s", static_cast<double>(ms) / 1000);
  if (ms < 3'600'000) return fmt::format("{}m {:02}s", ms / 60'000, ms / 1000 % 60);
  return fmt::format("{}h {:02}m", ms / 3'600'000, ms / 60'000 % 60);
}

std::string format_count(std::uint64_t count) {
  std::string digits = fmt::format("{}", count);
  for (std::size_t i = digits.size(); i > 3; i -= 3) digits.insert(i - 3, ",");
  return digits;
}

std::int64_t now_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

std::string format_time(std::int64_t time_ms) {
  const std::time_t seconds = time_ms / 1000;
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}Z", parts);
}

} // namespace checkvalve
