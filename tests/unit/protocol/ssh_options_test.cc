#include "protocol/ssh_options.h"

#include <gtest/gtest.h>

namespace checkvalve {
namespace {

SshOptions options(std::string user, std::string host, std::uint16_t port) {
  SshOptions out;
  out.user = std::move(user);
  out.host = std::move(host);
  out.port = port;
  return out;
}

// Messages hand it to the user as a part of a URL: "checkvalve trust sftp://…".
TEST(SshOptions, DisplayIsTheAuthorityOfAUrl) {
  EXPECT_EQ(options("", "files.example", 0).display(), "files.example");
  EXPECT_EQ(options("me", "files.example", 2222).display(), "me@files.example:2222");
  EXPECT_EQ(options("", "2001:db8::1", 2222).display(), "[2001:db8::1]:2222");
}

} // namespace
} // namespace checkvalve
