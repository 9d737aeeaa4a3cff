// PlanStore: plans with their files, batches and failures, and the runs that worked on them.
//
// Awaited on the engine thread. Arguments by reference live until the call returns. Errors have kind state.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "state/records.h"
#include "state/state_thread.h"

namespace checkvalve {

class PlanStore {
public:
  explicit PlanStore(StateThread& thread) : thread_(thread) {}

  // A plan is written once: create, add_files…, finish; until then nobody can lease its batches.
  // created_ms 0: now, by the store's clock.
  Task<Result<void>> create(const PlanRecord& plan);
  Task<Result<void>> add_files(const std::string& plan, std::span<const PlannedFile> files);
  Task<Result<void>> add_failures(const std::string& plan, std::span<const FailureRecord> failures);
  // Makes the batch records from the files' batch numbers, and the plan ready (done, if it has no files).
  Task<Result<void>> finish(const PlanRecord& plan);

  // By its id or an unambiguous prefix of it.
  Task<Result<PlanRecord>> find(std::string_view id_or_prefix);
  Task<Result<std::vector<PlanRecord>>> newest(std::size_t limit);
  Task<Result<std::vector<BatchRecord>>> batches(const std::string& plan);
  // Files of a batch that are still to be done (planned, or failed in an earlier lease), by number, after `after`.
  Task<Result<std::vector<PlannedFile>>> open_files(const std::string& plan, std::uint32_t batch, std::uint64_t after,
                                                    std::size_t limit);
  // Failures by path: of planning, of files whose last attempt failed, and of the list of checksums. offset: the number
  // of rows to pass over.
  Task<Result<std::vector<FailureRecord>>> failures(const std::string& plan, std::size_t offset, std::size_t limit);
  // Of planning alone, the first `limit` by path, with the number of all.
  struct Unplanned {
    std::uint64_t count = 0;
    std::vector<FailureRecord> first;
  };
  Task<Result<Unplanned>> unplanned(const std::string& plan, std::size_t limit);
  // Why the target's list of checksums could not be written at the end of the plan's last run; nothing: it could.
  Task<Result<void>> set_list_failure(const std::string& plan, const std::optional<FailureRecord>& failure);

  // started_ms 0: now, by the store's clock.
  Task<Result<void>> begin_run(const RunRecord& run);
  Task<Result<void>> end_run(const std::string& run, const std::string& summary_json);
  // Newest first; of all plans, if `plan` is empty.
  Task<Result<std::vector<RunRecord>>> runs(const std::string& plan, std::size_t limit);

  // Removes plans created, runs started and partial uploads recorded longer ago than this by the store's clock, but no
  // plan on which a live lease works. The history stays.
  Task<Result<void>> prune(std::chrono::milliseconds older_than);

private:
  StateThread& thread_;
};

} // namespace checkvalve
