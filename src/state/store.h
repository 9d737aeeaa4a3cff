// StateStore: what is planned, who works on it, and what is done. Losing it costs time, never data: the target is
// compared again.
//
// Calls block; one thread at a time may use a store (the engine gives it a thread of its own). Several processes may
// use the same state: leases keep them apart. Errors have kind state, or lease where said.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "core/secret.h"

namespace checkvalve {

// Stored by their numbers: new ones are added at the end.
enum class PlanState : std::uint8_t { planning, ready, done, failed };
enum class BatchState : std::uint8_t {
  pending,
  leased,
  done,
  failed, // ended, with files that did not make it
};
enum class FileState : std::uint8_t { planned, committed, skipped, failed };
enum class FileAction : std::uint8_t {
  copy,
  link,      // a symbolic link is made
  directory, // an empty one
};

struct PlanRecord {
  std::string id;
  PlanState state = PlanState::planning;
  std::int64_t created_ms = 0;
  std::string source; // Endpoint::display()
  std::string target;
  std::string job_json;      // what `run` needs to do the plan from another process; holds no secrets
  std::uint64_t files = 0;   // to move
  std::uint64_t bytes = 0;   // to move
  std::uint64_t skipped = 0; // up to date when planned
  std::uint32_t batches = 0;
};

struct PlannedFile {
  std::uint64_t number = 0; // within the plan, from 1
  std::uint32_t batch = 0;  // from 1
  FileAction action = FileAction::copy;
  std::string path;        // bytes, relative to both roots
  std::string target_path; // empty: the same as path
  std::uint64_t size_bytes = 0;
  std::optional<std::int64_t> mtime_ns;
  std::optional<std::uint32_t> mode;
  std::string etag;
  bool replaces = false; // the target had a file of this name when planned
  std::string orphan;    // the name of a temporary that holds a part of it, from an earlier plan; may be empty
};

// A file that the plan could not take in, or that failed while it ran.
struct FailureRecord {
  std::uint32_t batch = 0; // 0: while planning
  std::string path;
  Error error;
};

struct BatchRecord {
  std::uint32_t number = 0; // from 1
  BatchState state = BatchState::pending;
  std::uint64_t files = 0;
  std::uint64_t bytes = 0;
  std::uint64_t files_done = 0; // committed or skipped
  std::uint64_t bytes_done = 0; // planned bytes of those, so that it ends at `bytes`
  std::uint64_t files_failed = 0;
  std::uint32_t generation = 0; // rises with each lease
  std::string holder;           // of the present or last lease
  std::int64_t lease_until_ms = 0;
};

// The right to work on a batch. A checkpoint of an older generation is refused.
struct Lease {
  std::string plan;
  std::uint32_t batch = 0;
  std::uint32_t generation = 0;
  std::string nonce; // for the names of temporaries (backends/temporary.h)
  // The lease before this one, whose temporaries may be left over; generation 0: there was none.
  std::uint32_t previous_generation = 0;
  std::string previous_nonce;
};

struct LeaseAnswer { // either a lease, or who holds it
  std::optional<Lease> lease;
  bool already_done = false; // nothing left to do in this batch
  std::string holder;
  std::int64_t held_until_ms = 0;
};

struct FileOutcome {
  std::uint64_t number = 0;
  FileState state = FileState::committed;
  std::uint64_t bytes = 0; // published
  std::string digest; // of the bytes read from the source: "xxh128:…", or of the algorithm of VerifyMode::hash's target
  std::string target_digest; // of the bytes published; differs where transforms changed them
  std::string method;        // Published::method
  std::uint32_t attempts = 0;
  std::string list_digest;    // for the target's list of checksums, "sha256:…" (Transform::checksum_list); empty: none
  std::optional<Error> error; // for failed; the reason in `message` for skipped
  // What the source was when it was read; kept for the comparison where the target can't tell.
  std::uint64_t size_bytes = 0;
  std::optional<std::int64_t> mtime_ns;
  std::string etag;
};

// HistoryRecord::chain of a file whose content at the target is wrong, or was not read as --verify readback demands.
inline constexpr std::string_view chain_in_doubt = "in doubt";

// What was published under a path by an earlier plan of the same pair of endpoints.
struct HistoryRecord {
  std::string path; // at the source
  std::uint64_t size_bytes = 0;
  std::optional<std::int64_t> mtime_ns;
  std::string etag;
  std::string chain; // digest of the transforms that were applied; empty: none; or chain_in_doubt
  std::uint64_t target_bytes = 0;
  std::string target_path;       // empty: the same as path. Only with `list`, as the two below
  std::string list;              // the name of the target's list of checksums that holds the file; empty: none does
  std::string list_digest;       // what it says of the file
  std::int64_t published_ms = 0; // when that was recorded, by the store's clock, since 1970 UTC
};

// A target's list of checksums, by its name below the target's root. Who writes it takes it first.
struct ListKey {
  std::string target; // Endpoint::display()
  std::string name;
};

struct ListRecord {
  std::string digest;      // of what is published under its name; empty: not known, since somebody took the list
  std::uint64_t bytes = 0; // of what was last published, or tried to; 0: nothing ever was
};

struct ListAnswer {
  bool taken = false;
  std::string orphan; // taken: the temporary of who took it before and never gave it back; may be empty
  std::string holder; // not taken: who has it
};

struct RunRecord {
  std::string id;
  std::string plan;
  std::string host;
  std::int64_t process = 0;
  std::int64_t started_ms = 0;
  std::int64_t ended_ms = 0; // 0: runs, or was killed
  std::string summary_json;  // empty while it runs
};

class StateStore {
public:
  virtual ~StateStore() = default;

