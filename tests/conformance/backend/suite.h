// What every backend must do, as tests. A backend joins with a fixture and one line:
//
//     INSTANTIATE_TEST_SUITE_P(Local, BackendSuite, testing::Values(BackendCase{"local", make_local_fixture}),
//     case_name);
//
// A test reads Capabilities to know what to expect; it knows no backend by name.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backends/registry.h"
#include "backends/source.h"
#include "backends/target.h"
#include "support/run.h"

namespace checkvalve::conformance {

// One fresh, empty root, with what a test needs beyond Source and Target: a way to put things there and to look at
// them that the backend under test has no part in. The defaults go through the backend itself, which is what a server
// that can only be reached that way allows; override what can be done directly.
class BackendFixture {
public:
  virtual ~BackendFixture() = default;

  // Makes the root; called once, before all else.
  virtual Task<Result<void>> set_up() { co_return Result<void>(); }
  // Both sides on this root, not connected. Called several times.
  virtual Result<std::unique_ptr<Source>> make_source() = 0;
  virtual Result<std::unique_ptr<Target>> make_target() = 0;
  // A target on a root that does not exist yet, below this root. Null: there is no such thing.
  virtual Result<std::unique_ptr<Target>> make_target_below(const std::string& directory) {
    (void)directory;
    return nullptr;
  }

  // Paths are relative to the root; the directory exists.
  virtual Task<Result<void>> plant_file(std::string path, std::string content);
  virtual Task<Result<void>> plant_directory(std::string path);
  virtual Task<Result<void>> plant_link(std::string path, std::string text);
  virtual Task<Result<std::string>> read_back(std::string path);
  // All names in a directory, hidden ones and temporaries too, sorted; "" is the root. A root that does not exist is
  // empty.
  virtual Task<Result<std::vector<std::string>>> raw_names(std::string directory);
  // Makes a file unreadable, or a directory unwritable, for the user that the backend works as. False: can't be done
  // here (e.g. root may read everything); the test is then skipped.
  virtual bool deny(const std::string& path) {
    (void)path;
    return false;
  }
  // Called once all connections of the test are closed.
  virtual Task<void> tear_down() { co_return; }
};

// Connects to a root that may hold nothing yet: where directories are names only, it exists from its first file on.
Task<Result<void>> connect_to_empty_root(Source& source);

struct BackendCase {
  std::string name; // letters, digits and '_' only
  std::function<std::unique_ptr<BackendFixture>(BackendContext&)> make;
};

inline void PrintTo(const BackendCase& backend, std::ostream* out) { *out << backend.name; }
inline std::string case_name(const testing::TestParamInfo<BackendCase>& info) { return info.param.name; }

class BackendSuite : public testing::TestWithParam<BackendCase> {
public:
  void SetUp() override;
  void TearDown() override;
  // Runs the test's coroutine; skips the test if it called skip().
  void run(Task<void> body);

  Source& source() { return *source_; }
  Target& target() { return *target_; }
  BackendFixture& fixture() { return *fixture_; }
  testing_support::TestEngine& engine() { return engine_; }
  const Capabilities& capabilities() const { return target_->capabilities(); }
  void skip(std::string reason) { skip_reason_ = std::move(reason); }
  const std::optional<std::string>& skip_reason() const { return skip_reason_; }

  // A temporary's name of this test's plan and attempt: one a file number.
  TemporaryName temporary(std::uint64_t file, std::uint32_t attempt = 1) const {
    return {plan_, attempt, nonce_, file};
  }

private:
  Task<void> connect();
  Task<void> close();

  testing_support::TestEngine engine_; // outlives all that follows
  std::unique_ptr<BackendFixture> fixture_;
  std::unique_ptr<Source> source_;
  std::unique_ptr<Target> target_;
  std::optional<std::string> skip_reason_;
  std::string plan_ = random_plan_id();
  std::string nonce_ = random_nonce();
};

// BACKEND_TEST(Name) { … }: a test whose body is a coroutine, with the suite as `t`.
#define BACKEND_TEST(Name)                                                                                             \
  static Task<void> Name##_body(BackendSuite& t);                                                                      \
  TEST_P(BackendSuite, Name) {                                                                                         \
    run(Name##_body(*this));                                                                                           \
    if (skip_reason()) GTEST_SKIP() << *skip_reason();                                                                 \
  }                                                                                                                    \
  static Task<void> Name##_body(BackendSuite& t)

#define CO_SKIP(reason)                                                                                                \
  do {                                                                                                                 \
    t.skip(reason);                                                                                                    \
    co_return;                                                                                                         \
  } while (0)

// --- what tests share -------------------------------------------------------------------------------------------

// `size` bytes that differ from place to place, and by `seed`.
std::string pattern(std::size_t size, std::uint32_t seed = 1);

// begin, writes of at most the chunk size, commit. `options.size_bytes` is set from the content.
Task<Result<Published>> put(Target& target, std::string path, std::string content, TemporaryName temporary,
                            CommitOptions options = {});
// Writes `content` from offset 0 in pieces of `piece_bytes`, `in_flight` of them at once.
Task<Result<void>> write_all(Upload& upload, std::string content, std::size_t piece_bytes, std::size_t in_flight);

// Names for the temporaries of planted files, far from those of tests.
TemporaryName planting_name();

// stat (following links), open, and read to the end.
Task<Result<std::string>> get(Source& source, std::string path);

// All entries of one directory, sorted by path. Names that were refused are added to `refused` if it is given.
template <class Side>
Task<Result<std::vector<Entry>>> list_all(Side& side, std::string directory, bool recursive = false,
                                          std::vector<Error>* refused = nullptr);
extern template Task<Result<std::vector<Entry>>> list_all(Source&, std::string, bool, std::vector<Error>*);
extern template Task<Result<std::vector<Entry>>> list_all(Target&, std::string, bool, std::vector<Error>*);

// What find_leftovers gives, none of it unreadable.
Task<Result<std::vector<Orphan>>> orphans_of(Target& target, std::string directory, std::size_t limit);

std::vector<std::string> paths_of(const std::vector<Entry>& entries);

} // namespace checkvalve::conformance
