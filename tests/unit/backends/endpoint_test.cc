#include "backends/endpoint.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <random>

#include "support/run.h"

namespace checkvalve {
namespace {

Endpoint parsed(const std::string& url) {
  auto endpoint = parse_endpoint_url(url);
  EXPECT_OK(endpoint);
  return endpoint ? std::move(*endpoint) : Endpoint();
}

void expect_same(const Endpoint& a, const Endpoint& b) {
  EXPECT_EQ(a.scheme, b.scheme);
  EXPECT_EQ(a.user, b.user);
  EXPECT_EQ(a.host, b.host);
  EXPECT_EQ(a.port, b.port);
  EXPECT_EQ(a.root, b.root);
}

TEST(EndpointUrl, ReadsAllParts) {
  const Endpoint endpoint = parsed("sftp://me@example.com:2222/data/in%20box/%C3%A9");
  EXPECT_EQ(endpoint.scheme, "sftp");
  EXPECT_EQ(endpoint.user, "me");
  EXPECT_EQ(endpoint.host, "example.com");
  EXPECT_EQ(endpoint.port, 2222);
  EXPECT_EQ(endpoint.root, "/data/in box/\xC3\xA9");
  EXPECT_TRUE(endpoint.secrets.empty());
}

TEST(EndpointUrl, ReadsPathsBelowTheLoginDirectory) {
  EXPECT_EQ(parsed("sftp://host/~/in/box").root, "~/in/box");
  EXPECT_EQ(parsed("sftp://host/~").root, "~");
  EXPECT_EQ(parsed("sftp://host/~/").root, "~");
  EXPECT_EQ(parsed("sftp://host").root, "~");
  EXPECT_EQ(parsed("sftp://host/").root, "/");
  EXPECT_EQ(parsed("sftp://host/%7E/x").root, "/~/x");
  EXPECT_EQ(parsed("sftp://host/~me/x").root, "/~me/x");
  EXPECT_EQ(parsed("file:///~/x").root, "/~/x");
}

TEST(EndpointUrl, ReadsIpAddresses) {
  const Endpoint v6 = parsed("sftp://me@[2001:db8::1]:22/x");
  EXPECT_EQ(v6.host, "2001:db8::1");
  EXPECT_EQ(v6.port, 22);
  EXPECT_EQ(v6.display(), "sftp://me@[2001:db8::1]:22/x");
  EXPECT_EQ(parsed("sftp://[fe80::1%25eth0]/x").host, "fe80::1%eth0");
  EXPECT_EQ(parsed("sftp://[fe80::1%eth0]/x").display(), "sftp://[fe80::1%25eth0]/x");
  EXPECT_EQ(parsed("sftp://192.0.2.7:22/x").host, "192.0.2.7");
}

TEST(EndpointUrl, MakesPlainPathsAbsolute) {
  EXPECT_EQ(parsed("/data/in").root, "/data/in");
  EXPECT_EQ(parsed("/data//in/./x/").root, "/data/in/x");
  EXPECT_EQ(parsed("/").root, "/");
  EXPECT_EQ(parsed("file:///data/in/").root, "/data/in");
  EXPECT_EQ(parsed("file://localhost/data").root, "/data");
  EXPECT_EQ(parsed("/data/100%.txt").root, "/data/100%.txt"); // no URL: nothing is decoded
  const char* here = ::get_current_dir_name();
  const std::string current = here;
  EXPECT_EQ(parsed("in").root, current == "/" ? "/in" : current + "/in");
  EXPECT_EQ(parsed(".").root, current);
  EXPECT_EQ(parsed("./odd://name").scheme, "file");
  std::free(const_cast<char*>(here));
}

TEST(EndpointUrl, KeepsObjectPathsByteForByte) {
  EXPECT_EQ(parsed("s3://bucket/a//b/").root, "/a//b/");
  EXPECT_EQ(parsed("S3://bucket/x").scheme, "s3");
}

TEST(EndpointUrl, RefusesAPasswordAndDoesNotRepeatIt) {
  for (const char* url : {"sftp://me:hunter2@host/x", "sftp://me:hunt/er2@host/x", "sftp://me:@host/x",
                          "sftp://me:hunter2@host:99999/x"}) {
    const auto endpoint = parse_endpoint_url(url);
    EXPECT_FAILS(endpoint, ErrorKind::config) << url;
    EXPECT_EQ(endpoint.error().text().find("hunt"), std::string::npos) << endpoint.error().text();
  }
  const auto endpoint = parse_endpoint_url("sftp://me:hunter2@host/x");
  EXPECT_NE(endpoint.error().message.find("--secrets-fd"), std::string::npos) << "the hint is missing";
}

TEST(EndpointUrl, RefusesWhatItCannotRead) {
  for (const char* url : {"",
                          "sftp:///path",
                          "sftp://host:0/x",
                          "sftp://host:65536/x",
                          "sftp://host:22x/x",
                          "sftp://host:1:2/x",
                          "sftp://[::1/x",
                          "sftp://[nonsense]/x",
                          "sftp://[::1]x/x",
                          "sftp://[::1%]/x",
                          "sftp://host/%zz",
                          "sftp://host/%4",
                          "sftp://host/a%00b",
                          "sftp://ho st/x",
                          "sftp://-oProxyCommand=id/x",
                          "sftp://-l@host/x",
                          "sftp://@host/x",
                          "sftp://%FF@host/x",
                          "sftp://h\xFFst/x",
                          "file://host/x",
                          "file://",
                          "memory:///x",
                          "sftp://ho;st/x"}) {
    const auto endpoint = parse_endpoint_url(url);
    EXPECT_FAILS(endpoint, ErrorKind::config) << url;
    if (!endpoint) EXPECT_FALSE(endpoint.error().message.empty());
  }
}

TEST(EndpointDisplay, ReadsBackAsTheSameEndpoint) {
  for (const char* url : {"sftp://host/~", "sftp://host/~/a b", "sftp://host/%7E", "sftp://host/%7E/x",
                          "sftp://me%40work@host:22/a%25b%3Fc%23d", "sftp://host/", "file:///a%0Ab", "/a b",
                          "memory://store", "memory://store/x", "s3://bucket//lead//x/", "sftp://host/%FF%FE",
                          "sftp://[::1]:22/x", "/100%", "sftp://h\xC3\xB6st/\xC3\xA9"}) {
    const Endpoint first = parsed(url);
    expect_same(first, parsed(first.display()));
    EXPECT_EQ(first.display(), parsed(first.display()).display()) << url;
  }
}

TEST(EndpointDisplay, ReadsBackForAnyBytes) {
  std::mt19937 random(1);
  for (int round = 0; round < 2'000; ++round) {
    Endpoint endpoint;
    endpoint.scheme = round % 2 == 0 ? "sftp" : "s3";
    endpoint.host = "host";
    endpoint.root = "/";
    for (std::size_t i = random() % 12; i > 0; --i) endpoint.root += static_cast<char>(1 + random() % 255);
    auto again = parse_endpoint_url(endpoint.display());
    ASSERT_OK(again);
    if (endpoint.scheme == "s3")
      EXPECT_EQ(again->root, endpoint.root);
    else
      EXPECT_EQ(again->display(), parsed(again->display()).display());
  }
}

TEST(EndpointDisplay, NamesFilesBelowTheRootAndNoSecrets) {
  Endpoint endpoint = parsed("sftp://me@host/~/in");
  endpoint.secrets["password"] = Secret("hunter2");
  endpoint.options["host_key"] = "x";
  EXPECT_EQ(endpoint.display(), "sftp://me@host/~/in");
  EXPECT_EQ(endpoint.display("a/b c.txt"), "sftp://me@host/~/in/a/b%20c.txt");
  EXPECT_EQ(parsed("/").display("a"), "file:///a");
}

} // namespace
} // namespace checkvalve
