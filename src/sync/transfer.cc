#include "sync/transfer.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/backoff.h"
#include "core/path.h"
#include "core/units.h"
#include "sync/copy.h"
#include "sync/partial_uploads.h"
#include "sync/publish.h"
#include "sync/resumable_uploads.h"
#include "sync/up_to_date.h"

namespace checkvalve {
namespace {

using std::chrono::milliseconds;

constexpr std::uint64_t progress_from_bytes = 64 << 20; // smaller files report only their start and end
constexpr std::int64_t progress_interval_ms = 1'000;

// How long it is until a write to the file would give it another mtime than it has, as whoever compares sees it. As
// long as the source's clock is in the tick of the file's mtime, another write of the same size would not be seen.
// Where the clocks differ by more than a moment, or the mtime was set, waiting would not help.
milliseconds until_next_tick(const Entry& entry, std::int64_t tick_ns) {
  constexpr std::int64_t ns_per_ms = 1'000'000;
  constexpr std::int64_t kernel_tick_ms = 10; // the smallest step of the times that file systems are given
  constexpr std::int64_t max_clock_difference_ms = 2'000;
  if (!entry.mtime_ns || tick_ns == 0) return milliseconds(0);
  const std::int64_t tick_ms = std::max(tick_ns / ns_per_ms, kernel_tick_ms);
  const std::int64_t mtime_ms = *entry.mtime_ns / ns_per_ms;
  const std::int64_t next_tick_ms = mtime_ms - mtime_ms % tick_ms + tick_ms;
  const std::int64_t left_ms = next_tick_ms + tick_ms / 10 - now_ms(); // a tenth more, for clocks that differ a little
  return milliseconds(left_ms > 0 && left_ms <= tick_ms + max_clock_difference_ms ? left_ms : 0);
}

// What is left of a file's share of memory for bytes on their way.
std::uint64_t without_transforms(const TransferScope& scope, std::uint64_t bytes, std::uint64_t size_bytes) {
  const std::uint64_t taken = scope.chain.memory_bytes(size_bytes);
  return bytes > taken ? bytes - taken : 0;
}

// One file's way through its attempts.
class Transfer {
public:
  Transfer(TransferScope& scope, const LeaseKeeper& keeper, PlannedFile file, std::uint64_t window_bytes)
      : scope_(scope), keeper_(keeper), file_(std::move(file)),
        window_bytes_(without_transforms(scope, window_bytes, file_.size_bytes)),
        name_(file_.target_path.empty() ? file_.path : file_.target_path), fence_(scope, keeper, file_, name_),
        partials_(scope, keeper, file_, name_) {
    expected_.path = file_.path;
    expected_.size_bytes = file_.size_bytes;
    expected_.mtime_ns = file_.mtime_ns;
    expected_.mode = file_.mode;
    expected_.etag = file_.etag;
    outcome_.number = file_.number;
  }

  Task<FileOutcome> run() {
    const SpaceTurns::UnderWay under_way(scope_.space);
    scope_.engine.events.emit(FileStartedEvent{file_.path, file_.size_bytes});
    co_await partials_.find();
    if (keeper_.lease().previous_generation == 0 || !co_await finished_before()) co_await make_attempts();
    const bool open = outcome_.state == FileState::planned;
    const bool exhausted = outcome_.state == FileState::failed && outcome_.error->status == ErrorStatus::exhausted;
    co_await partials_.finish(expected_, open || exhausted);
    co_return outcome_;
  }

private:
  Target& target() { return *scope_.connections.target; }
  Source& source() { return *scope_.connections.source; }

  TemporaryName temporary() const {
    const Lease& lease = keeper_.lease();
    return {lease.plan, lease.generation, lease.nonce, file_.number, outcome_.attempts};
  }

  Task<void> make_attempts() {
    std::uint32_t failures = 0; // since the last attempt that had got further than those before
    for (outcome_.attempts = 1;; ++outcome_.attempts) {
      Result<void> done = co_await attempt();
      if (done) co_return;
      Error error = std::move(done.error());
      failures = partials_.got_further() ? 1 : failures + 1;
      if (ended_early()) {
        outcome_.state = FileState::planned;
        co_return;
      }
      const bool waits_for_space =
          error.kind == ErrorKind::no_space && !scope_.space.is_alone() && !std::exchange(had_turn_, true);
      if (!waits_for_space && (!retryable(error) || failures > scope_.job.retries)) co_return give_up(std::move(error));
      const milliseconds delay =
          waits_for_space ? milliseconds(0) : Backoff().delay(failures); // a turn comes when it may
      scope_.engine.events.emit(RetryEvent{file_.path, error, outcome_.attempts + 1, delay.count()});
      if (waits_for_space)
        (void)co_await scope_.space.take_turn(scope_.engine.cancellation);
      else
        co_await scope_.engine.cancellation.sleep(delay);
      if (!co_await needs_another_attempt()) co_return;
    }
  }

