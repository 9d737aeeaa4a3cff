// Walk: lists both sides of a job at once, many directories in flight, into sorted spools.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/result.h"
#include "core/task.h"
#include "sync/engine.h"
#include "sync/name_index.h"
#include "sync/spool.h"
#include "transforms/chain.h"

namespace checkvalve {

struct Walk {
  EntrySpool source; // what the selection takes: files, links to copy, directories if empty ones are wanted
  EntrySpool target; // all that was seen in the same directories
  NameIndex names;   // of both at the target, unless that keeps all names as they are (Capabilities::exact_names)
  bool lists_target = true;            // false: it was only asked for the names that candidates have there
  RecordSpool<FailureRecord> failures; // what could not be listed or used, by path
  std::vector<Orphan> orphans;         // temporaries of ours seen at the target, at most 10,000
  std::set<std::string> set_aside; // paths of files that interrupted overwrites set aside at the target, at most 10,000
  std::uint64_t skipped_links = 0;
  std::uint64_t special_files = 0;    // sockets, devices and the like: never taken
  std::uint64_t files_selected = 0;   // of the source: files, and links to copy
  std::uint64_t files_filtered = 0;   // by name or size; what is in directories that were not entered is not counted
  std::uint64_t files_too_recent = 0; // by min_age
  std::uint64_t unseen = 0;           // directories, or named files, of the target that it refuses to show
  std::optional<Error> unseen_error;  // of the first of them
  std::vector<bool> rules_used;       // of the selection: whether the rule decided on a file

  bool indexes_names = true;

  Result<void> add_target(const Entry& entry);
  Result<void> finish(); // all spools, for reading
};

// Fills `walk`, whose spools the caller finishes. Fails if the source's root can't be listed, the run is stopped, or an
// endpoint is lost; a directory below that can't be read is one of walk.failures. Directories that only the target has
// are not looked at. A file's name at the target is the chain's.
Task<Result<void>> walk_both(Engine& engine, const Job& job, const Chain& chain, Connections& connections, Walk& walk);

} // namespace checkvalve
