#include "backends/location.h"

#include <gtest/gtest.h>
#include <stdlib.h>

namespace checkvalve {
namespace {

std::optional<std::string> within(const std::string& outer, const std::string& inner) {
  return path_within(parse_endpoint_url(outer).value(), parse_endpoint_url(inner).value());
}

TEST(Location, FindsWhatLiesInside) {
  EXPECT_EQ(within("sftp://u@h/a", "sftp://u@h/a"), "");
  EXPECT_EQ(within("sftp://u@h/a", "sftp://v@h/a/b/c"), "b/c");
  EXPECT_EQ(within("sftp://h/", "sftp://h/a"), "a");
  EXPECT_EQ(within("s3://bucket", "s3://bucket/copy"), "copy");
  EXPECT_EQ(within("sftp://u@h/~/a", "sftp://u@h/~/a/b"), "b");
  EXPECT_EQ(within("/nowhere/a", "file:///nowhere/x/../a/b"), "b");
}

TEST(Location, FindsNothingElsewhere) {
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

Endpoint with(Endpoint endpoint, std::map<std::string, std::string> options) {
  endpoint.options = std::move(options);
  return endpoint;
}

// Keys of the state: a change here loses what states in use know about an endpoint.
TEST(Location, GivesEachEndpointItsIdentity) {
  const struct {
    const char* url;
    std::map<std::string, std::string> options;
    const char* identity;
  } cases[] = {
      {"sftp://me@Host.example/data/", {}, "sftp://me@host.example/data"},
      {"sftp://host:2222/", {}, "sftp://host:2222"},
      {"sftp://me@host/~/in", {}, "sftp://me@host~/in"},
      {"sftp://me@host/%7E/in", {}, "sftp://me@host/~/in"},
      {"sftp://host", {}, "sftp://host~"},
      {"sftp://[FE80::1]/a", {}, "sftp://[fe80::1]/a"},
      {"sftp://x/a", {{"command", R"(["kubectl","exec","pod"])"}}, "sftp://x/a#kubectl exec pod"},
      {"sftp://x/a", {{"command", R"(["ssh","a b"])"}}, R"(sftp://x/a#ssh a\ b)"},
      {"sftp://x/a", {{"command", "c"}, {"service", "volume"}}, "sftp://x/a#volume"},
      {"/nowhere/a//b/", {}, "file:///nowhere/a/b"},
      {"file:///nowhere/x/../a", {}, "file:///nowhere/a"},
      {"s3://bucket", {{"endpoint_url", "https://s3.example:443/"}}, "s3+https://s3.example/bucket"},
      {"s3://bucket/a/", {{"endpoint_url", "http://s3.example:9000"}}, "s3+http://s3.example:9000/bucket/a"},
  };
  for (const auto& [url, options, expected] : cases) {
    const auto found = identity(with(parse_endpoint_url(url).value(), options));
    EXPECT_TRUE(found && *found == expected) << url << ": " << (found ? *found : found.error().text());
  }
}

TEST(Location, DoesNotDependOnHowAServiceIsReached) {
  const Endpoint bucket = parse_endpoint_url("s3://bucket/x").value();
  const auto by_path = identity(with(bucket, {{"endpoint_url", "http://h"}, {"path_style", "yes"}}));
  const auto by_host = identity(with(bucket, {{"endpoint_url", "http://h"}, {"path_style", "no"}, {"region", "r"}}));
  EXPECT_EQ(by_path.value(), by_host.value());
}

TEST(Location, SaysWhereTheEnvironmentChoseTheService) {
  const Endpoint bucket = parse_endpoint_url("s3://bucket").value();
  EXPECT_FALSE(locate(bucket).value().from_environment);
  ::setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1", 1);
  EXPECT_TRUE(locate(bucket).value().from_environment);
  EXPECT_FALSE(locate(with(bucket, {{"endpoint_url", "http://h"}})).value().from_environment);
  ::unsetenv("AWS_ENDPOINT_URL");
}

TEST(Location, RefusesWhatItsBackendRefuses) {
  const auto found = identity(with(parse_endpoint_url("s3://bucket").value(), {{"endpoint_url", "ftp://h"}}));
  ASSERT_FALSE(found.has_value());
  EXPECT_EQ(found.error().kind, ErrorKind::config);
}

} // namespace
} // namespace checkvalve
