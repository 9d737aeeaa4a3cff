#include "backends/registry.h"

#include <gtest/gtest.h>

#include <set>

#include "support/run.h"

namespace checkvalve {
namespace {

constexpr OptionSpec specs[] = {
    {"word", OptionType::text, "default word", "a word"}, {"count", OptionType::integer, "7", "a number"},
    {"buffer", OptionType::size, "64KiB", "a size"},      {"patience", OptionType::duration, "30s", "a duration"},
    {"brave", OptionType::boolean, "no", "yes or no"},    {"file", OptionType::path, "", "a path"},
    {"command", OptionType::list, "", "words"},           {"password", OptionType::secret, "", "a secret"},
};
const BackendDescriptor descriptor = {"test", "for tests", specs, nullptr, nullptr};

TEST(OptionReader, GivesDefaults) {
  const Endpoint endpoint;
  const OptionReader reader(descriptor, endpoint);
  EXPECT_EQ(reader.text("word"), "default word");
  EXPECT_EQ(reader.number("count"), 7U);
  EXPECT_EQ(reader.number("buffer"), 65'536U);
  EXPECT_EQ(reader.duration("patience"), std::chrono::seconds(30));
  EXPECT_FALSE(reader.boolean("brave"));
  EXPECT_EQ(reader.text("file"), "");
  EXPECT_TRUE(reader.list("command").empty());
  EXPECT_TRUE(reader.secret("password").empty());
}

TEST(OptionReader, GivesWhatTheEndpointSays) {
  Endpoint endpoint;
  endpoint.options = {{"word", "given"},     {"count", "12"}, {"buffer", "1.5MiB"},
                      {"patience", "1m30s"}, {"brave", "on"}, {"command", R"(["rclone", "serve sftp", "--stdio"])"}};
  endpoint.secrets["password"] = Secret("hunter2");
  const OptionReader reader(descriptor, endpoint);
  EXPECT_EQ(reader.text("word"), "given");
  EXPECT_EQ(reader.number("count"), 12U);
  EXPECT_EQ(reader.number("buffer"), 1'572'864U);
  EXPECT_EQ(reader.duration("patience"), std::chrono::seconds(90));
  EXPECT_TRUE(reader.boolean("brave"));
  EXPECT_EQ(reader.list("command"), (std::vector<std::string>{"rclone", "serve sftp", "--stdio"}));
  EXPECT_EQ(reader.secret("password").reveal(), "hunter2");
  endpoint.options["command"] = "one-word";
  EXPECT_EQ(reader.list("command"), (std::vector<std::string>{"one-word"}));
}

Result<std::unique_ptr<Target>> memory_target(const Endpoint& endpoint) {
  testing_support::TestEngine engine;
  return make_target(engine.context, endpoint);
}

TEST(Registry, ChecksOptionsAndSaysWhatThereIs) {
  Endpoint endpoint;
  endpoint.scheme = "memory";
  endpoint.host = "registry-test";
  EXPECT_OK(memory_target(endpoint));
  struct Case {
    std::string name;
    std::string value;
    std::string said;
  };
  for (const Case& bad : {Case{"no_such", "1", "atomic_replace"}, Case{"atomic_replace", "maybe", "yes or no"},
                          Case{"files_in_flight", "-1", "an integer"}, Case{"files_in_flight", "12x", "an integer"},
                          Case{"chunk_size", "big", "size like"}}) {
    Endpoint with = endpoint;
    with.options[bad.name] = bad.value;
    const auto made = memory_target(with);
    ASSERT_FALSE(made.has_value()) << bad.name << "=" << bad.value;
    EXPECT_EQ(made.error().kind, ErrorKind::config);
    EXPECT_NE(made.error().message.find(bad.said), std::string::npos) << made.error().message;
    EXPECT_NE(made.error().message.find(bad.name), std::string::npos) << made.error().message;
  }
}

TEST(Registry, ChecksSecretsAndDoesNotShowThem) {
  Endpoint endpoint;
  endpoint.scheme = "memory";
  endpoint.host = "registry-test";
  endpoint.secrets["password"] = Secret("hunter2");
  const auto made = memory_target(endpoint);
  ASSERT_FALSE(made.has_value());
  EXPECT_EQ(made.error().kind, ErrorKind::config);
  EXPECT_NE(made.error().message.find("password"), std::string::npos);
  EXPECT_EQ(made.error().text().find("hunter2"), std::string::npos);
}

TEST(Registry, NamesTheBackendsForAnUnknownScheme) {
  Endpoint endpoint;
  endpoint.scheme = "gopher";
  endpoint.host = "host";
  const auto made = memory_target(endpoint);
  ASSERT_FALSE(made.has_value());
  EXPECT_EQ(made.error().kind, ErrorKind::config);
  EXPECT_NE(made.error().message.find("file"), std::string::npos) << made.error().message;
  EXPECT_EQ(find_backend("gopher"), nullptr);
}

// What --help and the reference page print.
TEST(Registry, DescribesEveryBackendAndOption) {
  std::set<std::string_view> schemes;
  for (const BackendDescriptor* backend : backends()) {
    EXPECT_TRUE(schemes.insert(backend->scheme).second) << backend->scheme;
    EXPECT_EQ(find_backend(backend->scheme), backend);
    EXPECT_FALSE(backend->summary.empty());
    Endpoint all_defaults;
    all_defaults.scheme = backend->scheme;
    for (const OptionSpec& option : backend->options) {
      EXPECT_FALSE(option.help.empty()) << option.name;
      EXPECT_EQ(option.help.find('\n'), option.help.npos) << option.name;
      if (option.type == OptionType::boolean) EXPECT_FALSE(option.default_value.empty()) << option.name;
      if (option.type != OptionType::secret && !option.default_value.empty())
        all_defaults.options[std::string(option.name)] = option.default_value;
    }
    // Every default is a value that a user could write.
    const OptionReader reader(*backend, all_defaults);
    testing_support::TestEngine engine;
    const auto made = make_source(engine.context, all_defaults);
    if (!made) EXPECT_EQ(made.error().message.find("must be"), std::string::npos) << made.error().message;
  }
  EXPECT_TRUE(schemes.contains("file"));
  EXPECT_TRUE(schemes.contains("memory")) << "what this program added";
}

} // namespace
} // namespace checkvalve
