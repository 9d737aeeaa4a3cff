#include "sync/history.h"

namespace checkvalve {
namespace {

constexpr std::size_t page_records = 2'000; // fetched at once

} // namespace

std::string pair_of(const Job& job) { return job.source.display() + "\n" + job.target.display(); }

Task<Result<bool>> keeps_history(Engine& engine, const Job& job, const Capabilities& target) {
  if (needs_history(job, target)) co_return true;
  CV_CO_TRY(const std::vector<HistoryRecord> first, co_await engine.store.history.page(pair_of(job), "", 1));
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
  const std::string from = page_.empty() ? "" : path_after(page_.back().path);
  CV_CO_TRY(page_, co_await engine_.store.history.page(pair_, from, page_records));
  position_ = 0;
  at_end_ = page_.size() < page_records;
  co_return Result<void>();
}

} // namespace checkvalve
