#include "decorators/timeout.h"

#include <fmt/format.h>

#include "backends/silent_work.h"
#include "core/alarm.h"
#include "core/async.h"
#include "core/units.h"
#include "decorators/wrapper.h"

namespace checkvalve {
namespace {

using Clock = std::chrono::steady_clock;

// One call under way: its outcome, or that its time was up first. Lies in its watchdog's list while the time runs.
struct Watch {
  OneShotEvent decided;
  Clock::time_point deadline;
  Watch* before = nullptr;
  Watch* after = nullptr;
};

template <class T> struct WatchOf : Watch {
  std::optional<Result<T>> value; // nothing if the time was up first
};

// The deadlines of all calls of one decorator. Nearly all have the same limit, so a new one belongs at the end, and one
// timer serves them all: a timer a call would cost more than the call.
class Watchdog : public std::enable_shared_from_this<Watchdog> {
public:
  Watchdog(Loop& loop, std::chrono::milliseconds limit) : alarm_(loop), limit_(limit) {}
  std::chrono::milliseconds limit() const { return limit_; }

  // Decides at the deadline, unless end() comes first. The watch must stay until one of the two.
  void begin(Watch& watch, std::chrono::seconds longer) {
    watch.deadline = Clock::now() + limit_ + longer;
    watch.before = last_;
    while (watch.before && watch.before->deadline > watch.deadline) watch.before = watch.before->before;
    watch.after = watch.before ? watch.before->after : first_;
    (watch.before ? watch.before->after : first_) = &watch;
    (watch.after ? watch.after->before : last_) = &watch;
    if (!armed_ || watch.deadline < armed_for_) arm();
  }
  // The alarm stays set, so that calls that end in time do not touch it.
  void end(Watch& watch) {
    (watch.before ? watch.before->after : first_) = watch.after;
    (watch.after ? watch.after->before : last_) = watch.before;
    watch.before = watch.after = nullptr;
  }

private:
  void arm() {
    armed_ = true;
    armed_for_ = first_->deadline;
    alarm_.set(armed_for_, [weak = weak_from_this()] { // what expires may drop the last owner
      if (const auto self = weak.lock()) self->expire();
    });
  }
  void expire() {
    armed_ = false;
    const auto now = Clock::now();
    while (first_ && first_->deadline <= now) {
      Watch& late = *first_;
      end(late);
      late.decided.set();
    }
    if (first_) arm();
  }

