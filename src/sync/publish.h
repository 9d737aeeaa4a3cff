// Publish: what stands between a file's bytes under a temporary name and its final name. Every way of copying passes
// it, in this order: the source is unchanged, the lease is still ours, the content is complete; the target checks and
// commits it; it is read back; its outcome is ready to be recorded.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/result.h"
#include "core/task.h"
#include "sync/copy.h"
#include "sync/transfer.h"

namespace checkvalve {

// Whether the source still has the version that was read. A source that removes what was read has not changed it.
Result<void> check_unchanged(const Result<Entry>& now, const Entry& expected);

// What the job says of a file when it gets its name. `expected`: the version of the source that is copied.
CommitOptions commit_options(const TransferScope& scope, const PlannedFile& file, const Entry& expected);

// Of one file, over all its attempts. Engine thread only.
class Fence {
public:
  Fence(TransferScope& scope, const LeaseKeeper& keeper, const PlannedFile& file, const std::string& target_path)
      : scope_(scope), keeper_(keeper), file_(file), target_path_(target_path) {}

  // Whether anything of this file may get its name: nobody cancelled, and the lease is ours.
  Result<void> open() const;
  // From the first check to the outcome.
  Task<Result<void>> publish(Copy& copy, const Content& content, const Entry& expected, FileOutcome& outcome);
  // For content that is under the name already: reads it back if the job says so, and fills the outcome.
  Task<Result<void>> settle(const Content& content, Published published, const Entry& expected, FileOutcome& outcome);

  // The content of which it is not known whether it was published, since the commit failed with a transient error.
  // Once.
  std::optional<Content> take_in_doubt() { return std::exchange(in_doubt_, std::nullopt); }
  // What is under the name is ours, but reads back with other content.
  const std::optional<Error>& misread() const { return misread_; }

private:
  Result<void> check(const Content& content, const Entry& expected) const;
  Task<Result<void>> read_back(const Content& content);

  TransferScope& scope_;
  const LeaseKeeper& keeper_;
  const PlannedFile& file_;
  const std::string& target_path_;
  std::optional<Content> in_doubt_;
  std::optional<Error> misread_;
};

} // namespace checkvalve