  // Plans. A plan is written once: create, add_files…, finish_plan; until then nobody can lease its batches.
  virtual Result<void> create_plan(const PlanRecord& plan) = 0;
  virtual Result<void> add_files(const std::string& plan, std::span<const PlannedFile> files) = 0;
  virtual Result<void> add_failures(const std::string& plan, std::span<const FailureRecord> failures) = 0;
  // Makes the batch records from the files' batch numbers, and the plan ready (done, if it has no files).
  virtual Result<void> finish_plan(const PlanRecord& plan) = 0;
  // An error of kind state if there is no such plan. An unambiguous prefix of an id is enough.
  virtual Result<PlanRecord> plan(std::string_view id_or_prefix) = 0;
  virtual Result<std::vector<PlanRecord>> plans(std::size_t limit) = 0; // newest first
  // Removes plans created, and runs started, before this point in time (milliseconds since 1970 UTC) that no live lease
  // works on; published records stay.
  virtual Result<void> prune(std::int64_t older_than_ms) = 0;

  virtual Result<std::vector<BatchRecord>> batches(const std::string& plan) = 0;
  // Files of a batch that are still to be done (planned, or failed in an earlier lease), by number, after `after`.
  virtual Result<std::vector<PlannedFile>> open_files(const std::string& plan, std::uint32_t batch, std::uint64_t after,
                                                      std::size_t limit) = 0;
  // Why the target's list of checksums could not be written at the end of the plan's last run; nothing: it could.
  virtual Result<void> set_list_failure(const std::string& plan, const std::optional<FailureRecord>& failure) = 0;
  // Failures by path: of planning, of files whose last try failed, and of the list of checksums. after: the number of
  // rows to pass over.
  virtual Result<std::vector<FailureRecord>> failures(const std::string& plan, std::size_t after,
                                                      std::size_t limit) = 0;