  // The file is left to whoever has the batch next.
  bool ended_early() const { return cancelled() || !keeper_.holds(); }
  bool cancelled() const { return scope_.engine.cancellation.requested(); }

  static bool retryable(const Error& error) {
    return error.transient() || error.kind == ErrorKind::changed || error.kind == ErrorKind::integrity;
  }

  // After an attempt that failed: takes the file as it is now. False: it is published already, or can't be read.
  Task<bool> needs_another_attempt() {
    partials_.ended(temporary());
    const Entry before = expected_;
    const auto renewed = co_await expect_present_version();
    if (!renewed || !check_unchanged(expected_, before)) co_await partials_.drop();
    if (renewed && co_await published_in_doubt()) co_return false;
    if (!renewed || !partials_.target_resumes()) co_await partials_.discard();
    if (!renewed) give_up(renewed.error());
    co_return renewed.has_value();
  }

  // A file that a lost lease had published already is not copied again.
  Task<bool> finished_before() { co_return size_and_mtime_prove() && co_await already_published(); }

  // With checksum equal size and mtime prove nothing; with readback it is not known whether the file was read back.
  bool size_and_mtime_prove() const {
    return file_.action == FileAction::copy && !scope_.job.checksum && scope_.job.verify != VerifyMode::readback;
  }

  // After an attempt whose connection was lost while it published: whether it did.
  Task<bool> published_in_doubt() {
    const std::optional<Content> content = fence_.take_in_doubt();
    // What was under a replaced file's name may have had the same size and mtime, with other content.
    if (!content || file_.replaces || !size_and_mtime_prove() || !co_await looks_published()) co_return false;
    co_await partials_.discard();
    co_return (co_await fence_.settle(*content, {.method = "published_before"}, expected_, outcome_)).has_value();
  }

  Task<bool> already_published() {
    if (!co_await looks_published()) co_return false;
    outcome_.state = FileState::skipped;
    outcome_.error = Error{ErrorKind::exists, ErrorStatus::permanent, "", "", "published_before"};
    record_source_version(expected_);
    co_return true;
  }

  CompareRules rules() const {
    return compare_rules(scope_.job, scope_.connections.source->capabilities(),
                         scope_.connections.target->capabilities());
  }

  // Whether size and mtime at the target show the version that this transfer copies.
  Task<bool> looks_published() {
    CompareRules by_times = rules();
    if (by_times.by_history) co_return false; // whose record would come only with the checkpoint
    by_times.checksum = false;
    const auto there = co_await target().stat(name_, false);
    co_return there&& judge(expected_, &*there, {}, by_times).kind == Verdict::Kind::up_to_date;
  }

  Task<Result<void>> attempt() {
    CV_CO_CHECK(co_await scope_.directories.ensure(std::string(parent_path(name_))));
    switch (file_.action) {
    case FileAction::directory: co_return co_await publish(make_directory(target(), name_));
    case FileAction::link: co_return co_await publish(copy_link(source(), target(), file_.path, name_, temporary()));
    case FileAction::copy: break;
    }
    // docs/adr/0011-files-of-this-second.md
    if (const milliseconds left =
            until_next_tick(expected_, version_tick_ns(expected_, rules(), source().capabilities()));
        left.count() > 0)
      co_await scope_.engine.cancellation.sleep(left);
    if (cancelled()) co_return Failure(scope_.engine.cancellation.reason());
    if (auto origin = direct_origin()) {
      auto taking = co_await target().begin_direct_copy(std::move(origin), expected_, name_, hints_to_resume());
      Result<void> done = taking ? co_await publish(copy_directly(source(), expected_, std::move(*taking),
                                                                  scope_.engine.cancellation, progress()))
                                 : Failure(taking.error());
      if (done || done.error().kind != ErrorKind::unsupported) co_return done;
    }
    CV_CO_CHECK(co_await partials_.prove(expected_, progress()));
    auto opening = spawn(source().open(expected_));
    auto begun = co_await begin();
    auto reader = co_await opening.get();
    if (reader && begun) co_return co_await publish(copy_of(std::move(*reader), std::move(*begun)));
    if (begun && begun->prefix.bytes > 0 && may_continue_after(reader.error()))
      partials_.keep(std::move(*begun));
    else if (begun)
      (void)co_await begun->upload->abort();
    co_return Failure(!reader ? reader.error() : begun.error());
  }

