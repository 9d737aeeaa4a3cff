#include "sync/transfer.h"

#include <fmt/format.h>

#include <algorithm>
#include <random>

#include "core/path.h"
#include "core/units.h"
#include "sync/content.h"
#include "sync/pump.h"
#include "sync/resumable_uploads.h"
#include "sync/transformed_upload.h"
#include "sync/up_to_date.h"

namespace checkvalve {
namespace {

using std::chrono::milliseconds;

constexpr std::uint64_t progress_from_bytes = 64 << 20; // smaller files tell only their start and end
constexpr std::int64_t progress_interval_ms = 1'000;
constexpr milliseconds initial_delay{250};
constexpr milliseconds max_delay{15'000};
// Temporaries of a lost lease that are removed by name: each costs a request a file. Those of later attempts, which are
// rare, are found by the next plan's listing.
constexpr std::uint32_t attempts_discarded = 16;

// Exponential, with full jitter, so that many files that failed together don't come back together.
milliseconds delay_before(std::uint32_t attempt) {
  thread_local std::minstd_rand random{std::random_device{}()};
  const milliseconds most = std::min(initial_delay * (1 << std::min(attempt, 6U)), max_delay);
  return milliseconds(std::uniform_int_distribution<std::int64_t>(most.count() / 4, most.count())(random));
}

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

bool same_version(const Entry& now, const Entry& before) {
  return now.type == EntryType::file && now.size_bytes == before.size_bytes && now.mtime_ns == before.mtime_ns &&
         now.etag == before.etag;
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
        name_(file_.target_path.empty() ? file_.path : file_.target_path) {
    expected_.path = file_.path;
    expected_.size_bytes = file_.size_bytes;
    expected_.mtime_ns = file_.mtime_ns;
    expected_.mode = file_.mode;
    expected_.etag = file_.etag;
    outcome_.number = file_.number;
    left_ = temporaries_of_lost_lease();
    if (const auto left = parse_temporary(file_.orphan)) left_.push_back(*left);
  }

  Task<FileOutcome> run() {
    scope_.engine.events.emit(FileStartedEvent{file_.path, file_.size_bytes});
    if (keeper_.lease().previous_generation != 0 && co_await finished_before()) co_return outcome_;
    for (outcome_.attempts = 1;; ++outcome_.attempts) {
      Result<void> done = co_await attempt();
      if (done) co_return outcome_;
      Error error = std::move(done.error());
      if (scope_.engine.cancellation.requested() || !keeper_.holds()) {
        outcome_.state = FileState::planned;
        co_return outcome_;
      }
      const bool retryable =
          error.transient() || error.kind == ErrorKind::changed || error.kind == ErrorKind::integrity;
      if (!retryable || outcome_.attempts > scope_.job.retries) {
        give_up(std::move(error));
        co_return outcome_;
      }
      const milliseconds delay = delay_before(outcome_.attempts);
      scope_.engine.events.emit(RetryEvent{file_.path, error, outcome_.attempts + 1, delay.count()});
      co_await scope_.engine.cancellation.sleep(delay);
      if (file_.action != FileAction::directory) left_.push_back(temporary());
      const auto renewed = co_await expect_anew();
      if (renewed && co_await published_in_doubt()) co_return outcome_;
      if (!renewed || !may_resume()) co_await discard_left();
      if (!renewed) {
        give_up(renewed.error());
        co_return outcome_;
      }
    }
  }

private:
  Target& target() { return *scope_.connections.target; }
  Source& source() { return *scope_.connections.source; }

  TemporaryName temporary() const {
    const Lease& lease = keeper_.lease();
    return {lease.plan, lease.generation, lease.nonce, file_.number, outcome_.attempts};
  }

  std::vector<TemporaryName> temporaries_of_lost_lease() const {
    std::vector<TemporaryName> names;
    const Lease& lease = keeper_.lease();
    if (lease.previous_generation == 0) return names;
    const std::uint32_t attempts = std::min(scope_.job.retries + 1, attempts_discarded);
    for (std::uint32_t attempt = 1; attempt <= attempts; ++attempt)
      names.push_back({lease.plan, lease.previous_generation, lease.previous_nonce, file_.number, attempt});
    return names;
  }

  Task<void> discard_left() { co_await discard_outputs(target(), scope_.chain, name_, std::exchange(left_, {})); }

  bool may_resume() const {
    return file_.action == FileAction::copy &&
           checkvalve::may_resume(scope_.job, scope_.connections.target->capabilities());
  }

  // After a lost lease: its temporaries are removed if they can't be resumed, and a file that it had published already
  // is not copied again.
  Task<bool> finished_before() {
    if (!may_resume()) co_await discard_left();
    co_return size_and_mtime_prove() && co_await already_published();
  }

  // With checksum equal size and mtime prove nothing; with readback it is not known whether the file was read back.
  bool size_and_mtime_prove() const {
    return file_.action == FileAction::copy && !scope_.job.checksum && scope_.job.verify != VerifyMode::readback;
  }

  // After an attempt whose connection was lost while it published: whether it did.
  Task<bool> published_in_doubt() {
    // What was under a replaced file's name may have had the same size and mtime, with other content.
    if (!std::exchange(commit_in_doubt_, false) || file_.replaces || !size_and_mtime_prove() ||
        !co_await looks_published())
      co_return false;
    co_await discard_left();
    co_return (co_await conclude(read_digest_, read_digest_, expected_.size_bytes, {.method = "published_before"}))
        .has_value();
  }

  Result<Published> note_doubt(Result<Published> published) {
    commit_in_doubt_ = !published && published.error().transient();
    return published;
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
    case FileAction::directory: co_return co_await make_directory();
    case FileAction::link: co_return co_await copy_link();
    case FileAction::copy: break;
    }
    // docs/adr/0011-files-of-this-second.md
    if (const milliseconds left =
            until_next_tick(expected_, version_tick_ns(expected_, rules(), source().capabilities()));
        left.count() > 0)
      co_await scope_.engine.cancellation.sleep(left);
    if (scope_.engine.cancellation.requested()) co_return Failure(scope_.engine.cancellation.reason());
    if (const auto origin = direct_origin()) {
      auto copied = co_await copy_directly(origin);
      if (copied || copied.error().kind != ErrorKind::unsupported) co_return copied;
    }
    auto opening = spawn(source().open(expected_));
    auto upload = co_await begin();
    auto reader = co_await opening.get();
    if (!reader || !upload) {
      if (upload) (void)co_await (*upload)->abort();
      co_return Failure(!reader ? reader.error() : upload.error());
    }
    if (!scope_.chain.empty()) co_return co_await copy_transformed(**reader, std::move(*upload));
    auto copied = co_await copy(**reader, **upload);
    if (!copied && !goes_on_after(copied.error()))
      (void)co_await (*upload)->abort(); // what it can't remove now, the next run or a sweep will
    if (!copied && copied.error().kind == ErrorKind::exists) co_return co_await existing_name();
    co_return copied;
  }

  // Once more where the directory, which was made or met before, is gone.
  Task<Result<std::unique_ptr<Upload>>> begin() {
    auto upload = co_await target().begin(name_, upload_hints());
    if (!upload && upload.error().kind == ErrorKind::not_found) {
      scope_.directories.forget();
      CV_CO_CHECK(co_await scope_.directories.ensure(std::string(parent_path(name_))));
      upload = co_await target().begin(name_, upload_hints());
    }
    if (upload && may_resume()) left_.clear(); // it took or removed them all
    co_return upload;
  }

  // Whether the next attempt takes up what this one has left.
  bool goes_on_after(const Error& error) const {
    return may_resume() && error.transient() && outcome_.attempts <= scope_.job.retries && keeper_.holds() &&
           !scope_.engine.cancellation.requested();
  }

  UploadHints upload_hints() const {
    const CommitOptions later = commit_options();
    UploadHints hints{.temporary = temporary(), .mtime_ns = later.mtime_ns, .mode = later.mode};
    if (scope_.chain.keeps_size()) hints.size_bytes = expected_.size_bytes;
    if (!may_resume()) return hints;
    hints.version = fmt::format("{} {} {}", expected_.size_bytes, expected_.mtime_ns.value_or(0), expected_.etag);
    hints.continues = left_;
    return hints;
  }

  // Null if the bytes have to come through here: to be changed, digested or held back.
  std::shared_ptr<const Origin> direct_origin() {
    if (!scope_.chain.empty() || scope_.job.verify != VerifyMode::size || scope_.job.checksum) return nullptr;
    return source().origin();
  }

  Task<Result<void>> copy_directly(std::shared_ptr<const Origin> origin) {
    CV_CO_TRY(auto taken, co_await target().begin_direct_copy(std::move(origin), expected_, name_, upload_hints()));
    auto copied = co_await take_directly(*taken);
    if (!copied) (void)co_await taken->abort();
    if (!copied && copied.error().kind == ErrorKind::exists) co_return co_await existing_name();
    co_return copied;
  }

  Task<Result<void>> take_directly(DirectCopy& taken) {
    for (std::uint64_t done = 0; done < expected_.size_bytes;) {
      if (scope_.engine.cancellation.requested()) co_return Failure(scope_.engine.cancellation.reason());
      CV_CO_TRY(done, co_await taken.advance());
      report_progress(done);
    }
    if (expected_.etag.empty()) CV_CO_CHECK(unchanged(co_await source().stat(file_.path, true)));
    CV_CO_CHECK(still_ours());
    CV_CO_TRY(Published published, note_doubt(co_await taken.commit(commit_options())));
    co_return co_await conclude("", "", expected_.size_bytes, std::move(published));
  }

  Task<Result<void>> copy(Reader& reader, Upload& upload) {
    const std::uint32_t chunk = std::min(source().capabilities().chunk_bytes, target().capabilities().chunk_bytes);
    const std::uint64_t resumed = upload.resumed_bytes();
    if (expected_.size_bytes <= chunk && resumed == 0) co_return co_await copy_whole(reader, upload);
    Pump pump(reader, upload, {expected_.size_bytes, window_bytes_, chunk, resumed, scope_.hash},
              scope_.engine.cancellation);
    CV_CO_CHECK(co_await pump_through(pump));
    CommitOptions options = commit_options();
    if (scope_.job.verify == VerifyMode::hash) options.content_digest = pump.digest();
    read_digest_ = resumed == 0 ? pump.digest() : ""; // of a part of the file it would mislead
    CV_CO_TRY(Published published, note_doubt(co_await upload.commit(std::move(options))));
    co_return co_await conclude(read_digest_, read_digest_, expected_.size_bytes, std::move(published));
  }

  // A file of one chunk is read, looked at again, and given to the target as one.
  Task<Result<void>> copy_whole(Reader& reader, Upload& upload) {
    const auto size = static_cast<std::uint32_t>(expected_.size_bytes);
    CV_CO_TRY(Reader::Whole whole, co_await reader.read_whole(size));
    if (whole.content.size() != size)
      co_return Failure(make_error(ErrorKind::changed, "read", escape_bytes(file_.path),
                                   "the file became shorter while it was read"));
    CV_CO_CHECK(unchanged(whole.after));
    if (scope_.engine.cancellation.requested()) co_return Failure(scope_.engine.cancellation.reason());
    CV_CO_CHECK(still_ours());
    Hasher hasher(scope_.hash);
    hasher.update(whole.content.bytes());
    read_digest_ = hasher.digest();
    CommitOptions options = commit_options();
    if (scope_.job.verify == VerifyMode::hash) options.content_digest = read_digest_;
    CV_CO_TRY(Published published,
              note_doubt(co_await upload.write_and_commit(std::move(whole.content), std::move(options))));
    co_return co_await conclude(read_digest_, read_digest_, size, std::move(published));
  }

  // Nothing is ever removed, so the parts of a longer version stay; the next one is there if any is.
  Task<void> warn_of_stale_part(std::uint64_t parts) {
    const auto next = scope_.chain.renamed(file_.path, parts + 1);
    if (!next || !co_await target().stat(*next, false)) co_return;
    scope_.engine.events.emit(WarningEvent{
        fmt::format("{} now has {} parts, but {} is there, too: of a longer version, or somebody else's. Nothing is "
                    "ever removed; readers that take all parts take it along",
                    escape_bytes(file_.path), parts, escape_bytes(*next))});
  }

  Task<Result<void>> copy_transformed(Reader& reader, std::unique_ptr<Upload> inner) {
    const std::uint64_t half = window_bytes_ / 2; // for what is read, and for what is written
    auto outputs = std::make_unique<Outputs>(target(), std::move(inner), name_, temporary(), commit_options(), half,
                                             [this] { return keeper_.holds(); });
    TransformedUpload upload(scope_.chain, {file_.path, name_, expected_.size_bytes}, std::move(outputs),
                             scope_.engine.workers, target().capabilities().chunk_bytes, scope_.hash,
                             scope_.job.verify == VerifyMode::hash);
    Pump pump(reader, upload, {expected_.size_bytes, half, source().capabilities().chunk_bytes, 0, scope_.hash},
              scope_.engine.cancellation);
    auto moved = co_await pump_through(pump);
    if (moved) {
      auto published = co_await upload.commit(commit_options());
      if (published) {
        if (scope_.chain.splits()) co_await warn_of_stale_part(upload.parts());
        outcome_.list_digest = upload.checksum();
        co_return co_await conclude(pump.digest(), upload.written_digest(), upload.written_bytes(), *published);
      }
      moved = Failure(published.error());
    }
    (void)co_await upload.abort();
    if (moved.error().kind == ErrorKind::exists) co_return co_await existing_name();
    if (moved.error().kind == ErrorKind::transform) {
      // What a transform could not understand may be half of two versions of the file.
      const auto now = co_await reader.stat();
      if (now && !same_version(*now, expected_)) co_return unchanged(now);
    }
    co_return moved;
  }

  Task<Result<void>> pump_through(Pump& pump) {
    pump.on_progress([this](std::uint64_t done) { report_progress(done); });
    CV_CO_CHECK(co_await pump.run());
    CV_CO_CHECK(unchanged(pump.source_after()));
    co_return still_ours();
  }

  Result<void> still_ours() const {
    if (keeper_.holds()) return {};
    return Failure(
        make_error(ErrorKind::lease, "publish", escape_bytes(name_), "another worker has taken the batch over"));
  }

  Task<Result<void>> conclude(std::string digest, std::string target_digest, std::uint64_t bytes, Published published) {
    if (scope_.job.verify == VerifyMode::readback) CV_CO_CHECK(co_await read_back(target_digest, bytes));
    outcome_.state = FileState::committed;
    outcome_.bytes = bytes;
    outcome_.digest = std::move(digest);
    outcome_.target_digest = std::move(target_digest);
    outcome_.method = std::move(published.method);
    record_source_version(expected_);
    co_return Result<void>();
  }

  // All bytes of the planned version were read; a server that removes what was read has not changed it.
  Result<void> unchanged(const Result<Entry>& after) const {
    if (!after && after.error().kind == ErrorKind::not_found) return {};
    if (!after) return Failure(after.error());
    if (same_version(*after, expected_)) return {};
    return Failure(
        make_error(ErrorKind::changed, "read", escape_bytes(file_.path), "the file changed while it was read"));
  }

  CommitOptions commit_options() const {
    CommitOptions options;
    options.size_bytes = expected_.size_bytes;
    options.durable = scope_.job.durable;
    if (scope_.job.preserve_mtime) options.mtime_ns = expected_.mtime_ns;
    if (scope_.job.preserve_mode) options.mode = expected_.mode;
    options.replace = replace();
    return options;
  }

  Replace replace() const {
    if (!scope_.job.overwrites()) return Replace::if_absent;
    // With consent to a gap, a target that turns out to refuse the atomic step does it the other way.
    if (file_.replaces && scope_.job.overwrites_non_atomically()) return Replace::allow_gap;
    return scope_.connections.target->capabilities().atomic_replace ? Replace::atomic : Replace::if_absent;
  }

  // The name was free when planned and is taken now.
  Task<Result<void>> existing_name() {
    if (misread_) co_return Failure(*misread_); // it is ours
    if (scope_.job.verify == VerifyMode::readback) {
      // Of an attempt that ended before it read the file back: that is made up for.
      if (!read_digest_.empty() && co_await looks_published())
        co_return co_await conclude(read_digest_, read_digest_, expected_.size_bytes, {.method = "published_before"});
    } else if (co_await already_published()) {
      co_return Result<void>();
    }
    if (scope_.job.on_conflict != OnConflict::skip)
      co_return Failure(make_error(ErrorKind::exists, "publish", escape_bytes(name_),
                                   "appeared at the target with other content after the plan was made"));
    outcome_.state = FileState::skipped;
    outcome_.error = Error{ErrorKind::exists, ErrorStatus::permanent, "", "", "conflict"};
    co_return Result<void>();
  }

  Task<Result<void>> read_back(const std::string& digest, std::uint64_t bytes) {
    Entry there;
    there.path = name_;
    there.size_bytes = bytes;
    std::uint64_t read_bytes = 0;
    CV_CO_TRY(const std::string found, co_await content_digest(*scope_.connections.readback, there, read_bytes));
    if (found == digest) co_return Result<void>();
    misread_ = make_error(ErrorKind::integrity, "verify", escape_bytes(name_),
                          "the published file reads back with other content than was written");
    co_return Failure(*misread_);
  }

  Task<Result<void>> copy_link() {
    CV_CO_TRY(const std::string text, co_await source().read_link(file_.path));
    CV_CO_CHECK(co_await target().make_link(name_, text, temporary(), replace()));
    outcome_.state = FileState::committed;
    outcome_.method = "symlink";
    co_return Result<void>();
  }

  Task<Result<void>> make_directory() {
    std::optional<std::uint32_t> mode;
    if (scope_.job.preserve_mode) mode = file_.mode;
    CV_CO_CHECK(co_await target().make_directory(name_, mode));
    outcome_.state = FileState::committed;
    outcome_.method = "mkdir";
    co_return Result<void>();
  }

  // A further attempt takes the file as it is now.
  Task<Result<void>> expect_anew() {
    if (file_.action != FileAction::copy) co_return Result<void>();
    CV_CO_TRY(Entry now, co_await source().stat(file_.path, true));
    if (now.type != EntryType::file)
      co_return Failure(make_error(ErrorKind::changed, "read", escape_bytes(file_.path), "is no file any more"));
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
    // An endpoint that could not be reached again, whatever was tried, ends the run; a body that broke off does not.
    const bool endpoint_gone =
        error.status == ErrorStatus::exhausted || error.kind == ErrorKind::auth || error.kind == ErrorKind::host_key;
    if (endpoint_gone && (error.kind == ErrorKind::connection || error.kind == ErrorKind::timeout ||
                          error.kind == ErrorKind::auth || error.kind == ErrorKind::host_key)) {
      scope_.engine.cancellation.request(error);
      outcome_.state = FileState::planned;
      return;
    }
    if (error.transient()) error.status = ErrorStatus::exhausted;
    outcome_.state = FileState::failed;
    outcome_.error = std::move(error);
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
  std::vector<TemporaryName> left_; // what attempts that have ended may have left: of this lease, the lost one, a plan
  bool commit_in_doubt_ = false;    // the last attempt's connection was lost while it published
  std::string read_digest_;         // of the planned version, once it was read without transforms; empty: not known
  std::optional<Error> misread_;    // what was published under the name by an attempt before
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
