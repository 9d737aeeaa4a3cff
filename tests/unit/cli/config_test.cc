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

// With the hint, as "TEXT; HINT".
std::string text_of(const Error& error) { return error.text() + (error.hint.empty() ? "" : "; " + error.hint); }

std::string config_error_of(std::string_view text) {
  auto config = parse_config(text, "cv.toml");
  return config ? "" : text_of(config.error());
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
  EXPECT_EQ(settings.job.selection.rules[0].glob.text(), "tmp/**");
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

TEST(Config, DirectoriesAreRelativeToTheConfigToo) {
  const Config config =
      config_of("[job.a]\nsource = \"out/{date}\"\ntarget = \"~/in\"\n[job.b]\nsource = \"in:x\"\ntarget = \".\"\n"
                "[job.c]\nsource = \"sftp://h/x\"\ntarget = \"me@h:/x\"\n"
                "[endpoint.below]\nscheme = \"file\"\nroot = \"data\"\n[endpoint.home]\nurl = \"~/data\"\n");
  const std::string home = std::getenv("HOME");
  Settings settings;
  ASSERT_TRUE(apply_settings(settings, config.jobs.at("a")).has_value());
  EXPECT_EQ(settings.source, "dir/out/{date}");
  EXPECT_EQ(settings.target, home + "/in");
  ASSERT_TRUE(apply_settings(settings, config.jobs.at("b")).has_value());
  EXPECT_EQ(settings.source, "in:x");
  EXPECT_EQ(settings.target, "dir/");
  ASSERT_TRUE(apply_settings(settings, config.jobs.at("c")).has_value());
  EXPECT_EQ(settings.source, "sftp://h/x");
  EXPECT_EQ(settings.target, "me@h:/x");
  EXPECT_EQ(config.endpoints.at("below").endpoint.root, "dir/data");
  EXPECT_EQ(config.endpoints.at("home").endpoint.root, home + "/data");
}

TEST(Config, NoneIsNoFile) {
  const Config config = config_of("[endpoint.a]\nurl = \"sftp://h/x\"\nssh_config = \"none\"\n");
  EXPECT_EQ(config.endpoints.at("a").endpoint.options.at("ssh_config"), "none");
}

TEST(Config, NamesFileLineKeyAndTheNearestKey) {
  EXPECT_EQ(config_error_of("[job.a]\nsource = \"/x\"\ninclde = \"*\"\n"),
            "cv.toml:3: unknown key 'inclde' in [job.a]; did you mean 'include'?");
  EXPECT_EQ(config_error_of("[endpoint.a]\nurl = \"file:///x\"\nspars = true\n"),
            "cv.toml:3: unknown key 'spars' in [endpoint.a]; did you mean 'sparse'?");
  EXPECT_EQ(config_error_of("[jobs.a]\n"), "cv.toml:1: unknown key 'jobs' in the config; did you mean 'job'?");
  EXPECT_EQ(config_error_of("[job.a]\nzzzzzzzz = 1\n"),
            "cv.toml:2: unknown key 'zzzzzzzz' in [job.a]; docs/reference/config.md lists the keys");
  EXPECT_EQ(config_error_of("[job.a]\noverwrite = \"non-atomic\"\n"),
            "cv.toml:2: unknown key 'overwrite' in [job.a]; use --on-conflict overwrite-non-atomic");
}

TEST(Config, RefusesWrongTypesAndValues) {
  const std::vector<std::pair<std::string, std::string>> wrong = {
      {"[job.a]\nchecksum = \"yes\"", "cv.toml:2: checksum: invalid value 'yes': expected true or false"},
      {"[job.a]\n\ninclude = 5", "cv.toml:3: include: invalid value 5: expected a string or an array of strings"},
      {"[job.a]\ninclude = [\"a\", 1.5]", "cv.toml:2: include: invalid value 1.5: expected a string"},
      {"[job.a]\nsource = 5", "cv.toml:2: source: invalid value 5: expected a string"},
      {"[job.a]\nverify = true", "cv.toml:2: verify: invalid value true: expected a string"},
      {"[job.a]\nretries = \"6\"", "cv.toml:2: retries: invalid value '6': expected an integer"},
      {"[job.a]\nretries = 1.5", "cv.toml:2: retries: invalid value 1.5: expected an integer"},
      {"[job.a]\nmemory = true", "cv.toml:2: memory: invalid value true: expected a string or an integer"},
      {"[job.a]\nstate = [\"x\"]", "cv.toml:2: state: invalid value an array: expected a string"},
      {"[job.a]\nsource = 2024-03-01", "cv.toml:2: source: invalid value 2024-03-01: expected a string"},
      {"[endpoint.a]\nurl = \"sftp://h/x\"\nidentity = 5", "cv.toml:3: identity: invalid value 5: expected a string"},
      {"[endpoint.a]\nurl = \"sftp://h/x\"\nconnections = \"2\"",
       "cv.toml:3: connections: invalid value '2': expected an integer"},
      {"[endpoint.a]\nurl = \"sftp://h/x\"\nagent = 1", "cv.toml:3: agent: invalid value 1: expected true or false"},
      {"[endpoint.a]\nurl = \"sftp://h/x\"\ncommand = [\"a\", 1]",
       "cv.toml:3: command: invalid element 1: expected a string"},
      {"[[job.a.transform]]\nname = \"split\"\nlines = \"many\"",
       "cv.toml:3: lines: invalid value 'many': expected an integer"},
      {"[[job.a.transform]]\nlevel = 3", "cv.toml:1: transform: missing name; for example name = \"gzip\""},
  };
  for (const auto& [text, message] : wrong) EXPECT_EQ(config_error_of(text), message) << text;
  EXPECT_EQ(config_of("[job.a]\ndate = 2024-03-01\nmin_size = 10\nmemory = \"8MiB\"\n").jobs.at("a").size(), 3U);
  EXPECT_EQ(config_of("[endpoint.a]\nurl = \"sftp://h/x\"\nagent = \"no\"\nchunk = 65536\n").endpoints.size(), 1U);
  EXPECT_NE(config_error_of("[job.a\n").find("cv.toml:1:"), std::string::npos);
  EXPECT_NE(config_error_of("[endpoint.a]\nscheme = \"gopher\"\n").find("unknown scheme 'gopher'"), std::string::npos);
  EXPECT_NE(config_error_of("[endpoint.a]\nport = 99999\nscheme = \"file\"\n").find("from 1 to 65535"),
            std::string::npos);
  EXPECT_NE(config_error_of("[endpoint.a]\nhost = \"h\"\n").find("has no address"), std::string::npos);
  EXPECT_NE(config_error_of("[endpoint.a]\nurl = \"file:///x\"\nhost = \"h\"\n").find("both 'url' and 'host'"),
            std::string::npos);

  const Config config = config_of("[job.a]\nmin_age = \"soon\"\n");
  Settings settings;
  const auto applied = apply_settings(settings, config.jobs.at("a"));
  ASSERT_FALSE(applied.has_value());
  EXPECT_EQ(applied.error().path, "dir/cv.toml:2: min_age");
  EXPECT_NE(applied.error().message.find("'soon'"), std::string::npos) << applied.error().message;
}

TEST(Config, KeepsSecretsOut) {
  const std::string error = config_error_of("[endpoint.a]\nurl = \"sftp://h/x\"\npassword = \"hunter2\"\n");
  EXPECT_NE(error.find("password_file"), std::string::npos) << error;
  EXPECT_EQ(error.find("hunter2"), std::string::npos);
  const Config config = config_of("[endpoint.a]\nurl = \"sftp://h/x\"\npassword_file = \"pw\"\n");
  EXPECT_EQ(config.endpoints.at("a").secrets.at("password").file, "dir/pw") << "relative to the config";
  EXPECT_NE(config_error_of("[endpoint.a]\nurl = \"sftp://h/x\"\npassword_file = \"a\"\npassword_env = \"B\"\n")
                .find("duplicate secret"),
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
  EXPECT_EQ(text_of(unknown.error()), "im:a: unknown endpoint 'im' in dir/cv.toml; did you mean 'in'?");
  const auto slash = resolve_endpoint("file:/x", Side::source, inputs);
  ASSERT_FALSE(slash.has_value());
  EXPECT_NE(slash.error().hint.find("file:///x"), std::string::npos) << slash.error().hint;
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
