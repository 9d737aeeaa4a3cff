#include "core/units.h"

#include <gtest/gtest.h>

namespace checkvalve {
namespace {

using std::chrono::milliseconds;

TEST(Units, ReadsSizes) {
  const std::pair<const char*, std::uint64_t> cases[] = {{"0", 0},
                                                         {"4096", 4096},
                                                         {"64MiB", 64 << 20},
                                                         {"64M", 64 << 20},
                                                         {"1.5 GiB", 1'610'612'736},
                                                         {"500kB", 500'000},
                                                         {"2TB", 2'000'000'000'000},
                                                         {" 7 B ", 7},
                                                         {"1k", 1024},
                                                         {"0.5K", 512}};
  for (const auto& [text, bytes] : cases) {
    const auto read = parse_size(text);
    ASSERT_TRUE(read.has_value()) << text;
    EXPECT_EQ(*read, bytes) << text;
  }
  for (const char* text : {"", "x", "-1", "1XB", "12 34", "1e3", "99999999999T", "MiB", "0x10", "nan", "inf"}) {
    const auto read = parse_size(text);
    EXPECT_FALSE(read.has_value()) << text;
    if (!read) EXPECT_EQ(read.error().kind, ErrorKind::config);
  }
}

TEST(Units, ReadsDurations) {
  const std::pair<const char*, std::int64_t> cases[] = {
      {"30s", 30'000}, {"5m", 300'000}, {"1h30m", 5'400'000},    {"2d", 172'800'000}, {"250ms", 250},
      {"10", 10'000},  {"1.5s", 1'500}, {"1h 2m 3s", 3'723'000}, {"1w", 604'800'000}};
  for (const auto& [text, ms] : cases) {
    const auto read = parse_duration(text);
    ASSERT_TRUE(read.has_value()) << text;
    EXPECT_EQ(read->count(), ms) << text;
  }
  for (const char* text : {"", "s", "-5s", "5 parsecs", "1h30", "1s2", "99999999999999w", "300000d"})
    EXPECT_FALSE(parse_duration(text).has_value()) << text;
}

TEST(Units, ReadsRates) {
  EXPECT_EQ(*parse_rate("10MiB/s"), 10U << 20);
  EXPECT_EQ(*parse_rate("500kB"), 500'000U);
  EXPECT_EQ(*parse_rate("off"), 0U);
  EXPECT_EQ(*parse_rate("0"), 0U);
  EXPECT_FALSE(parse_rate("fast").has_value());
}

TEST(Units, WritesForPeople) {
  EXPECT_EQ(format_size(0), "0 B");
  EXPECT_EQ(format_size(1023), "1023 B");
  EXPECT_EQ(format_size(1024), "1.0 KiB");
  EXPECT_EQ(format_size(1024 * 1024 - 1), "1.0 MiB"); // never "1024.0 KiB"
  EXPECT_EQ(format_size(1'288'490'189), "1.2 GiB");
  EXPECT_EQ(format_size(~std::uint64_t{0}), "16.0 EiB");
  EXPECT_EQ(format_duration(milliseconds(250)), "250ms");
  EXPECT_EQ(format_duration(milliseconds(3'400)), "3.4s");
  EXPECT_EQ(format_duration(milliseconds(3'725'000)), "1h 02m");
  EXPECT_EQ(format_count(0), "0");
  EXPECT_EQ(format_count(999), "999");
  EXPECT_EQ(format_count(1'000), "1,000");
  EXPECT_EQ(format_count(1'234'567), "1,234,567");
  EXPECT_EQ(format_time(1'709'296'496'789), "2024-03-01T12:34:56Z");
  EXPECT_EQ(format_time(0), "1970-01-01T00:00:00Z");
}

} // namespace
} // namespace checkvalve