  // Null if the bytes have to come through here: to be changed, digested or held back.
  std::shared_ptr<const Origin> direct_origin() {
    return may_arrive_directly(scope_.job) ? source().origin() : nullptr;
  }

  // Once more where the directory, which was made or met before, is gone.
  Task<Result<PartialUpload>> begin() {
    auto upload = co_await partials_.begin(expected_, upload_hints());
    if (upload || upload.error().kind != ErrorKind::not_found) co_return upload;
    scope_.directories.forget();
    CV_CO_CHECK(co_await scope_.directories.ensure(std::string(parent_path(name_))));
    co_return co_await partials_.begin(expected_, upload_hints());
  }

  std::unique_ptr<Copy> copy_of(std::unique_ptr<Reader> reader, PartialUpload begun) {
    const std::uint32_t source_chunk = source().capabilities().chunk_bytes;
    const std::uint32_t target_chunk = target().capabilities().chunk_bytes;
    PumpLimits limits{expected_.size_bytes, window_bytes_, std::min(source_chunk, target_chunk)};
    if (scope_.chain.empty()) {
      if (expected_.size_bytes <= limits.chunk_bytes && begun.prefix.bytes == 0)
        return copy_whole(std::move(reader), std::move(begun.upload), static_cast<std::uint32_t>(expected_.size_bytes),
                          scope_.hash);
      return copy_pumped(std::move(reader), std::move(begun), limits, scope_.engine.cancellation, progress(),
                         [this](const Prefix& prefix) { partials_.acknowledged(expected_, prefix); });
    }
    limits.window_bytes = window_bytes_ / 2; // half for what is read, half for what is written
    limits.chunk_bytes = source_chunk;
    const OutputsFence fence{[this] { return fence_.open(); }, [this] { return open_before_the_file(); }};
    auto outputs = std::make_unique<Outputs>(target(), std::move(begun.upload), name_, temporary(),
                                             commit_options(scope_, file_, expected_), limits.window_bytes, fence);
    return copy_transformed(scope_.chain, std::move(reader), std::move(outputs), scope_.engine.workers,
                            {{file_.path, name_, expected_.size_bytes}, scope_.hash, target_chunk, limits},
                            scope_.engine.cancellation, progress());
  }

  // For a part that gets its name while the source is still being read.
  Task<Result<void>> open_before_the_file() {
    CV_CO_CHECK(check_unchanged(co_await source().stat(file_.path, true), expected_));
    co_return fence_.open();
  }

  Task<Result<void>> publish(std::unique_ptr<Copy> copy) {
    auto content = co_await copy->move();
    Result<void> done;
    if (content)
      done = co_await fence_.publish(*copy, *content, expected_, outcome_);
    else
      done = Failure(content.error());
    if (done) {
      if (scope_.chain.splits()) co_await warn_of_stale_part(content->parts);
      co_return done;
    }
    const bool kept = may_continue_after(done.error()) && partials_.keep(copy->take_partial());
    if (!kept && !resumes_after(done.error()))
      (void)co_await copy->abort(); // what stays is removed by the next plan or a sweep
    if (content && done.error().kind == ErrorKind::exists) co_return co_await existing_name(*content);
    if (done.error().kind == ErrorKind::transform) {
      // What a transform could not understand may be half of two versions of the file.
      const auto now = co_await source().stat(file_.path, true);
      if (now) CV_CO_CHECK(check_unchanged(now, expected_));
    }
    co_return done;
  }

  // Whether the upload that failed so may be continued as it is.
  bool may_continue_after(const Error& error) const {
    return partials_.may_keep() && (error.transient() || ended_early());
  }

  // Whether the next attempt resumes what this one has left.
  bool resumes_after(const Error& error) const {
    return partials_.target_resumes() && error.transient() && outcome_.attempts <= scope_.job.retries && !ended_early();
  }

  UploadHints hints_to_resume() const {
    UploadHints hints = upload_hints();
    partials_.describe(expected_, hints);
    return hints;
  }

  UploadHints upload_hints() const {
    const CommitOptions later = commit_options(scope_, file_, expected_);
    UploadHints hints{.temporary = temporary(),
                      .mtime_ns = later.mtime_ns,
                      .mode = later.mode,
                      .replaces = later.replace != Replace::if_absent};
    if (scope_.chain.keeps_size()) hints.size_bytes = expected_.size_bytes;
    return hints;
  }

