#include "sync/partial_uploads.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "core/path.h"
#include "sync/content.h"
#include "sync/holder.h"
#include "sync/outputs.h"
#include "sync/resumable_uploads.h"

namespace checkvalve {
namespace {

// By so much an attempt has to get further than those before it, not to count as a failure.
constexpr std::uint64_t worthwhile_bytes = 1 << 20;
// Temporaries of a lost lease that are removed by name: each costs a request a file. Those of later attempts, which are
// rare, are found by the next plan's listing.
constexpr std::uint32_t attempts_discarded = 16;

bool is_of(const PartialUploadRecord& record, const Entry& version) {
  return record.size_bytes == version.size_bytes && record.mtime_ns == version.mtime_ns && record.etag == version.etag;
}

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
  return file_.action == FileAction::copy && !target_resumes() && scope_.chain.empty();
}

bool PartialUploads::records(std::uint64_t size_bytes) const {
  return size_bytes >= recorded_from_bytes && may_keep() && target().capabilities().resumes_temporaries;
}

// Whether nobody else may resume it, and the digest can be continued.
bool PartialUploads::is_ours(const PartialUploadRecord& record) const {
  if (!may_take_over(record)) return false;
  if (!record.digest.starts_with(fmt::format("{}:", to_string(scope_.hash)))) return false;
  if (record.temporary == file_.orphan) return true;
  const auto name = parse_temporary(record.temporary);
  const Lease& lease = keeper_.lease();
  return name && name->plan == lease.plan && name->file == file_.number && name->generation < lease.generation;
}

Task<void> PartialUploads::find() {
  if (keeper_.lease().previous_generation == 0 && file_.orphan.empty()) co_return;
  if (records(file_.size_bytes)) {
    // Without an answer of the state the file begins again.
    auto record = co_await scope_.engine.store.partial_uploads.find(scope_.connections.pair, target_path_);
    if (record && *record && is_ours(**record)) {
      found_ = std::move(**record);
      recorded_temporary_ = found_->temporary;
      found_names_ = {parse_temporary(found_->temporary).value_or(TemporaryName())};
      std::erase(left_, found_names_.front());
    }
  }
  if (!target_resumes()) co_await discard();
}

Task<Result<bool>> PartialUploads::is_there() const {
  for (const TemporaryName& name : found_names_) {
    const auto entry = co_await target().stat(name.beside(target_path_), false);
    if (entry && entry->type == EntryType::file && entry->size_bytes >= found_->acknowledged_bytes) co_return true;
    if (!entry && entry.error().transient()) co_return Failure(entry.error());
  }
  co_return false;
}

Task<Result<void>> PartialUploads::prove(const Entry& version, const Progress& progress) {
  if (!found_ || kept_ || proven_) co_return Result<void>();
  bool usable = is_of(*found_, version);
  if (usable) {
    CV_CO_TRY(usable, co_await is_there());
  }
  if (!usable) {
    co_await forget_found();
    co_return Result<void>();
  }
  Source& source = *scope_.connections.source;
  const std::uint32_t chunk_bytes = source.capabilities().chunk_bytes;
  const std::uint64_t window_bytes = source.capabilities().window_bytes;
  const ContentRange range{found_->acknowledged_bytes, chunk_bytes,
                           std::max<std::size_t>(1, window_bytes / chunk_bytes), scope_.hash};
  std::uint64_t read_bytes = 0;
  CV_CO_TRY(const std::unique_ptr<Reader> reader, co_await source.open(version));
  CV_CO_TRY(Hasher hasher, co_await hash_content(*reader, range, [&](std::size_t bytes) -> Result<void> {
              progress(read_bytes += bytes);
              if (scope_.engine.cancellation.requested()) return Failure(scope_.engine.cancellation.reason());
              return {};
            }));
  if (hasher.digest() == found_->digest)
    proven_ = Prefix{read_bytes, std::move(hasher)};
  else
    co_await forget_found();
  co_return Result<void>();
}

Task<void> PartialUploads::forget_found() {
  found_.reset();
  std::erase(found_names_, temporary_); // of the present upload
  left_.insert(left_.end(), found_names_.begin(), found_names_.end());
  co_await discard();
}

void PartialUploads::describe(const Entry& expected, UploadHints& hints) const {
  if (!target_resumes()) return;
  hints.version = fmt::format("{} {} {}", expected.size_bytes, expected.mtime_ns.value_or(0), expected.etag);
  hints.continues = left_;
}

Task<Result<PartialUpload>> PartialUploads::begin(const Entry& version, UploadHints hints) {
  if (kept_) {
    const auto reopened = co_await kept_->upload->reopen(kept_->prefix.bytes, hints.temporary);
    if (reopened) {
      temporary_ = hints.temporary;
      co_return *std::exchange(kept_, std::nullopt);
    }
    if (reopened.error().transient()) co_return Failure(reopened.error()); // for the next attempt
    co_await drop();
  }
  describe(version, hints);
  if (proven_) hints.partial = {found_names_, proven_->bytes};
  auto upload = co_await target().begin(target_path_, hints);
  if (!upload) {
    if (proven_) found_names_.push_back(hints.temporary);
    co_return Failure(upload.error());
  }
  if (target_resumes()) left_.clear(); // it took or removed them all
  temporary_ = hints.temporary;
  recorded_bytes_ = 0;
  PartialUpload begun{std::move(*upload), {0, Hasher(scope_.hash)}};
  if (auto proven = std::exchange(proven_, std::nullopt); proven && begun.upload->resumed_bytes() == proven->bytes) {
    found_.reset();
    begun.prefix = std::move(*proven);
    record(version, begun.prefix, this_holder()); // under the name that it has by now
  } else if (found_) {
    co_await forget_found();
  }
  co_return begun;
}

void PartialUploads::acknowledged(const Entry& version, const Prefix& prefix) {
  if (records(version.size_bytes) && prefix.bytes >= recorded_bytes_ + record_every_bytes)
    record(version, prefix, this_holder());
}

void PartialUploads::record(const Entry& version, const Prefix& prefix, std::string holder) {
  recorded_bytes_ = prefix.bytes;
  recorded_temporary_ = temporary_.text();
  to_record_ = {.pair = scope_.connections.pair,
                .path = target_path_,
                .temporary = recorded_temporary_,
                .holder = std::move(holder),
                .plan = keeper_.lease().plan,
                .size_bytes = version.size_bytes,
                .mtime_ns = version.mtime_ns,
                .etag = version.etag,
                .acknowledged_bytes = prefix.bytes,
                .digest = prefix.hasher.digest()};
  if (!std::exchange(recording_, true)) recordings_.spawn(write_records());
}

// One at a time; of those that come meanwhile the last. One that can't be written costs time only.
Task<void> PartialUploads::write_records() {
  while (const auto next = std::exchange(to_record_, std::nullopt))
    (void)co_await scope_.engine.store.partial_uploads.record(keeper_.lease(), *next);
  recording_ = false;
}

bool PartialUploads::keep(std::optional<PartialUpload> partial) {
  kept_ = std::move(partial);
  return kept_.has_value();
}

bool PartialUploads::got_further() {
  if (!kept_ || kept_->prefix.bytes < furthest_ + worthwhile_bytes) return false;
  furthest_ = kept_->prefix.bytes;
  return true;
}

void PartialUploads::ended(const TemporaryName& temporary) {
  if (file_.action != FileAction::directory && !kept_ && !found_) left_.push_back(temporary);
}

Task<void> PartialUploads::drop() {
  proven_.reset();
  if (!kept_) co_return;
  const std::unique_ptr<Upload> upload = std::move(kept_->upload);
  kept_.reset();
  (void)co_await upload->abort();
}

Task<void> PartialUploads::discard() {
  co_await discard_outputs(target(), scope_.chain, target_path_, std::exchange(left_, {}));
}

Task<void> PartialUploads::finish(const Entry& version, bool leave) {
  bool left = leave && found_;
  if (leave && kept_ && records(version.size_bytes)) {
    record(version, kept_->prefix, ""); // nothing of it is under way any more
    left = true;
  }
  if (recordings_.running() != 0) co_await recordings_.join();
  if (left) {
    kept_.reset(); // without abort()
    co_return;
  }
  if (kept_) co_await drop();
  if (found_) co_await forget_found();
  if (!recorded_temporary_.empty()) (void)co_await scope_.engine.store.partial_uploads.remove(recorded_temporary_);
}

} // namespace checkvalve