  // Leases. `ttl_ms` from now by the store's clock.
  virtual Result<LeaseAnswer> take_lease(const std::string& plan, std::uint32_t batch, const std::string& holder,
                                         std::int64_t ttl_ms) = 0;
  virtual Result<void> renew_lease(const Lease& lease, std::int64_t ttl_ms) = 0; // kind lease if it was taken over
  // Ends the lease. The batch becomes done, failed, or pending again, by the state of its files.
  virtual Result<void> release_lease(const Lease& lease) = 0;
  // Ends the lease that this holder has on the batch, of whom the caller knows that it is gone; does nothing if another
  // has it. The batch is then as after a lease that ran out.
  virtual Result<void> abandon_lease(const std::string& plan, std::uint32_t batch, const std::string& holder) = 0;
  // Before a batch's first file is published: puts all its open files (not links, not directories) in doubt, with
  // chain_in_doubt under `pair`, in one transaction. A checkpoint of a committed file ends its doubt. Kind lease as
  // for checkpoint.
  virtual Result<void> doubt_batch(const Lease& lease, const std::string& pair) = 0;
  // Records outcomes in one transaction. Kind lease if a newer generation exists: then nothing is recorded.
  // `remember`: also keep a HistoryRecord under `pair` with `chain`, for committed files; with chain_in_doubt for
  // those that failed with kind integrity.
  // With `list`, the records of files with a list_digest say that this list holds them.
  // With `only_doubts`, committed files get no record, and lose the one that they have if it is in doubt.
  struct HistoryScope {
    std::string pair;
    std::string chain;
    std::string list = "";
    bool only_doubts = false;
  };
  virtual Result<void> checkpoint(const Lease& lease, std::span<const FileOutcome> outcomes,
                                  const std::optional<HistoryScope>& history_scope) = 0;
  // Published records of a pair, ordered by path bytes, after `after`.
  virtual Result<std::vector<HistoryRecord>> published(const std::string& pair, const std::string& after,
                                                       std::size_t limit) = 0;

  // The pairs whose names end so.
  virtual Result<std::vector<std::string>> pairs_ending(const std::string& end) = 0;

  // Lists of checksums. Each taking has a temporary name of its own, which stands for it from then on.
  virtual Result<ListRecord> list(const ListKey& key) = 0;
  // Takes the list for `ttl_ms` from now by the store's clock, unless another has it. `gone`: a holder of whom the
  // caller knows that it has ended; may be empty.
  virtual Result<ListAnswer> take_list(const ListKey& key, const std::string& holder, const std::string& temporary,
                                       const std::string& gone, std::int64_t ttl_ms) = 0;
  // Kind lease if another has taken it since.
  virtual Result<void> renew_list(const ListKey& key, const std::string& temporary, std::int64_t ttl_ms) = 0;
  // Gives it back and tells what is published now. Kind lease if another has taken it since: as both may have
  // published, nothing is known then, and nobody has the list.
  virtual Result<void> release_list(const ListKey& key, const std::string& temporary, const ListRecord& now) = 0;

  virtual Result<void> begin_run(const RunRecord& run) = 0;
  virtual Result<void> end_run(const std::string& run, std::int64_t ended_ms, const std::string& summary_json) = 0;
  // Newest first; of all plans, if `plan` is empty.
  virtual Result<std::vector<RunRecord>> runs(const std::string& plan, std::size_t limit) = 0;
};

struct StateOptions {
  Secret password; // for postgresql://; empty: what libpq finds (~/.pgpass, PGPASSWORD) or none
  std::chrono::milliseconds connect_timeout{10'000}; // of postgresql://, for each of its addresses
  std::chrono::milliseconds busy_timeout{30'000};    // how long a call waits for another process's transaction
};

// Opens "PATH", "sqlite:///absolute/path" or "postgresql://user@host:port/database?options", creating and migrating as
// needed. `warnings` receives what the user should know (a corrupt file that was set aside). A location that can't be
// read, or holds a password, is an error of kind config; everything else has kind state.
Result<std::unique_ptr<StateStore>> open_state_store(const std::string& location, std::vector<std::string>& warnings,
                                                     const StateOptions& options = {});

} // namespace checkvalve
