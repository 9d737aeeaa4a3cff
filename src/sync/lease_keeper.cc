#include "sync/lease_keeper.h"

namespace checkvalve {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds group_interval{50}; // a crash loses the checkpoints of this time: a stat each, no copy

} // namespace

LeaseKeeper::LeaseKeeper(Engine& engine, Lease lease, milliseconds ttl, HistoryScopeFunction history_scope)
    : engine_(engine), lease_(std::move(lease)), ttl_(ttl), history_scope_(std::move(history_scope)),
      valid_until_(std::chrono::steady_clock::now() + ttl), renewing_(engine.loop), grouping_(engine.loop) {}

void LeaseKeeper::start() {
  tasks_.spawn(renew());
  tasks_.spawn(write_groups());
}

bool LeaseKeeper::holds() const { return !lost_ && std::chrono::steady_clock::now() < valid_until_; }

void LeaseKeeper::record(FileOutcome outcome) {
  queued_.push_back(std::move(outcome));
  work_.notify();
}

Task<void> LeaseKeeper::renew() {
  while (!finishing_ && !lost_) {
    co_await renewing_.wait(ttl_ / 3);
    if (finishing_ || lost_) break;
    const auto asked = std::chrono::steady_clock::now();
    auto renewed = co_await engine_.store.leases.renew(lease_, ttl_);
    if (renewed)
      valid_until_ = asked + ttl_;
    else if (!renewed.error().transient())
      lost_ = renewed.error();
  }
}

Task<void> LeaseKeeper::write_groups() {
  while (!finishing_ && !lost_) {
    co_await work_.wait();
    if (finishing_) break;
    co_await grouping_.wait(group_interval);
    if (auto written = co_await write_queued(); !written) lost_ = written.error();
  }
}

Task<Result<void>> LeaseKeeper::write_queued() {
  if (queued_.empty()) co_return Result<void>();
  const std::vector<FileOutcome> group = std::exchange(queued_, {});
  co_return co_await engine_.store.leases.checkpoint(lease_, group, history_scope_());
}

Task<Result<void>> LeaseKeeper::finish() {
  finishing_ = true;
  work_.notify();
  renewing_.cancel();
  grouping_.cancel();
  co_await tasks_.join();
  if (lost_) co_return Failure(*lost_);
  CV_CO_CHECK(co_await write_queued());
  co_return co_await engine_.store.leases.release(lease_);
}

} // namespace checkvalve
