#include "sync/partial_uploads.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "sync/outputs.h"
#include "sync/resumable_uploads.h"

namespace checkvalve {
namespace {

// By so much an attempt has to get further than those before it, not to count as a failure.
constexpr std::uint64_t worthwhile_bytes = 1 << 20;
// Temporaries of a lost lease that are removed by name: each costs a request a file. Those of later attempts, which are
// rare, are found by the next plan's listing.
constexpr std::uint32_t attempts_discarded = 16;

} // namespace

PartialUploads::PartialUploads(TransferScope& scope, const LeaseKeeper& keeper, const PlannedFile& file,
                               const std::string& target_path)
    : scope_(scope), keeper_(keeper), file_(file), target_path_(target_path), left_(temporaries_of_lost_lease()) {
  if (const auto left = parse_temporary(file.orphan)) left_.push_back(*left);
}

std::vector<TemporaryName> PartialUploads::temporaries_of_lost_lease() const {
  std::vector<TemporaryName> names;
  const Lease& lease = keeper_.lease();
  if (lease.previous_generation == 0) return names;
  const std::uint32_t attempts = std::min(scope_.job.retries + 1, attempts_discarded);
  for (std::uint32_t attempt = 1; attempt <= attempts; ++attempt)
    names.push_back({lease.plan, lease.previous_generation, lease.previous_nonce, file_.number, attempt});
  return names;
}

bool PartialUploads::target_resumes() const {
  return file_.action == FileAction::copy && may_resume(scope_.job, target().capabilities());
}

bool PartialUploads::may_keep() const {
  return file_.action == FileAction::copy && !target_resumes() && may_arrive_in_pieces(scope_.job);
}

void PartialUploads::describe(const Entry& expected, UploadHints& hints) const {
  if (!target_resumes()) return;
  hints.version = fmt::format("{} {} {}", expected.size_bytes, expected.mtime_ns.value_or(0), expected.etag);
  hints.continues = left_;
}

Task<Result<std::unique_ptr<Upload>>> PartialUploads::begin(UploadHints hints) {
  if (kept_) {
    const auto reopened = co_await kept_->upload->reopen(kept_->acknowledged_bytes, hints.temporary);
    if (reopened) co_return std::move(std::exchange(kept_, std::nullopt)->upload);
    if (reopened.error().transient()) co_return Failure(reopened.error()); // for the next attempt
    co_await drop();
  }
  auto upload = co_await target().begin(target_path_, hints);
  if (upload && target_resumes()) left_.clear(); // it took or removed them all
  co_return upload;
}

bool PartialUploads::keep(std::optional<PartialUpload> partial) {
  kept_ = std::move(partial);
  return kept();
}

bool PartialUploads::got_further() {
  if (!kept_ || kept_->acknowledged_bytes < furthest_ + worthwhile_bytes) return false;
  furthest_ = kept_->acknowledged_bytes;
  return true;
}

void PartialUploads::ended(TemporaryName temporary) {
  if (file_.action != FileAction::directory && !kept_) left_.push_back(std::move(temporary));
}

Task<void> PartialUploads::drop() {
  if (auto partial = std::exchange(kept_, std::nullopt)) (void)co_await partial->upload->abort();
}

Task<void> PartialUploads::discard() {
  co_await discard_outputs(target(), scope_.chain, target_path_, std::exchange(left_, {}));
}

} // namespace checkvalve
