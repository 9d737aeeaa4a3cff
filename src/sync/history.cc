#include "sync/history.h"

namespace checkvalve {
namespace {

constexpr std::size_t page_records = 2'000; // fetched at once

} // namespace

std::string pair_of(const Job& job) { return job.source.display() + "\n" + job.target.display(); }

Task<Result<bool>> keeps_history(Engine& engine, const Job& job, const Capabilities& target) {
  if (needs_history(job, target)) co_return true;
  StateStore& store = engine.store;
  CV_CO_TRY(const std::vector<HistoryRecord> first,
            co_await engine.state_thread.run([&store, pair = pair_of(job)] { return store.published(pair, "", 1); }));
  co_return !first.empty();
}

Task<Result<const HistoryRecord*>> HistoryCursor::find(std::string path) {
  while (true) {
    while (position_ < page_.size() && page_[position_].path < path) ++position_;
    if (position_ < page_.size()) co_return page_[position_].path == path ? &page_[position_] : nullptr;
    if (at_end_) co_return nullptr;
    CV_CO_CHECK(co_await fetch());
  }
}

Task<Result<void>> HistoryCursor::fetch() {
  const std::string after = page_.empty() ? "" : page_.back().path;
  StateStore& store = engine_.store;
  CV_CO_TRY(page_, co_await engine_.state_thread.run(
                       [&store, pair = pair_, after] { return store.published(pair, after, page_records); }));
  position_ = 0;
  at_end_ = page_.size() < page_records;
  co_return Result<void>();
}

} // namespace checkvalve
