#include <map>

#include "conformance/backend/suite.h"
#include "core/path.h"
#include "doubles/memory/memory_store.h"

namespace checkvalve::conformance {
namespace {

using Options = std::map<std::string, std::string>;

class MemoryFixture : public BackendFixture {
public:
  MemoryFixture(BackendContext& context, Options options) : context_(context), options_(std::move(options)) {
    store()->put_directory("root");
  }
  ~MemoryFixture() override { MemoryStore::forget(name_); }

  Result<std::unique_ptr<Source>> make_source() override { return checkvalve::make_source(context_, at("/root")); }
  Result<std::unique_ptr<Target>> make_target() override { return checkvalve::make_target(context_, at("/root")); }
  Result<std::unique_ptr<Target>> make_target_below(const std::string& directory) override {
    return checkvalve::make_target(context_, at("/root/" + directory));
  }

  Task<Result<void>> plant_file(std::string path, std::string content) override {
    store()->put_file("root/" + path, std::move(content), 1'700'000'000'000'000'000);
    co_return Result<void>();
  }
  Task<Result<void>> plant_directory(std::string path) override {
    store()->put_directory("root/" + path);
    co_return Result<void>();
  }
  Task<Result<void>> plant_link(std::string path, std::string text) override {
    store()->put_link("root/" + path, std::move(text));
    co_return Result<void>();
  }
  Task<Result<std::string>> read_back(std::string path) override {
    const MemoryNode* node = store()->find("root/" + path);
    if (!node || !node->content) co_return Failure(make_error(ErrorKind::not_found, "read back", path, "no such file"));
    co_return *node->content;
  }
  Task<Result<std::vector<std::string>>> raw_names(std::string directory) override {
    std::vector<std::string> names;
    for (const auto& [path, node] : store()->nodes())
      if (parent_path(path) == join_path("root", directory)) names.emplace_back(base_name(path));
    co_return names;
  }
  bool deny(const std::string& path) override {
    store()->deny("root/" + path);
    return true;
  }

private:
  std::shared_ptr<MemoryStore> store() { return MemoryStore::named(name_); }
  Endpoint at(const std::string& path) const {
    Endpoint endpoint;
    endpoint.scheme = "memory";
    endpoint.host = name_;
    endpoint.root = path;
    endpoint.options = options_;
    return endpoint;
  }
  BackendContext& context_;
  Options options_;
  std::string name_ = "conformance-" + random_plan_id();
};

BackendCase memory_with(std::string name, Options options) {
  return {std::move(name),
          [options](BackendContext& context) { return std::make_unique<MemoryFixture>(context, options); }};
}

// One for each way in which servers differ.
INSTANTIATE_TEST_SUITE_P(
    Memory, BackendSuite,
    testing::Values(memory_with("memory", {}),
                    memory_with("memory_like_object_storage", {{"directories", "no"},
                                                               {"symlinks", "no"},
                                                               {"recursive_list", "yes"},
                                                               {"keeps_mode", "no"},
                                                               {"mtime_precision_ns", "1000000000"}}),
                    memory_with("memory_without_atomic_replace", {{"atomic_replace", "no"}, {"chunk_size", "32KiB"}}),
                    memory_with("memory_that_forgets", {{"keeps_mtime", "no"},
                                                        {"keeps_mode", "no"},
                                                        {"create_if_absent", "no"},
                                                        {"ranged_reads", "no"},
                                                        {"files_in_flight", "1"}})),
    case_name);

} // namespace
} // namespace checkvalve::conformance