  Alarm alarm_;
  std::chrono::milliseconds limit_;
  Watch* first_ = nullptr;
  Watch* last_ = nullptr;
  Clock::time_point armed_for_;
  bool armed_ = false;
};

// `keep` is what the task works on. Runs on to its end after the time was up, for nobody.
template <class T>
detail::Detached run_into(Task<Result<T>> task, std::shared_ptr<WatchOf<T>> watch, std::shared_ptr<Watchdog> dog,
                          [[maybe_unused]] std::shared_ptr<void> keep, std::chrono::seconds longer) {
  dog->begin(*watch, longer);
  auto result = co_await std::move(task);
  if (watch->decided.is_set()) co_return;
  dog->end(*watch);
  watch->value.emplace(std::move(result));
  watch->decided.set();
}

template <class T>
Task<Result<T>> watched(std::shared_ptr<Watchdog> dog, Task<Result<T>> task, std::shared_ptr<void> keep,
                        std::chrono::seconds longer = {}) {
  auto watch = std::make_shared<WatchOf<T>>();
  run_into(std::move(task), watch, dog, std::move(keep), longer);
  co_await watch->decided;
  if (watch->value) co_return std::move(*watch->value);
  co_return Failure(
      make_error(ErrorKind::timeout, fmt::format("no answer for {}", format_duration(dog->limit() + longer))));
}

class TimeoutReader : public ReaderWrapper {
public:
  TimeoutReader(std::shared_ptr<Reader> inner, std::shared_ptr<Watchdog> dog)
      : ReaderWrapper(std::move(inner)), dog_(std::move(dog)) {}
  Task<Result<Chunk>> read(std::uint64_t offset, std::uint32_t size) override {
    return watched(dog_, inner_->read(offset, size), inner_);
  }
  Task<Result<Entry>> stat() override { return watched(dog_, inner_->stat(), inner_); }
  Task<Result<Whole>> read_whole(std::uint32_t size) override {
    return watched(dog_, inner_->read_whole(size), inner_);
  }

private:
  std::shared_ptr<Watchdog> dog_;
};

class TimeoutListing : public ListingWrapper {
public:
  TimeoutListing(std::shared_ptr<Listing> inner, std::shared_ptr<Watchdog> dog)
      : ListingWrapper(std::move(inner)), dog_(std::move(dog)) {}
  Task<Result<std::vector<Entry>>> next() override { return watched(dog_, inner_->next(), inner_); }

private:
  std::shared_ptr<Watchdog> dog_;
};

class TimeoutUpload : public UploadWrapper {
public:
  TimeoutUpload(std::shared_ptr<Upload> inner, std::shared_ptr<Watchdog> dog)
      : UploadWrapper(std::move(inner)), dog_(std::move(dog)) {}
  Task<Result<void>> write(std::uint64_t offset, Chunk chunk) override {
    return watched(dog_, inner_->write(offset, std::move(chunk)), inner_);
  }
  // A checksum takes the endpoint as long as reading the whole file does: only its connection is watched then.
  Task<Result<Published>> commit(CommitOptions options) override {
    if (!options.content_digest.empty()) return inner_->commit(std::move(options));
    return watched(dog_, inner_->commit(options), inner_, silent_work_limit(options.size_bytes));
  }
  Task<Result<Published>> write_and_commit(Chunk content, CommitOptions options) override {
    if (!options.content_digest.empty()) return inner_->write_and_commit(std::move(content), std::move(options));
    return watched(dog_, inner_->write_and_commit(std::move(content), options), inner_,
                   silent_work_limit(options.size_bytes));
  }
  Task<Result<void>> reopen(std::uint64_t acknowledged_bytes, TemporaryName temporary) override {
    return watched(dog_, inner_->reopen(acknowledged_bytes, std::move(temporary)), inner_);
  }
  Task<Result<void>> abort() override { return watched(dog_, inner_->abort(), inner_); }

private:
  std::shared_ptr<Watchdog> dog_;
};

class TimeoutDirectCopy : public DirectCopyWrapper {
public:
  TimeoutDirectCopy(std::shared_ptr<DirectCopy> inner, std::shared_ptr<Watchdog> dog)
      : DirectCopyWrapper(std::move(inner)), dog_(std::move(dog)) {}
  Task<Result<std::uint64_t>> advance() override { return watched(dog_, inner_->advance(), inner_); }
  Task<Result<Published>> commit(CommitOptions options) override {
    return watched(dog_, inner_->commit(options), inner_, silent_work_limit(options.size_bytes));
  }
  Task<Result<void>> abort() override { return watched(dog_, inner_->abort(), inner_); }

private:
  std::shared_ptr<Watchdog> dog_;
};

// list, for both sides.
template <class Side>
Task<Result<std::unique_ptr<Listing>>> watched_list(std::shared_ptr<Watchdog> dog, std::shared_ptr<Side> inner,
                                                    std::string directory, bool recursive) {
  CV_CO_TRY(auto listing, co_await watched(dog, inner->list(directory, recursive), inner));
  co_return std::make_unique<TimeoutListing>(std::move(listing), dog);
}

class TimeoutSource : public SourceWrapper {
public:
  TimeoutSource(std::shared_ptr<Source> inner, std::shared_ptr<Watchdog> dog)
      : SourceWrapper(std::move(inner)), dog_(std::move(dog)) {}
  Task<Result<std::unique_ptr<Listing>>> list(std::string directory, bool recursive) override {
    return watched_list(dog_, inner_, std::move(directory), recursive);
  }
  Task<Result<Entry>> stat(std::string path, bool follow) override {
    return watched(dog_, inner_->stat(path, follow), inner_);
  }
  Task<Result<std::unique_ptr<Reader>>> open(Entry entry) override {
    const auto dog = dog_;
    CV_CO_TRY(auto reader, co_await watched(dog, inner_->open(entry), inner_));
    co_return std::make_unique<TimeoutReader>(std::move(reader), dog);
  }
  Task<Result<std::string>> read_link(std::string path) override {
    return watched(dog_, inner_->read_link(path), inner_);
  }
  Task<Result<std::string>> real_path(std::string path) override {
    return watched(dog_, inner_->real_path(path), inner_);
  }

private:
  std::shared_ptr<Watchdog> dog_;
};

class TimeoutTarget : public TargetWrapper {
public:
  TimeoutTarget(std::shared_ptr<Target> inner, std::shared_ptr<Watchdog> dog)
      : TargetWrapper(std::move(inner)), dog_(std::move(dog)) {}
  Task<Result<std::unique_ptr<Listing>>> list(std::string directory, bool recursive) override {
    return watched_list(dog_, inner_, std::move(directory), recursive);
  }
  Task<Result<Entry>> stat(std::string path, bool follow) override {
    return watched(dog_, inner_->stat(path, follow), inner_);
  }
  Task<Result<void>> make_directory(std::string path, std::optional<std::uint32_t> mode) override {
    return watched(dog_, inner_->make_directory(path, mode), inner_);
  }
  Task<Result<void>> make_link(std::string path, std::string text, TemporaryName temporary, Replace replace) override {
    return watched(dog_, inner_->make_link(path, std::move(text), std::move(temporary), replace), inner_);
  }
  Task<Result<std::unique_ptr<Upload>>> begin(std::string path, UploadHints hints) override {
    const auto dog = dog_;
    CV_CO_TRY(auto upload, co_await watched(dog, inner_->begin(path, std::move(hints)), inner_));
    co_return std::make_unique<TimeoutUpload>(std::move(upload), dog);
  }
  Task<Result<std::unique_ptr<DirectCopy>>> begin_direct_copy(std::shared_ptr<const Origin> origin, Entry entry,
                                                              std::string path, UploadHints hints) override {
    const auto dog = dog_;
    auto begun = inner_->begin_direct_copy(std::move(origin), std::move(entry), path, std::move(hints));
    CV_CO_TRY(auto copy, co_await watched(dog, std::move(begun), inner_));
    co_return std::make_unique<TimeoutDirectCopy>(std::move(copy), dog);
  }
  Task<Result<void>> discard(std::string path, TemporaryName temporary) override {
    return watched(dog_, inner_->discard(path, std::move(temporary)), inner_);
  }
  Task<Result<void>> remove_orphan(Orphan orphan) override {
    return watched(dog_, inner_->remove_orphan(orphan), inner_);
  }
  Task<Result<SetAsideOutcome>> settle_set_aside(std::string path) override {
    return watched(dog_, inner_->settle_set_aside(path), inner_);
  }
  Task<Result<std::optional<std::string>>> resumable_path(Orphan orphan) override {
    return watched(dog_, inner_->resumable_path(orphan), inner_);
  }
  Task<Result<HashAlgorithm>> server_side_checksum() override {
    return watched(dog_, inner_->server_side_checksum(), inner_);
  }

private:
  std::shared_ptr<Watchdog> dog_;
};

} // namespace

std::unique_ptr<Source> with_timeout(std::shared_ptr<Source> inner, Loop& loop,
                                     std::chrono::milliseconds stall_timeout) {
  return std::make_unique<TimeoutSource>(std::move(inner), std::make_shared<Watchdog>(loop, stall_timeout));
}

std::unique_ptr<Target> with_timeout(std::shared_ptr<Target> inner, Loop& loop,
                                     std::chrono::milliseconds stall_timeout) {
  return std::make_unique<TimeoutTarget>(std::move(inner), std::make_shared<Watchdog>(loop, stall_timeout));
}

} // namespace checkvalve
