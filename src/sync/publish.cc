#include "sync/publish.h"

#include "core/path.h"
#include "sync/content.h"

namespace checkvalve {
namespace {

bool same_version(const Entry& now, const Entry& before) {
  return now.type == EntryType::file && now.size_bytes == before.size_bytes && now.mtime_ns == before.mtime_ns &&
         now.etag == before.etag;
}

Replace replace_mode(const TransferScope& scope, const PlannedFile& file) {
  if (!scope.job.overwrites()) return Replace::if_absent;
  // With consent to a gap, a target that turns out to refuse the atomic step does it the other way.
  if (file.replaces && scope.job.overwrites_non_atomically()) return Replace::allow_gap;
  return scope.connections.target->capabilities().atomic_replace ? Replace::atomic : Replace::if_absent;
}

} // namespace

Result<void> check_unchanged(const Result<Entry>& now, const Entry& expected) {
  if (!now && now.error().kind == ErrorKind::not_found) return {};
  if (!now) return Failure(now.error());
  if (same_version(*now, expected)) return {};
  return Failure(
      make_error(ErrorKind::changed, "read", escape_bytes(expected.path), "the file changed while it was read"));
}

CommitOptions commit_options(const TransferScope& scope, const PlannedFile& file, const Entry& expected) {
  CommitOptions options;
  options.size_bytes = expected.size_bytes;
  options.durable = scope.job.durable;
  if (scope.job.preserve_mtime) options.mtime_ns = expected.mtime_ns;
  if (scope.job.preserve_mode) options.mode = expected.mode;
  options.replace = replace_mode(scope, file);
  return options;
}

Result<void> Fence::open() const {
  if (scope_.engine.cancellation.requested()) return Failure(scope_.engine.cancellation.reason());
  if (keeper_.holds()) return {};
  return Failure(
      make_error(ErrorKind::lease, "publish", escape_bytes(target_path_), "another worker has taken the batch over")
          .with_code(ErrorCode::lease_lost));
}

Result<void> Fence::check(const Content& content, const Entry& expected) const {
  if (content.source_after) CV_CHECK(check_unchanged(*content.source_after, expected));
  CV_CHECK(open());
  if (file_.action != FileAction::copy) return {};
  if (content.read_bytes != expected.size_bytes)
    return Failure(
        make_error(ErrorKind::changed, "read", escape_bytes(file_.path), "the file became shorter while it was read"));
  if (scope_.job.verify != VerifyMode::size && content.digest.empty())
    return Failure(make_error(ErrorKind::integrity, "publish", escape_bytes(target_path_), "its digest is not known"));
  return {};
}

Task<Result<void>> Fence::publish(Copy& copy, const Content& content, const Entry& expected, FileOutcome& outcome) {
  co_await keeper_.renewed();
  CV_CO_CHECK(check(content, expected));
  CommitOptions options = commit_options(scope_, file_, expected);
  options.size_bytes = content.bytes;
  if (scope_.job.verify == VerifyMode::hash) options.content_digest = content.digest;
  in_doubt_.reset();
  auto published = co_await copy.publish(std::move(options));
  if (!published && published.error().transient()) in_doubt_ = content;
  if (!published) co_return Failure(std::move(published.error()));
  co_return co_await settle(content, std::move(*published), expected, outcome);
}

Task<Result<void>> Fence::settle(const Content& content, Published published, const Entry& expected,
                                 FileOutcome& outcome) {
  if (scope_.job.verify == VerifyMode::readback && file_.action == FileAction::copy)
    CV_CO_CHECK(co_await read_back(content));
  outcome.state = FileState::committed;
  outcome.bytes = content.bytes;
  outcome.digest = content.read_digest;
  outcome.target_digest = content.digest;
  outcome.list_digest = content.list_digest;
  outcome.method = std::move(published.method);
  outcome.target_etag = std::move(published.etag);
  outcome.size_bytes = expected.size_bytes;
  outcome.mtime_ns = expected.mtime_ns;
  outcome.etag = expected.etag;
  co_return Result<void>();
}

Task<Result<void>> Fence::read_back(const Content& content) {
  Entry there;
  there.path = target_path_;
  there.size_bytes = content.bytes;
  std::uint64_t read_bytes = 0;
  CV_CO_TRY(const std::string found, co_await content_digest(*scope_.connections.readback, there, read_bytes));
  if (found == content.digest) co_return Result<void>();
  misread_ = make_error(ErrorKind::integrity, "verify", escape_bytes(target_path_),
                        "the published file reads back with other content than was written");
  co_return Failure(*misread_);
}

} // namespace checkvalve
