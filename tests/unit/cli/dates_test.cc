#include "cli/dates.h"

#include <gtest/gtest.h>

namespace checkvalve {
namespace {

using std::chrono::day;
using std::chrono::month;
using std::chrono::year;
using std::chrono::year_month_day;

constexpr year_month_day leap_march{year(2024), month(3), day(1)};

std::vector<std::string> dates(std::string_view text) {
  auto parsed = parse_dates(text, leap_march);
  EXPECT_TRUE(parsed.has_value()) << (parsed ? "" : parsed.error().text());
  std::vector<std::string> out;
  if (parsed)
    for (const auto& each : *parsed) out.push_back(format_date(each));
  return out;
}

std::string date_error(std::string_view text) {
  auto parsed = parse_dates(text, leap_march);
  return parsed ? "" : parsed.error().message;
}

TEST(Dates, ReadsDaysWordsAndRanges) {
  EXPECT_EQ(dates("2024-03-01"), (std::vector<std::string>{"2024-03-01"}));
  EXPECT_EQ(dates("today"), (std::vector<std::string>{"2024-03-01"}));
  EXPECT_EQ(dates("yesterday"), (std::vector<std::string>{"2024-02-29"}));
  EXPECT_EQ(dates("2024-02-28..today"), (std::vector<std::string>{"2024-02-28", "2024-02-29", "2024-03-01"}));
  EXPECT_EQ(dates("last-2-days"), (std::vector<std::string>{"2024-02-28", "2024-02-29"}));
}

TEST(Dates, RefusesWhatIsNoDate) {
  EXPECT_EQ(date_error("2023-02-29"), "invalid date '2023-02-29': no such day");
  EXPECT_NE(date_error("01.03.2024").find("invalid date '01.03.2024': expected 2024-03-01"), std::string::npos);
  EXPECT_NE(date_error("2024-3-1").find("invalid date"), std::string::npos);
  EXPECT_NE(date_error("").find("invalid date"), std::string::npos);
  EXPECT_NE(date_error("last-0-days").find("invalid date"), std::string::npos);
  EXPECT_NE(date_error("2024-03-03..2024-03-01").find("the end is before the beginning"), std::string::npos);
  EXPECT_NE(date_error("1024-03-03..2024-03-01").find("the maximum is 3660"), std::string::npos);
}

std::string expanded(std::string_view text) {
  auto out = expand_date(text, &leap_march);
  return out ? *out : "error: " + out.error().message + "; " + out.error().hint;
}

TEST(Dates, ExpandsPaths) {
  EXPECT_EQ(expanded("/data/{date}/in"), "/data/2024-03-01/in");
  EXPECT_EQ(expanded("{date:%Y/%m/%d}"), "2024/03/01");
  EXPECT_EQ(expanded("{date:%j-%a-%%}"), "061-Fri-%");
  EXPECT_EQ(expanded("a{{date}}b"), "a{date}b");
  EXPECT_EQ(expanded("{{{date}}}"), "{2024-03-01}");
}

TEST(Dates, RefusesOtherBraces) {
  EXPECT_NE(expanded("{day}").find("unknown placeholder {day}"), std::string::npos);
  EXPECT_NE(expanded("a{b").find("unmatched '{'"), std::string::npos);
  EXPECT_NE(expanded("a}b").find("write }} for a literal brace"), std::string::npos);
  EXPECT_NE(expanded("{date:%H}").find("invalid conversion '%H'"), std::string::npos);
  EXPECT_NE(expanded("{date:%}").find("invalid conversion '%'"), std::string::npos);
  EXPECT_NE(expanded("{date:}").find("empty format"), std::string::npos);
  EXPECT_NE(expand_date("{date}", nullptr).error().hint.find("give --date"), std::string::npos);
}

TEST(Dates, FindsThePlaceholder) {
  EXPECT_TRUE(has_date("/a/{date}"));
  EXPECT_TRUE(has_date("/a/{date:%Y}"));
  EXPECT_FALSE(has_date("/a/{{date}}"));
  EXPECT_FALSE(has_date("/a/{dates}"));
}

} // namespace
} // namespace checkvalve