  // Published files are never removed, so the parts of a longer version stay; the next one is there if any is.
  Task<void> warn_of_stale_part(std::uint64_t parts) {
    const auto next = scope_.chain.renamed(file_.path, parts + 1);
    if (!next || !co_await target().stat(*next, false)) co_return;
    scope_.engine.events.emit(WarningEvent{
        fmt::format("'{}' has {} parts, but '{}' exists as well, from a longer version or another producer. checkvalve "
                    "never removes it; a reader of all parts would include it",
                    escape_bytes(file_.path), parts, escape_bytes(*next))});
  }

  // The name was free when planned and is taken now.
  Task<Result<void>> existing_name(const Content& content) {
    if (fence_.misread()) co_return Failure(*fence_.misread());
    if (scope_.job.verify == VerifyMode::readback) {
      // Of an attempt that ended before it read the file back: that is done now.
      if (!content.digest.empty() && co_await looks_published())
        co_return co_await fence_.settle(content, {.method = "published_before"}, expected_, outcome_);
    } else if (co_await already_published()) {
      co_return Result<void>();
    }
    if (scope_.job.on_conflict != OnConflict::skip)
      co_return Failure(make_error(ErrorKind::exists, "publish", escape_bytes(name_),
                                   "appeared at the target with other content after the plan was made")
                            .with_code(ErrorCode::target_changed));
    outcome_.state = FileState::skipped;
    outcome_.error = Error{ErrorKind::exists, ErrorStatus::permanent, "", "", "conflict"};
    co_return Result<void>();
  }

  // A further attempt takes the file as it is now.
  Task<Result<void>> expect_present_version() {
    if (file_.action != FileAction::copy) co_return Result<void>();
    CV_CO_TRY(Entry now, co_await source().stat(file_.path, true));
    if (now.type != EntryType::file)
      co_return Failure(make_error(ErrorKind::changed, "read", escape_bytes(file_.path), "is not a file any more"));
    now.path = file_.path;
    expected_ = std::move(now);
    co_return Result<void>();
  }

  void record_source_version(const Entry& entry) {
    outcome_.size_bytes = entry.size_bytes;
    outcome_.mtime_ns = entry.mtime_ns;
    outcome_.etag = entry.etag;
  }

  void give_up(Error error) {
    if (error.kind == ErrorKind::changed) error.message = "unstable: " + error.message;
    if (scope_of(error) == ErrorScope::endpoint) {
      scope_.engine.cancellation.request(error);
      outcome_.state = FileState::planned;
      return;
    }
    if (error.transient()) error.status = ErrorStatus::exhausted;
    outcome_.state = FileState::failed;
    outcome_.error = std::move(error);
  }

  Progress progress() {
    return [this](std::uint64_t done) { report_progress(done); };
  }

  void report_progress(std::uint64_t done) {
    if (expected_.size_bytes < progress_from_bytes) return;
    const std::int64_t now = now_ms();
    if (now - reported_ms_ < progress_interval_ms) return;
    reported_ms_ = now;
    scope_.engine.events.emit(FileProgressEvent{file_.path, expected_.size_bytes, done});
  }

  TransferScope& scope_;
  const LeaseKeeper& keeper_;
  const PlannedFile file_;
  const std::uint64_t window_bytes_;
  const std::string name_;
  Entry expected_; // the version of the source that this attempt copies
  FileOutcome outcome_;
  bool had_turn_ = false; // after the target had no space left
  Fence fence_;
  PartialUploads partials_;
  std::int64_t reported_ms_ = 0;
};

} // namespace

std::uint64_t window_for(const TransferScope& scope, std::uint64_t size_bytes) {
  constexpr std::uint64_t least = 4 * 1024; // what even an empty file costs in packets and bookkeeping
  const std::uint64_t useful = std::max(scope.connections.source->capabilities().window_bytes,
                                        scope.connections.target->capabilities().window_bytes);
  const std::uint64_t window = std::clamp(size_bytes, least, std::max(useful, least));
  return scope.chain.empty() ? window : 2 * window + scope.chain.memory_bytes(size_bytes);
}

Task<FileOutcome> transfer_file(TransferScope& scope, const LeaseKeeper& keeper, PlannedFile file,
                                std::uint64_t window_bytes) {
  Transfer transfer(scope, keeper, std::move(file), window_bytes);
  co_return co_await transfer.run();
}

} // namespace checkvalve
