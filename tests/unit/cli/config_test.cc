#include "cli/config.h"

#include <gtest/gtest.h>

#include "cli/endpoints.h"

namespace checkvalve {
namespace {

Config config_of(std::string_view text) {
  auto config = parse_config(text, "dir/cv.toml");
  EXPECT_TRUE(config.has_value()) << (config ? "" : config.error().text());
  return config ? std::move(*config) : Config{};
}

std::string config_error_of(std::string_view text) {
  auto config = parse_config(text, "cv.toml");
  return config ? "" : config.error().text();
}

TEST(Config, ReadsJobsEndpointsAndDefaults) {
  const Config config =
      config_of("[defaults]\nretries = 6\n"
                "[endpoint.in]\nurl = \"file:///data/in\"\n"
                "[job.daily]\nsource = \"in:{date}\"\ntarget = \"/out\"\nmin_age = \"5m\"\nchecksum = true\n"
                "include = [\"*.txt\"]\nexclude = \"tmp/**\"\n");
  EXPECT_EQ(config.endpoints.at("in").endpoint.root, "/data/in");
  Settings settings;
  ASSERT_TRUE(apply_settings(settings, config.defaults).has_value());
  ASSERT_TRUE(apply_settings(settings, config.jobs.at("daily")).has_value());
  EXPECT_EQ(settings.job.retries, 6u);
  EXPECT_EQ(settings.job.selection.min_age, std::chrono::minutes(5));
  EXPECT_TRUE(settings.job.checksum);
  ASSERT_EQ(settings.job.selection.rules.size(), 2u);
  EXPECT_FALSE(settings.job.selection.rules[0].include) << "exclude comes first";
  EXPECT_EQ(settings.job.selection.rules[0].glob, "tmp/**");
}

TEST(Config, PassesOverWhatTheAirflowProviderReads) {
  const Config config = config_of("[airflow]\nowner = \"data\"\n[airflow.a]\nschedule = \"@daily\"\n"
                                  "[job.a]\nsource = \"/x\"\ntarget = \"/y\"\n");
  EXPECT_EQ(config.jobs.size(), 1u);
}

TEST(Config, NamesOfFilesAreRelativeToTheConfig) {
  const Config config =
      config_of("[defaults]\nidentity = \"keys/id\"\nknown_hosts = \"/etc/known\"\nstate = \"~/s.db\"\n"
                "[job.a]\nfiles_from = \"list\"\n[job.b]\nfiles_from = \"-\"\n"
                "state = \"postgresql://host/name\"\n");
  Settings settings;
  ASSERT_TRUE(apply_settings(settings, config.defaults).has_value());
  EXPECT_EQ(settings.shared_options["identity"], "dir/keys/id");
  EXPECT_EQ(settings.shared_options["known_hosts"], "/etc/known");
  EXPECT_EQ(settings.state, std::string(std::getenv("HOME")) + "/s.db");
  ASSERT_TRUE(apply_settings(settings, config.jobs.at("a")).has_value());
  EXPECT_EQ(settings.files_from, "dir/list");
  ASSERT_TRUE(apply_settings(settings, config.jobs.at("b")).has_value());
  EXPECT_EQ(settings.files_from, "-");
  EXPECT_EQ(settings.state, "postgresql://host/name");
}

TEST(Config, NamesFileLineKeyAndTheNearestKey) {
  EXPECT_EQ(config_error_of("[job.a]\nsource = \"/x\"\ninclde = \"*\"\n"),
            "cv.toml:3: 'inclde' is no key of [job.a]: did you mean 'include'?");
  EXPECT_EQ(config_error_of("[endpoint.a]\nurl = \"file:///x\"\nspars = true\n"),
            "cv.toml:3: 'spars' is no key of [endpoint.a]: did you mean 'sparse'?");
  EXPECT_EQ(config_error_of("[jobs.a]\n"), "cv.toml:1: 'jobs' is no key of the config: did you mean 'job'?");
  EXPECT_EQ(config_error_of("[job.a]\nzzzzzzzz = 1\n"),
            "cv.toml:2: 'zzzzzzzz' is no key of [job.a]: docs/reference/config.md lists the keys");
}

TEST(Config, RefusesWrongTypesAndValues) {
  EXPECT_EQ(config_error_of("[job.a]\nchecksum = \"yes\"\n"), "cv.toml:2: checksum: must be true or false");
  EXPECT_EQ(config_error_of("[job.a]\ninclude = [1.5]\n"), "cv.toml:2: include: each element must be a text in quotes");
  EXPECT_NE(config_error_of("[job.a\n").find("cv.toml:1:"), std::string::npos);
  EXPECT_NE(config_error_of("[endpoint.a]\nscheme = \"gopher\"\n").find("no backend is named 'gopher'"),
            std::string::npos);
  EXPECT_NE(config_error_of("[endpoint.a]\nport = 99999\nscheme = \"file\"\n").find("from 1 to 65535"),
            std::string::npos);
  EXPECT_NE(config_error_of("[endpoint.a]\nhost = \"h\"\n").find("has no address"), std::string::npos);
  EXPECT_NE(config_error_of("[endpoint.a]\nurl = \"file:///x\"\nhost = \"h\"\n").find("both 'url' and 'host'"),
            std::string::npos);

  const Config config = config_of("[job.a]\nmin_age = \"soon\"\n");
  Settings settings;
  const auto applied = apply_settings(settings, config.jobs.at("a"));
  ASSERT_FALSE(applied.has_value());
  EXPECT_EQ(applied.error().text().substr(0, 49), "dir/cv.toml:2: min_age: 'soon' is no duration: wr");
}

TEST(Config, KeepsSecretsOut) {
  const std::string error = config_error_of("[endpoint.a]\nurl = \"sftp://h/x\"\npassword = \"hunter2\"\n");
  EXPECT_NE(error.find("write password_file"), std::string::npos) << error;
  EXPECT_EQ(error.find("hunter2"), std::string::npos);
  const Config config = config_of("[endpoint.a]\nurl = \"sftp://h/x\"\npassword_file = \"pw\"\n");
  EXPECT_EQ(config.endpoints.at("a").secrets.at("password").file, "dir/pw") << "relative to the config";
  EXPECT_NE(config_error_of("[endpoint.a]\nurl = \"sftp://h/x\"\npassword_file = \"a\"\npassword_env = \"B\"\n")
                .find("named twice"),
            std::string::npos);
}

TEST(Endpoints, ResolvesNamesBelowOrInsteadOfTheRoot) {
  const Config config = config_of("[endpoint.in]\nurl = \"file:///data/in\"\n");
  const Secrets secrets;
  const Settings settings;
  const EndpointInputs inputs{config, secrets, settings};
  EXPECT_EQ(resolve_endpoint("in:a/b/", Side::source, inputs)->root, "/data/in/a/b");
  EXPECT_EQ(resolve_endpoint("in:", Side::source, inputs)->root, "/data/in");
  EXPECT_EQ(resolve_endpoint("in:/x", Side::source, inputs)->root, "/x");
  EXPECT_EQ(resolve_endpoint("file:///x", Side::source, inputs)->root, "/x");
  const auto unknown = resolve_endpoint("im:a", Side::source, inputs);
  ASSERT_FALSE(unknown.has_value());
  EXPECT_EQ(unknown.error().text(), "im:a: dir/cv.toml has no [endpoint.im]: did you mean 'in'?");
}

TEST(Endpoints, TakesSecretsFromEachPlaceAndTheNearestWins) {
  const Config config = config_of("[endpoint.a]\nurl = \"sftp://h/x\"\npassword_env = \"CV_TEST_PW\"\n");
  ::setenv("CV_TEST_PW", "from-config", 1);
  Secrets secrets;
  const Settings settings;
  const EndpointInputs inputs{config, secrets, settings};
  auto password = [&] { return resolve_endpoint("a:", Side::source, inputs)->secrets.at("password").reveal(); };
  EXPECT_EQ(password(), "from-config");
  secrets.endpoints["a"]["password"] = Secret("from-endpoints");
  EXPECT_EQ(password(), "from-endpoints");
  secrets.source_environment["password"] = Secret("from-environment");
  secrets.source_environment["no_secret_of_sftp"] = Secret("passed over");
  EXPECT_EQ(password(), "from-environment");
  secrets.source["password"] = Secret("from-document");
  EXPECT_EQ(password(), "from-document");
  secrets.target["password"] = Secret("of the other side");
  EXPECT_EQ(password(), "from-document");
}

} // namespace
} // namespace checkvalve
