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

template <class Wrapper, class Endpoint> class RetryEndpoint : public Wrapper {
public:
  RetryEndpoint(std::shared_ptr<Endpoint> inner, std::shared_ptr<Retrier> retrier)
      : Wrapper(std::move(inner)), retrier_(std::move(retrier)) {}
  Task<Result<void>> connect() override { return repeated("", &Endpoint::connect); }
  Task<Result<std::unique_ptr<Listing>>> list(std::string directory, bool recursive) override {
    return repeated(directory, &Endpoint::list, directory, recursive);
  }
  Task<Result<Entry>> stat(std::string path, bool follow) override {
    return repeated(path, &Endpoint::stat, path, follow);
  }

protected:
  // Calls the inner object's method with copies of the arguments. `path` is what the RetryEvents name.
  template <class Method, class... Arguments>
  auto repeated(std::string path, Method method, Arguments... arguments) const {
    return repeat(retrier_, std::move(path),
                  [inner = this->inner_, method, arguments...] { return (*inner.*method)(arguments...); });
  }

private:
  std::shared_ptr<Retrier> retrier_;
};

class RetrySource : public RetryEndpoint<SourceWrapper, Source> {
public:
  using RetryEndpoint::RetryEndpoint;
  Task<Result<std::unique_ptr<Reader>>> open(Entry entry) override {
    return repeated(entry.path, &Source::open, entry);
  }
  Task<Result<std::string>> read_link(std::string path) override { return repeated(path, &Source::read_link, path); }
  Task<Result<std::string>> real_path(std::string path) override { return repeated(path, &Source::real_path, path); }
};

class RetryTarget : public RetryEndpoint<TargetWrapper, Target> {
public:
  using RetryEndpoint::RetryEndpoint;
  Task<Result<void>> make_directory(std::string path, std::optional<std::uint32_t> mode) override {
    return repeated(path, &Target::make_directory, path, mode);
  }
  Task<Result<std::unique_ptr<Upload>>> begin(std::string path, UploadHints hints) override {
    return repeated(path, &Target::begin, path, hints);
  }
  Task<Result<std::unique_ptr<DirectCopy>>> begin_direct_copy(std::shared_ptr<const Origin> origin, Entry entry,
                                                              std::string path, UploadHints hints) override {
    return repeated(path, &Target::begin_direct_copy, origin, entry, path, hints);
  }
  Task<Result<void>> discard(std::string path, TemporaryName temporary) override {
    return repeated(path, &Target::discard, path, temporary);
  }
  Task<Result<void>> remove_orphan(Orphan orphan) override {
    return repeated(orphan.path, &Target::remove_orphan, orphan);
  }
  Task<Result<SetAsideOutcome>> settle_set_aside(std::string path) override {
    return repeated(path, &Target::settle_set_aside, path);
  }
  Task<Result<std::optional<std::string>>> resumable_path(Orphan orphan) override {
    return repeated(orphan.path, &Target::resumable_path, orphan);
  }
  Task<Result<HashAlgorithm>> server_side_checksum() override { return repeated("", &Target::server_side_checksum); }
};

} // namespace

std::unique_ptr<Source> with_retry(std::shared_ptr<Source> inner, Loop& loop, EventSink& events, RetryPolicy policy) {
  return std::make_unique<RetrySource>(std::move(inner), std::make_shared<Retrier>(loop, events, policy));
}

std::unique_ptr<Target> with_retry(std::shared_ptr<Target> inner, Loop& loop, EventSink& events, RetryPolicy policy) {
  return std::make_unique<RetryTarget>(std::move(inner), std::make_shared<Retrier>(loop, events, policy));
}

} // namespace checkvalve
