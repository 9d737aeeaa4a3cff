#include "backends/places.h"

#include <gtest/gtest.h>

namespace checkvalve {
namespace {

std::optional<std::string> within(const std::string& outer, const std::string& inner) {
  return path_within(parse_endpoint_url(outer).value(), parse_endpoint_url(inner).value());
}

TEST(Places, TellsWhatLiesInside) {
  EXPECT_EQ(within("sftp://u@h/a", "sftp://u@h/a"), "");
  EXPECT_EQ(within("sftp://u@h/a", "sftp://v@h/a/b/c"), "b/c");
  EXPECT_EQ(within("sftp://h/", "sftp://h/a"), "a");
  EXPECT_EQ(within("s3://bucket", "s3://bucket/copy"), "copy");
  EXPECT_EQ(within("sftp://u@h/~/a", "sftp://u@h/~/a/b"), "b");
  EXPECT_EQ(within("/nowhere/a", "file:///nowhere/x/../a/b"), "b");
}

TEST(Places, TellsApartWhatDoesNot) {
  for (const auto& [outer, inner] :
       std::initializer_list<std::pair<std::string, std::string>>{{"sftp://h/a/b", "sftp://h/a"},
                                                                  {"sftp://h/a", "sftp://h/ab"},
                                                                  {"sftp://h/a", "sftp://h:2222/a"},
                                                                  {"sftp://h/a", "sftp://i/a"},
                                                                  {"sftp://u@h/~/a", "sftp://v@h/~/a"},
                                                                  {"sftp://h/a", "/a"},
                                                                  {"s3://bucket/x", "s3://other/x/y"}})
    EXPECT_FALSE(within(outer, inner).has_value()) << outer << " " << inner;
  Endpoint here = parse_endpoint_url("s3://bucket/x").value();
  Endpoint there = here;
  there.options["endpoint_url"] = "http://127.0.0.1:1";
  EXPECT_FALSE(path_within(here, there).has_value());
}

} // namespace
} // namespace checkvalve
