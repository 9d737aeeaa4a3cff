// Compare: what of the source is not at the target yet?
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/result.h"
#include "core/task.h"
#include "sync/engine.h"
#include "sync/source_cursor.h"
#include "sync/walk.h"

namespace checkvalve {

// One entry that must be moved.
struct ToMove {
  Entry entry;             // as the source has it
  std::string target_path; // the name that it gets
  FileAction action = FileAction::copy;
  bool replaces = false; // the target has a file of this name with other content
};

// What the comparison finds; called on the engine thread, in no promised order.
class CompareSink {
public:
  virtual ~CompareSink() = default;
  virtual Result<void> move(ToMove item) = 0;
  virtual void up_to_date(const Entry& entry) = 0;
  virtual void conflict_skipped(const Entry& entry) = 0; // OnConflict::skip
  virtual void failure(Error error, const std::string& path) = 0;
};

// Merges the two sorted sides. Size and mtime decide; content with job.checksum; the state's memory where the target
// keeps no mtimes or transforms change the content.
Task<Result<void>> compare_sides(Engine& engine, const Job& job, const Chain& chain, Connections& connections,
                                 Walk& walk, CompareSink& sink);

// Whether the job's way of comparing fits its transforms. Kind config.
Result<void> check_comparable(const Job& job);

// Whether two mtimes are the same at the coarser of the two precisions.
bool same_mtime(std::int64_t a_ns, std::int64_t b_ns, std::int64_t precision_ns);

// The digest of a file's whole content, read in order. `read_bytes` counts what was read.
Task<Result<std::string>> content_digest(Source& source, Entry entry, std::uint64_t& read_bytes);

} // namespace checkvalve
