// PartialUploads: what the attempts at one file leave at the target: what the next attempt resumes of it, and the
// removal of the rest.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/result.h"
#include "core/task.h"
#include "sync/copy.h"
#include "sync/transfer.h"

namespace checkvalve {

// Of one file, over all its attempts. Engine thread only.
class PartialUploads {
public:
  PartialUploads(TransferScope& scope, const LeaseKeeper& keeper, const PlannedFile& file,
                 const std::string& target_path);

  // Whether the target itself finds and resumes what ended attempts left (UploadHints::continues).
  bool target_resumes() const;

  // Adds what the target may resume for a copy of this version of the source.
  void describe(const Entry& expected, UploadHints& hints) const;
  // An upload for the present attempt: the one that was kept, else one that the target begins or resumes.
  Task<Result<std::unique_ptr<Upload>>> begin(UploadHints hints);
  // After a failure of a copy, or of what it was to be made from: keeps its upload for the next attempt if it can be
  // continued there. False: it has to be aborted, unless the target itself resumes it.
  bool keep(std::optional<PartialUpload> partial);
  bool may_keep() const;
  bool kept() const { return kept_.has_value(); }
  // Whether what is kept is further than what earlier attempts had: such a failure does not count against --retries.
  bool got_further();
  // The attempt with this temporary has ended.
  void ended(TemporaryName temporary);

  Task<void> drop();    // what was kept
  Task<void> discard(); // what ended attempts left

private:
  Target& target() const { return *scope_.connections.target; }
  std::vector<TemporaryName> temporaries_of_lost_lease() const;

  TransferScope& scope_;
  const LeaseKeeper& keeper_;
  const PlannedFile& file_;
  const std::string& target_path_;
  std::optional<PartialUpload> kept_; // of the attempt that failed
  std::uint64_t furthest_ = 0;        // bytes that an attempt has had acknowledged
  std::vector<TemporaryName> left_;   // by attempts that have ended: of this lease, the lost one, an earlier plan
};

} // namespace checkvalve
