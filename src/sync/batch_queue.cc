#include "sync/batch_queue.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <functional>
#include <iterator>
#include <random>

#include "core/units.h"
#include "sync/holder.h"
#include "sync/state_outage.h"

namespace checkvalve {
namespace {

constexpr std::chrono::milliseconds lease_poll{1'000};

std::string held_by(const OpenBatch& batch) {
  return fmt::format("held by {} until {}", shown_holder(batch.holder), format_time(batch.held_until_ms));
}

} // namespace

BatchQueue::BatchQueue(Engine& engine, std::string plan, std::vector<BatchRecord> batches,
                       std::chrono::milliseconds ttl, bool wait)
    : engine_(engine), plan_(std::move(plan)), holder_(this_holder()), ttl_(ttl), wait_(wait) {
  std::minstd_rand random(static_cast<std::uint32_t>(std::hash<std::string>()(holder_)));
  std::ranges::shuffle(batches, random);
  // Most batches of a plan cost the same; one that holds a single large file begins early, or it would end last.
  std::ranges::sort(batches, std::greater(),
                    [](const BatchRecord& batch) { return std::bit_width(batch.bytes - batch.bytes_done); });
  for (BatchRecord& batch : batches) free_.push_back({std::move(batch)});
}

Task<Result<std::optional<LeasedBatch>>> BatchQueue::next() {
  while (!engine_.cancellation.requested() && !empty()) {
    if (free_.empty()) {
      report_waiting();
      co_await engine_.cancellation.sleep(lease_poll);
      std::ranges::move(held_, std::back_inserter(free_));
      held_.clear();
      continue;
    }
    OpenBatch batch = std::move(free_.front());
    free_.pop_front();
    const std::uint32_t number = batch.record.number;
    BootClock::time_point asked;
    CV_CO_TRY(LeaseAnswer answer, co_await outlast(engine_, [&] {
                asked = BootClock::now();
                return engine_.store.leases.take(plan_, number, holder_, ttl_);
              }));
    if (answer.lease) co_return LeasedBatch{std::move(batch), std::move(*answer.lease), asked};
    if (answer.already_done) {
      const std::uint64_t known = batch.record.files_done + batch.reported;
      files_of_others_ += batch.record.files - std::min(batch.record.files, known);
      continue;
    }
    batch.holder = std::move(answer.holder);
    batch.held_until_ms = answer.held_until_ms;
    if (is_gone(batch.holder)) { // it was killed: no need to wait for its lease to run out
      CV_CO_CHECK(co_await outlast(engine_, [&] { return engine_.store.leases.abandon(plan_, number, batch.holder); }));
      free_.push_front(std::move(batch));
    } else if (wait_) {
      held_.push_back(std::move(batch));
    } else {
      co_return Failure(
          transient_error(ErrorKind::lease, "run", fmt::format("batch {} of {}", number, plan_), held_by(batch)));
    }
  }
  co_return std::nullopt;
}

void BatchQueue::report_waiting() {
  for (OpenBatch& batch : held_)
    if (std::exchange(batch.reported_holder, batch.holder) != batch.holder)
      engine_.events.emit(
          BatchEvent{batch.record.number, "waiting", held_by(batch), batch.record.files, batch.record.bytes});
}

} // namespace checkvalve
