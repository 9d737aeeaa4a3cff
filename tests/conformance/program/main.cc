// checkvalve-conformance: the backend suite against anybody's own server. Each test works in a directory of its own
// below the URL. See docs/add-a-backend.md.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <cstdio>

#include "cli/commands/one_end.h"
#include "cli/process.h"
#include "conformance/backend/suite.h"
#include "core/path.h"

namespace checkvalve::conformance {
namespace {

// Of all tests: its root is the directory of this run.
Endpoint& place() {
  static Endpoint the_one;
  return the_one;
}

// All goes through the backend itself; nothing else is known of the server. What plants and looks has connections of
// its own, which are made once a test: a login may take longer than all that a test does.
class UrlFixture : public BackendFixture {
public:
  explicit UrlFixture(BackendContext& context) : context_(context), directory_(fmt::format("/{:03}", ++tests_)) {}

  Task<Result<void>> set_up() override {
    CV_CO_TRY(writer_, make_target());
    CV_CO_CHECK(co_await writer_->connect());
    CV_CO_CHECK(co_await writer_->make_directory("", std::nullopt));
    CV_CO_TRY(reader_, make_source());
    co_return co_await connect_to_empty_root(*reader_);
  }
  Task<void> tear_down() override {
    if (writer_) co_await writer_->disconnect();
    if (reader_) co_await reader_->disconnect();
  }

  Result<std::unique_ptr<Source>> make_source() override { return checkvalve::make_source(context_, at("")); }
  Result<std::unique_ptr<Target>> make_target() override { return checkvalve::make_target(context_, at("")); }
  Result<std::unique_ptr<Target>> make_target_below(const std::string& directory) override {
    return checkvalve::make_target(context_, at("/" + directory));
  }

  Task<Result<void>> plant_file(std::string path, std::string content) override {
    CommitOptions options;
    options.replace = Replace::allow_gap;
    auto published = co_await put(*writer_, std::move(path), std::move(content), planting_name(), options);
    if (!published) co_return Failure(std::move(published.error()));
    co_return Result<void>();
  }
  Task<Result<void>> plant_directory(std::string path) override {
    return writer_->make_directory(std::move(path), std::nullopt);
  }
  Task<Result<void>> plant_link(std::string path, std::string text) override {
    return writer_->make_link(std::move(path), std::move(text), planting_name(), Replace::if_absent);
  }
  Task<Result<std::string>> read_back(std::string path) override { return get(*reader_, std::move(path)); }

private:
  Endpoint at(const std::string& below) const {
    Endpoint endpoint = place();
    endpoint.root += directory_ + below;
    return endpoint;
  }
  static inline int tests_ = 0;
  BackendContext& context_;
  const std::string directory_;
  std::unique_ptr<Target> writer_;
  std::unique_ptr<Source> reader_;
};

std::unique_ptr<BackendFixture> make(BackendContext& context) { return std::make_unique<UrlFixture>(context); }

INSTANTIATE_TEST_SUITE_P(Url, BackendSuite, testing::Values(BackendCase{"server", make}), case_name);

int run(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv); // takes its own options out
  CLI::App app("Runs checkvalve's backend tests against a server, in a new directory below URL. GTest's options work, "
               "too: --gtest_filter='*Publishes*', --gtest_brief=1.",
               "checkvalve-conformance");
  OneEndArguments arguments;
  Command command(app);
  add_one_end(command, arguments);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& stop) {
    return app.exit(stop) == 0 ? 0 : 2;
  }
  auto job = one_end_job(command, arguments);
  if (!job) {
    fmt::print(stderr, "checkvalve-conformance: {}\n", job.error().text());
    return 2;
  }
  Endpoint& endpoint = place();
  endpoint = std::move(job->source);
  while (endpoint.root.ends_with('/')) endpoint.root.pop_back();
  endpoint.root += "/checkvalve-conformance-" + random_plan_id();
  {
    testing_support::TestEngine engine;
    if (auto made = checkvalve::make_target(engine.context, endpoint); !made) {
      fmt::print(stderr, "checkvalve-conformance: {}\n", made.error().text());
      return 2;
    }
  }
  const int failed = RUN_ALL_TESTS();
  fmt::print("What the tests wrote is below {}: checkvalve removes nothing that is published, so remove it by hand.\n",
             endpoint.display());
  return failed;
}

} // namespace
} // namespace checkvalve::conformance

int main(int argc, char** argv) {
  checkvalve::prepare_process();
  return checkvalve::conformance::run(argc, argv);
}
