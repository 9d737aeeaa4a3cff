// Uploads that ended runs left at the target: which ones a new plan resumes, and removal of the others.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "sync/engine.h"

namespace checkvalve {

// Whether a file's content may arrive without that all of it passes through one attempt of this process. Only bytes
// that do give a digest, and the output of a chain of transforms can't be taken up in its middle.
bool may_arrive_in_pieces(const Job& job);
// Whether an upload of this job can resume what an ended run, or a lost lease, left at the target.
bool may_resume(const Job& job, const Capabilities& target);

// Temporaries of plans that this state knows and on which nobody works; those of other plans are left to `sweep`.
class ResumableUploads {
public:
  explicit ResumableUploads(std::vector<Orphan> dead) : rest_(std::move(dead)) {}

  // The text of the temporary that holds a part of the file with this path at the target, or "". It is then the
  // planned file's.
  std::string claim(const std::string& target_path);
  // Removes all that nobody claimed.
  Task<void> remove_rest(Engine& engine, Target& target);

private:
  friend Task<Result<ResumableUploads>> find_resumable_uploads(Engine& engine, const Job& job, Target& target,
                                                               std::vector<Orphan> orphans);
  std::map<std::string, Orphan> parts_; // by the file's path
  std::vector<Orphan> rest_;
};

// Looks at the orphans that the walk met. Error kind state.
Task<Result<ResumableUploads>> find_resumable_uploads(Engine& engine, const Job& job, Target& target,
                                                      std::vector<Orphan> orphans);

} // namespace checkvalve
