// What the state keeps, as values. src/state/schema.cc has the tables, docs/state.md describes them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/result.h"

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
  std::string superseded_by; // the newest later plan of the same job and endpoints; empty: none
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
  bool lease_expired = false; // state leased, but lease_until_ms has passed by the store's clock
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
  std::string target_etag;   // Published::etag
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

// From where to where: the key of a history. Identities of the endpoints (backends/location.h).
struct PairKey {
  std::string source;
  std::string target;

  bool operator==(const PairKey&) const = default;
};

// What was published under a path by an earlier plan of the same pair of endpoints.
struct HistoryRecord {
  std::string path; // at the source
  std::uint64_t size_bytes = 0;
  std::optional<std::int64_t> mtime_ns;
  std::string etag;
  std::string chain; // digest of the transforms that were applied; empty: none; or chain_in_doubt
  std::uint64_t target_bytes = 0;
  std::string target_etag;       // the target's, as published; empty: not known
  std::string target_path;       // empty: the same as path. Only with `list`, as the two below
  std::string list;              // the name of the target's list of checksums that holds the file; empty: none does
  std::string list_digest;       // what it says of the file
  std::int64_t published_ms = 0; // when that was recorded, by the store's clock, since 1970 UTC
  std::int64_t unused_ms = 0;    // for how long no run has asked for it; in steps, see HistoryStore::touch()
};

// With which a checkpoint also updates the history.
struct HistoryScope {
  PairKey pair;
  std::string chain;     // for committed files; those that failed with kind integrity get chain_in_doubt
  std::string list = ""; // the records of files with a list_digest say that this list holds them
  // Committed files get no record, and lose the one that they have if it is in doubt.
  bool only_doubts = false;
};

// A target's list of checksums, by its name below the target's root. Who writes it takes it first.
struct ListKey {
  std::string target; // identity, as in PairKey
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

// What a target holds of a large file under the name of a temporary, so that another run may resume it.
struct PartialUploadRecord {
  PairKey pair;
  std::string path;      // of the file, at the target
  std::string temporary; // its name
  std::string holder;    // who may still write to it, as in a batch; empty: nobody
  std::string plan;      // that wrote it, or has claimed it since
  // The version of the source that it is a part of.
  std::uint64_t size_bytes = 0;
  std::optional<std::int64_t> mtime_ns;
  std::string etag;
  // That the target acknowledged from the file's beginning, without a gap, and their digest as Hasher has it.
  std::uint64_t acknowledged_bytes = 0;
  std::string digest;
  std::int64_t recorded_ms = 0; // or claimed, by the store's clock

  bool operator==(const PartialUploadRecord&) const = default;
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

} // namespace checkvalve
