// The engine's operations, as the command line and tests call them. Each is a coroutine of the engine thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backends/registry.h"
#include "backends/source.h"
#include "backends/target.h"
#include "core/async.h"
#include "core/cancellation.h"
#include "core/event.h"
#include "core/result.h"
#include "state/store.h"
#include "sync/job.h"

namespace checkvalve {

// What all operations share.
struct Engine {
  Loop& loop;
  EventSink& events;
  ThreadPool& workers;
  StateStore& store;
  Cancellation& cancellation;
};

// Both ends of a job, connected. `readback` reads the target; made only where the job compares or verifies content.
struct Connections {
  std::unique_ptr<Source> source;
  std::unique_ptr<Target> target;
  std::unique_ptr<Source> readback;
  PairKey pair = {}; // identities of source and target: the state's keys
};

// Connections::pair of a job. Blocks. Error kind config.
Result<PairKey> identities(const Job& job);

// Makes and connects both sides at once, with the decorators that the job asks for (retry, throttle). On failure the
// error names the endpoint.
Task<Result<Connections>> open_connections(BackendContext& context, const Job& job, Cancellation& cancellation);
// The same for the target alone.
Task<Result<std::unique_ptr<Target>>> open_target(BackendContext& context, const Job& job, Cancellation& cancellation);
Task<void> close_connections(Connections& connections);
// The algorithm of the job's digests: with VerifyMode::hash that of the target's server-side checksum, else the
// engine's own. Kind config if the target has no server-side checksum.
Task<Result<HashAlgorithm>> hash_of(const Job& job, Target& target);

struct Summary {
  std::string plan;
  std::uint64_t files_planned = 0;
  std::uint64_t files_copied = 0;
  std::uint64_t files_skipped = 0;
  std::uint64_t files_failed = 0;
  std::uint64_t files_filtered = 0;   // of the source, not selected by name or size
  std::uint64_t files_too_recent = 0; // of the source, not selected by age
  std::uint64_t bytes_planned = 0;
  std::uint64_t bytes_copied = 0;
  std::uint32_t batches = 0;
  static constexpr std::size_t max_failures = 1'000;
  std::vector<FailureRecord> failures; // at most max_failures; all are in the state
  bool interrupted = false;
  std::optional<Error> ended_by; // what ended the run before all was tried: an endpoint that is gone, the state
};

// Lists both sides, compares, cuts into batches and writes the plan. With dry_run nothing is kept in the state, and
// the files are reported by FilePlannedEvents only. Files that can't be planned are failures in the summary.
Task<Result<Summary>> make_plan(Engine& engine, const Job& job, Connections& connections, bool dry_run);

struct RunOptions {
  std::vector<std::uint32_t> batches; // empty: all
  bool wait_for_leases = true;        // wait while another worker holds a batch; else that is an error of kind lease
};
// Runs batches of a ready plan. An error is returned only if nothing could be begun; a run that ended early has
// Summary::ended_by, files that failed are in the summary.
Task<Result<Summary>> run_plan(Engine& engine, const Job& job, const std::string& plan, Connections& connections,
                               RunOptions options);

// One difference that verify found.
struct Difference {
  std::string path;
  std::string reason; // "missing", "size", "mtime", "content", "type", "unreadable"
  std::string detail;
};
struct VerifyReport {
  std::uint64_t files_compared = 0;
  std::uint64_t bytes_compared = 0;    // content read on each side, with checksum
  std::uint64_t files_extra = 0;       // at the target only: not an error, the source may have deleted them
  std::vector<Difference> differences; // at most 1,000
  std::uint64_t difference_count = 0;
};
// Compares the job's selection on both sides; job.checksum reads content on both. Changes nothing.
Task<Result<VerifyReport>> verify_connections(Engine& engine, const Job& job, Connections& connections);

struct SweepReport {
  static constexpr std::size_t max_found = 100'000;
  std::vector<Orphan> found; // that are old enough and of no live lease
  bool limited = false;      // the search ended at max_found old ones: there may be more
  std::uint64_t removed = 0;
  std::vector<Error> failures; // orphans that stay, and directories that could not be searched
};
// Finds checkvalve's own temporaries below the target's root that are older than `older_than` by the state's clock, at
// most SweepReport::max_found, and removes them, unless dry_run. Temporaries of a plan with a live lease are left.
// Continues past what can't be read or removed.
Task<Result<SweepReport>> sweep_target(Engine& engine, Target& target, std::chrono::milliseconds older_than,
                                       bool dry_run);

} // namespace checkvalve
