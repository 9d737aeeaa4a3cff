#include "decorators/retry.h"

#include "decorators/wrapper.h"

namespace checkvalve {
namespace {

struct Retrier {
  Loop& loop;
  EventSink& events;
  const RetryPolicy policy;

  // False if there is no retry left, or none is wanted.
  Task<bool> wait_for_retry(std::uint32_t retry, std::string path, Error error) {
    if (retry > policy.retries || policy.token.requested()) co_return false;
    const auto delay = policy.backoff.delay(retry);
    events.emit(RetryEvent{std::move(path), std::move(error), retry + 1, delay.count()});
    co_return co_await loop.sleep(delay, policy.token);
  }
};

// call() makes the task of one try.
template <class Call> auto repeat(std::shared_ptr<Retrier> retrier, std::string path, Call call) -> decltype(call()) {
  for (std::uint32_t retry = 1;; ++retry) {
    auto result = co_await call();
    if (result || !result.error().transient()) co_return result;
    if (co_await retrier->wait_for_retry(retry, path, result.error())) continue;
    if (!retrier->policy.token.requested()) result.error().status = ErrorStatus::exhausted;
    co_return result;
  }
}

class RetrySource : public SourceWrapper {
public:
  RetrySource(std::shared_ptr<Source> inner, std::shared_ptr<Retrier> retrier)
      : SourceWrapper(std::move(inner)), retrier_(std::move(retrier)) {}
  Task<Result<void>> connect() override {
    return repeat(retrier_, "", [inner = inner_] { return inner->connect(); });
  }
  Task<Result<std::unique_ptr<Listing>>> list(std::string directory, bool recursive) override {
    return repeat(retrier_, directory,
                  [inner = inner_, directory, recursive] { return inner->list(directory, recursive); });
  }
  Task<Result<Entry>> stat(std::string path, bool follow) override {
    return repeat(retrier_, path, [inner = inner_, path, follow] { return inner->stat(path, follow); });
  }
  Task<Result<std::unique_ptr<Reader>>> open(Entry entry) override {
    return repeat(retrier_, entry.path, [inner = inner_, entry] { return inner->open(entry); });
  }
  Task<Result<std::string>> read_link(std::string path) override {
    return repeat(retrier_, path, [inner = inner_, path] { return inner->read_link(path); });
  }
  Task<Result<std::string>> real_path(std::string path) override {
    return repeat(retrier_, path, [inner = inner_, path] { return inner->real_path(path); });
  }

private:
  std::shared_ptr<Retrier> retrier_;
};

class RetryTarget : public TargetWrapper {
public:
  RetryTarget(std::shared_ptr<Target> inner, std::shared_ptr<Retrier> retrier)
      : TargetWrapper(std::move(inner)), retrier_(std::move(retrier)) {}
  Task<Result<void>> connect() override {
    return repeat(retrier_, "", [inner = inner_] { return inner->connect(); });
  }
  Task<Result<std::unique_ptr<Listing>>> list(std::string directory, bool recursive) override {
    return repeat(retrier_, directory,
                  [inner = inner_, directory, recursive] { return inner->list(directory, recursive); });
  }
  Task<Result<Entry>> stat(std::string path, bool follow) override {
    return repeat(retrier_, path, [inner = inner_, path, follow] { return inner->stat(path, follow); });
  }
  Task<Result<void>> make_directory(std::string path, std::optional<std::uint32_t> mode) override {
    return repeat(retrier_, path, [inner = inner_, path, mode] { return inner->make_directory(path, mode); });
  }
  Task<Result<std::unique_ptr<Upload>>> begin(std::string path, UploadHints hints) override {
    return repeat(retrier_, path, [inner = inner_, path, hints] { return inner->begin(path, hints); });
  }
  Task<Result<std::unique_ptr<DirectCopy>>> begin_direct_copy(std::shared_ptr<const Origin> origin, Entry entry,
                                                              std::string path, UploadHints hints) override {
    return repeat(retrier_, path, [inner = inner_, origin, entry, path, hints] {
      return inner->begin_direct_copy(origin, entry, path, hints);
    });
  }
  Task<Result<void>> discard(std::string path, TemporaryName temporary) override {
    return repeat(retrier_, path, [inner = inner_, path, temporary] { return inner->discard(path, temporary); });
  }
  Task<Result<void>> remove_orphan(Orphan orphan) override {
    return repeat(retrier_, orphan.path, [inner = inner_, orphan] { return inner->remove_orphan(orphan); });
  }
  Task<Result<SetAsideOutcome>> settle_set_aside(std::string path) override {
    return repeat(retrier_, path, [inner = inner_, path] { return inner->settle_set_aside(path); });
  }
  Task<Result<std::optional<std::string>>> resumable_path(Orphan orphan) override {
    return repeat(retrier_, orphan.path, [inner = inner_, orphan] { return inner->resumable_path(orphan); });
  }
  Task<Result<HashAlgorithm>> server_side_checksum() override {
    return repeat(retrier_, "", [inner = inner_] { return inner->server_side_checksum(); });
  }

private:
  std::shared_ptr<Retrier> retrier_;
};

} // namespace

std::unique_ptr<Source> with_retry(std::shared_ptr<Source> inner, Loop& loop, EventSink& events, RetryPolicy policy) {
  return std::make_unique<RetrySource>(std::move(inner), std::make_shared<Retrier>(loop, events, policy));
}

std::unique_ptr<Target> with_retry(std::shared_ptr<Target> inner, Loop& loop, EventSink& events, RetryPolicy policy) {
  return std::make_unique<RetryTarget>(std::move(inner), std::make_shared<Retrier>(loop, events, policy));
}

} // namespace checkvalve
