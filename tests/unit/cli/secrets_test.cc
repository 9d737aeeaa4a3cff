#include "cli/secrets.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>

namespace checkvalve {
namespace {

constexpr std::string_view secret = "s3cr3t-value";

TEST(Secrets, ReadsTheDocument) {
  Secrets secrets;
  ASSERT_TRUE(parse_secrets_document(R"({"source": {"password": "a"}, "target": {"private_key": "b"},
                                         "endpoints": {"in": {"password": "c"}}, "state": {"password": "d"}})",
                                     secrets)
                  .has_value());
  EXPECT_EQ(secrets.source.at("password").reveal(), "a");
  EXPECT_EQ(secrets.target.at("private_key").reveal(), "b");
  EXPECT_EQ(secrets.endpoints.at("in").at("password").reveal(), "c");
  EXPECT_EQ(secrets.state.at("password").reveal(), "d");
}

TEST(Secrets, ErrorsHoldNoPartOfThem) {
  for (const std::string document : {
           R"({"source": {"password": "s3cr3t-value")",     // cut off
           R"({"source": "s3cr3t-value"})",                 // no object
           R"({"source": {"password": ["s3cr3t-value"]}})", // no string
           R"({"sourc": {"password": "s3cr3t-value"}})",    // unknown key
           R"(s3cr3t-value)",
       }) {
    Secrets secrets;
    const auto parsed = parse_secrets_document(document, secrets);
    ASSERT_FALSE(parsed.has_value()) << document;
    EXPECT_EQ(parsed.error().text().find(secret), std::string::npos) << parsed.error().text();
    EXPECT_EQ(parsed.error().kind, ErrorKind::config);
  }
}

TEST(Secrets, TakesTheEnvironmentAwayFromChildren) {
  ::setenv("CHECKVALVE_SOURCE_PASSWORD", "x", 1);
  ::setenv("CHECKVALVE_TARGET_PASSPHRASE", "y", 1);
  int connections[2];
  ASSERT_EQ(::pipe(connections), 0);
  const std::string document = R"({"target": {"password": "z"}})";
  ASSERT_EQ(::write(connections[1], document.data(), document.size()), static_cast<ssize_t>(document.size()));
  ::close(connections[1]);
  const auto secrets = read_secrets(connections[0]);
  ASSERT_TRUE(secrets.has_value());
  EXPECT_EQ(secrets->source_environment.at("password").reveal(), "x");
  EXPECT_EQ(secrets->target_environment.at("passphrase").reveal(), "y");
  EXPECT_EQ(secrets->target.at("password").reveal(), "z");
  EXPECT_EQ(std::getenv("CHECKVALVE_SOURCE_PASSWORD"), nullptr);
  EXPECT_EQ(std::getenv("CHECKVALVE_TARGET_PASSPHRASE"), nullptr);
}

TEST(Secrets, SaysWhichDescriptorCanNotBeRead) {
  const auto secrets = read_secrets(987);
  ASSERT_FALSE(secrets.has_value());
  EXPECT_NE(secrets.error().text().find("descriptor 987"), std::string::npos);
}

} // namespace
} // namespace checkvalve
