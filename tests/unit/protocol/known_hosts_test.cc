#include "protocol/known_hosts.h"

#include <gtest/gtest.h>

namespace checkvalve {
namespace {

constexpr std::string_view ed25519 = "ssh-ed25519";

// The first key of each line is "KEY1", another "KEY2": judge() compares texts.
TEST(KnownHosts, JudgesAsOpenSshDoes) {
  using enum KnownHostVerdict;
  struct Case {
    std::string_view sentence;
    std::string_view lines;
    std::string_view host;
    unsigned port;
    KnownHostVerdict expected; // of the ssh-ed25519 key KEY1
  };
  // The hashed names are those of "host" and "[host]:2222" with the salt "0123456789abcdefghij".
  const Case cases[] = {
      {"no line", "", "host", 22, unknown},
      {"the key", "host ssh-ed25519 KEY1\n", "host", 22, known},
      {"no line end at the end of the file", "host ssh-ed25519 KEY1", "host", 22, known},
      {"line ends of Windows", "host ssh-ed25519 KEY1\r\n", "host", 22, known},
      {"a comment after the key, tabs and blanks", " \thost\tssh-ed25519  KEY1 me@there\r\n", "host", 22, known},
      {"a comment line", "# host ssh-ed25519 KEY1\n", "host", 22, unknown},
      {"upper case in the URL", "host ssh-ed25519 KEY1\n", "HOST", 22, known},
      {"upper case in the file", "HOST ssh-ed25519 KEY1\n", "host", 22, known},
      {"another key", "host ssh-ed25519 KEY2\n", "host", 22, changed},
      {"another key, and the key", "host ssh-ed25519 KEY2\nhost ssh-ed25519 KEY1\n", "host", 22, known},
      {"a key of another type", "host ssh-rsa KEY1\n", "host", 22, other_type},
      {"one of several names", "a,host,10.0.0.1 ssh-ed25519 KEY1\n", "host", 22, known},
      {"a pattern", "h?s* ssh-ed25519 KEY1\n", "host", 22, known},
      {"a pattern that excludes", "*,!host ssh-ed25519 KEY1\n", "host", 22, unknown},
      {"another host", "hosts ssh-ed25519 KEY1\n", "host", 22, unknown},
      {"the port", "[host]:2222 ssh-ed25519 KEY1\n", "host", 2222, known},
      {"another port", "[host]:2222 ssh-ed25519 KEY1\n", "host", 2223, unknown},
      {"a port where the default one is asked for", "[host]:2222 ssh-ed25519 KEY1\n", "host", 22, unknown},
      {"a pattern with a port", "[*]:2222 ssh-ed25519 KEY1\n", "host", 2222, known},
      {"a line without a port counts for any", "host ssh-ed25519 KEY1\n", "host", 2222, known},
      {"but not against the key", "host ssh-ed25519 KEY2\n", "host", 2222, unknown},
      {"and not over a line with the port", "[host]:2222 ssh-ed25519 KEY2\nhost ssh-ed25519 KEY1\n", "host", 2222,
       changed},
      {"a revoked key", "@revoked host ssh-ed25519 KEY1\n", "host", 22, revoked},
      {"revoked wherever it stands", "host ssh-ed25519 KEY1\n@revoked * ssh-ed25519 KEY1\n", "host", 22, revoked},
      {"revoked without a port", "[host]:2222 ssh-ed25519 KEY1\n@revoked host ssh-ed25519 KEY1\n", "host", 2222,
       revoked},
      {"another key revoked", "host ssh-ed25519 KEY1\n@revoked host ssh-ed25519 KEY2\n", "host", 22, known},
      {"revoked for another host", "host ssh-ed25519 KEY1\n@revoked other ssh-ed25519 KEY1\n", "host", 22, known},
      {"an authority", "@cert-authority *.x,host ssh-ed25519 KEY2\n", "host", 22, authority},
      {"an authority whose key is shown is no host key", "@cert-authority host ssh-ed25519 KEY1\n", "host", 22,
       authority},
      {"an authority beside the key", "@cert-authority * ssh-ed25519 KEY2\nhost ssh-ed25519 KEY1\n", "host", 22, known},
      {"an unknown marker", "@nonsense host ssh-ed25519 KEY1\n", "host", 22, unknown},
      {"a line that is cut off", "host ssh-ed25519\n", "host", 22, unknown},
      {"a hashed name that is not valid", "|1|x|y ssh-ed25519 KEY1\n", "host", 22, unknown},
      {"a hashed name of an unknown form", "|2|x|y ssh-ed25519 KEY1\n", "host", 22, unknown},
      {"a hashed name", "|1|MDEyMzQ1Njc4OWFiY2RlZmdoaWo=|9xkBbs6Xk7bONjEtv685aXOmEqs= ssh-ed25519 KEY1\n", "host", 22,
       known},
      {"a hashed name, upper case in the URL",
       "|1|MDEyMzQ1Njc4OWFiY2RlZmdoaWo=|9xkBbs6Xk7bONjEtv685aXOmEqs= ssh-ed25519 KEY1\n", "Host", 22, known},
      {"a hashed name with a port", "|1|MDEyMzQ1Njc4OWFiY2RlZmdoaWo=|WhB3PTf4GEyu/mLnSUVoB20SdOE= ssh-ed25519 KEY1\n",
       "host", 2222, known},
      {"a hashed name of another host",
       "|1|MDEyMzQ1Njc4OWFiY2RlZmdoaWo=|9xkBbs6Xk7bONjEtv685aXOmEqs= ssh-ed25519 KEY1\n", "hos", 22, unknown},
  };
  for (const Case& each : cases) {
    KnownHosts known_hosts;
    known_hosts.add(each.lines);
    EXPECT_EQ(known_hosts.judge(each.host, each.port, ed25519, "KEY1"), each.expected) << each.sentence;
  }
}

TEST(KnownHosts, ListsTheTypesOfAServer) {
  KnownHosts known_hosts;
  known_hosts.add("host ssh-rsa A\nhost ssh-ed25519 B\nhost ssh-rsa C\n@revoked host ecdsa-sha2-nistp256 D\n"
                  "[other]:22 ssh-dss E\n");
  EXPECT_EQ(known_hosts.types("host", 22), (std::vector<std::string>{"ssh-rsa", "ssh-ed25519"}));
  EXPECT_EQ(known_hosts.types("host", 2222), (std::vector<std::string>{"ssh-rsa", "ssh-ed25519"}));
  EXPECT_TRUE(known_hosts.types("other", 2222).empty());
}

TEST(KnownHosts, AFileThatIsMissingHasNoLines) {
  const auto known_hosts = KnownHosts::read({"/nonexistent/known_hosts"});
  ASSERT_TRUE(known_hosts);
  EXPECT_EQ(known_hosts->judge("host", 22, ed25519, "KEY1"), KnownHostVerdict::unknown);
  const auto directory = KnownHosts::read({"/"});
  ASSERT_FALSE(directory);
  EXPECT_EQ(directory.error().kind, ErrorKind::host_key);
}

} // namespace
} // namespace checkvalve
