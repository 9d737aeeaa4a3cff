#include "sync/lease_keeper.h"

#include <algorithm>
#include <iterator>

#include "sync/state_outage.h"

namespace checkvalve {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds group_interval{50}; // a crash loses the checkpoints of this time: a stat each, no copy

} // namespace

LeaseKeeper::LeaseKeeper(Engine& engine, Lease lease, BootClock::time_point asked, milliseconds ttl,
                         HistoryScopeFunction history_scope)
    : engine_(engine), lease_(std::move(lease)), ttl_(ttl), history_scope_(std::move(history_scope)),
      valid_until_(asked + ttl), renewing_(engine.loop), grouping_(engine.loop) {}

void LeaseKeeper::start() {
  tasks_.spawn(renew());
  tasks_.spawn(write_groups());
}

bool LeaseKeeper::holds() const { return !lost_ && BootClock::now() < valid_until_; }

void LeaseKeeper::record(FileOutcome outcome) {
  queued_.push_back(std::move(outcome));
  work_.notify();
}

Task<void> LeaseKeeper::renewed() const {
  while (tasks_.running() != 0 && !lost_ && !holds() && !engine_.cancellation.requested()) {
    const std::shared_ptr<OneShotEvent> change = change_;
    co_await change->wait(engine_.cancellation);
  }
}

Task<void> LeaseKeeper::ready() const {
  co_await renewed();
  while (!lost_ && queued_.size() >= max_queued && !engine_.cancellation.requested()) {
    const std::shared_ptr<OneShotEvent> change = change_;
    co_await change->wait(engine_.cancellation);
    co_await renewed();
  }
}

Task<void> LeaseKeeper::renew() {
  for (StateOutage outage; !finishing_ && !lost_;) {
    const auto due = std::chrono::ceil<milliseconds>(valid_until_ - ttl_ * 2 / 3 - BootClock::now());
    co_await renewing_.wait(std::max({due, outage.delay(), milliseconds(0)}));
    if (finishing_ || lost_) break;
    const auto asked = BootClock::now();
    const auto answer = co_await engine_.store.leases.renew(lease_, ttl_);
    if (answer) {
      valid_until_ = asked + ttl_;
      outage.end();
      announce();
    } else if (!outage.add(answer.error())) {
      lose(answer.error());
    }
  }
}

Task<void> LeaseKeeper::write_groups() {
  while (!finishing_ && !lost_) {
    co_await work_.wait();
    for (StateOutage outage; !finishing_ && !lost_ && !queued_.empty();) {
      co_await grouping_.wait(std::max(group_interval, outage.delay()));
      if (finishing_ || lost_) break;
      const auto answer = co_await write_queued();
      if (answer) break;
      if (outage.add(answer.error()))
        engine_.events.emit(outage.event(answer.error()));
      else
        lose(answer.error());
    }
  }
}

Task<Result<void>> LeaseKeeper::write_queued() {
  if (queued_.empty()) co_return Result<void>();
  std::vector<FileOutcome> group = std::exchange(queued_, {});
  auto written = co_await engine_.store.leases.checkpoint(lease_, group, history_scope_());
  if (!written) {
    std::ranges::move(queued_, std::back_inserter(group));
    queued_ = std::move(group);
  }
  announce();
  co_return written;
}

void LeaseKeeper::lose(Error error) {
  if (!lost_) lost_ = std::move(error);
  announce();
}

void LeaseKeeper::announce() { std::exchange(change_, std::make_shared<OneShotEvent>())->set(); }

Task<Result<void>> LeaseKeeper::finish() {
  finishing_ = true;
  work_.notify();
  renewing_.cancel();
  grouping_.cancel();
  co_await tasks_.join();
  if (lost_) co_return Failure(*lost_);
  CV_CO_CHECK(co_await outlast(engine_, [this] { return write_queued(); }));
  co_return co_await outlast(engine_, [this] { return engine_.store.leases.release(lease_); });
}

} // namespace checkvalve
