// A whole engine between two stores in memory, with a real state store in a temporary directory.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <string>

#include "backends/registry.h"
#include "doubles/memory/memory_store.h"
#include "support/awaited.h"
#include "support/run.h"
#include "sync/engine.h"

namespace checkvalve::testing_support {

inline constexpr std::int64_t second = 1'000'000'000;

class SyncFixture : public ::testing::Test {
public:
  SyncFixture() {
    std::string pattern = (std::filesystem::temp_directory_path() / "checkvalve-test-XXXXXX").string();
    directory_ = ::mkdtemp(pattern.data());
    job.source = parse_endpoint_url("memory://source/in").value();
    job.target = parse_endpoint_url("memory://target/out").value();
    job.source.options["mtime_precision_ns"] = "1000000000";
    job.retries = 2;
    source->put_directory("in");
    target->put_directory("out");
    reopen();
  }
  ~SyncFixture() override {
    store.reset();
    MemoryStore::forget("source");
    MemoryStore::forget("target");
    std::filesystem::remove_all(directory_);
  }

  std::string state_path() const { return directory_ + "/state.db"; }
  void reopen(const StateOptions& options = {}) {
    std::vector<std::string> warnings;
    store.reset();
    store = open_state_store(state_path(), warnings, options).value();
  }

  Engine parts() { return {engine.loop, engine.events, engine.workers, *store, cancellation}; }

  Result<Connections> connections() {
    Connections made;
    CV_TRY(made.pair, identities(job));
    CV_TRY(made.source, make_source(engine.context, job.source));
    CV_TRY(made.target, make_target(engine.context, job.target));
    CV_TRY(made.readback, make_source(engine.context, job.target));
    CV_CHECK(engine.run(made.source->connect()));
    CV_CHECK(engine.run(made.target->connect()));
    return made;
  }

  Result<Summary> plan(bool dry_run = false) {
    Engine shared = parts();
    CV_TRY(Connections both, connections());
    return engine.run(make_plan(shared, job, both, dry_run));
  }
  Result<Summary> run(const std::string& plan_id, RunOptions options = {}) {
    Engine shared = parts();
    CV_TRY(Connections both, connections());
    return engine.run(run_plan(shared, job, plan_id, both, std::move(options)));
  }
  // Plans and runs; the run's summary, with what was skipped and failed while planning added.
  Result<Summary> sync() {
    CV_TRY(const Summary planned, plan());
    CV_TRY(Summary ran, run(planned.plan));
    ran.files_skipped += planned.files_skipped;
    ran.files_failed += planned.files_failed;
    ran.failures.insert(ran.failures.begin(), planned.failures.begin(), planned.failures.end());
    return ran;
  }

  // Puts a file, and the directories above it.
  static void put(MemoryStore& into, const std::string& path, std::string content, std::int64_t mtime_ns = 0) {
    for (std::size_t slash = path.find('/'); slash != path.npos; slash = path.find('/', slash + 1))
      if (!into.find(path.substr(0, slash))) into.put_directory(path.substr(0, slash));
    into.put_file(path, std::move(content), mtime_ns);
  }

  // A small tree at the source, with an empty file, a large one and an odd name.
  void fill() {
    put(*source, "in/a.txt", "alpha", 1'000 * second);
    put(*source, "in/deep/er/b.txt", "beta", 2'000 * second);
    put(*source, "in/empty", "", 3'000 * second);
    put(*source, "in/large.bin", std::string(3 << 20, 'x'), 4'000 * second);
    put(*source, "in/odd \xff\n'\"", "odd", 5'000 * second);
  }

  // Path below the root → content, of all files that are no temporaries.
  static std::map<std::string, std::string> files(const MemoryStore& of, const std::string& root) {
    std::map<std::string, std::string> out;
    for (const auto& [path, node] : of.nodes())
      if (node.type == EntryType::file && path.starts_with(root + "/"))
        out[path.substr(root.size() + 1)] = *node.content;
    return out;
  }
  void expect_same_trees() {
    const auto here = files(*source, "in");
    const auto there = files(*target, "out");
    for (const auto& [path, content] : here) {
      const auto found = there.find(path);
      EXPECT_TRUE(found != there.end()) << path << " is missing";
      if (found != there.end()) EXPECT_TRUE(found->second == content) << path << " has other content";
    }
    EXPECT_EQ(here.size(), there.size());
    EXPECT_TRUE(target->temporaries().empty());
  }

  TestEngine engine;
  std::shared_ptr<MemoryStore> source = MemoryStore::named("source");
  std::shared_ptr<MemoryStore> target = MemoryStore::named("target");
  std::unique_ptr<StateStore> store;
  Cancellation cancellation;
  Job job;

private:
  std::string directory_;
};

} // namespace checkvalve::testing_support
