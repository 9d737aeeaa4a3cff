// Uploads that ended runs left at the target: which ones a new plan resumes, and removal of the others.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "sync/engine.h"

namespace checkvalve {

// Whether a file's content may arrive without passing through this process, which then has no digest of it.
bool may_arrive_directly(const Job& job);
// Whether uploads of this job resume what the target itself finds of ended runs, or of a lost lease.
bool may_resume(const Job& job, const Capabilities& target);

// Whether nobody writes to the recorded temporary any more, so that it can be renamed and continued.
bool may_take_over(const PartialUploadRecord& record);

// Temporaries of plans that this state knows and on which nobody works; those of other plans are left to `sweep`, as
// are those of other sources and those that another plan has claimed.
class ResumableUploads {
public:
  // The text of the temporary that holds a part of the file with this path at the target, or "". It is then the
  // planned file's.
  std::string claim(const std::string& target_path);
  // Once the plan that has claimed some is written: records that, and removes all that nobody claimed.
  Task<void> settle(Engine& engine, Target& target, const std::string& plan);

private:
  friend Task<Result<ResumableUploads>>
  find_resumable_uploads(Engine& engine, const Job& job, const Connections& connections, std::vector<Orphan> orphans);
  struct Part {
    Orphan orphan;
    bool claimed = false; // by an earlier plan
  };
  std::map<std::string, Part> parts_; // by the file's path
  std::vector<std::string> claims_;   // temporaries
  std::vector<Orphan> rest_;
};

// Looks at the orphans that the walk met. Error kind state.
Task<Result<ResumableUploads>> find_resumable_uploads(Engine& engine, const Job& job, const Connections& connections,
                                                      std::vector<Orphan> orphans);

} // namespace checkvalve
