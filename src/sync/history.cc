#include "sync/history.h"

#include <algorithm>

namespace checkvalve {
namespace {

// Records fetched at once. Many where most of them are asked for, few where the history holds mostly other paths.
constexpr std::size_t min_page_records = 64;
constexpr std::size_t max_page_records = 2'000;

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
    if (position_ < page_.size()) {
      if (page_[position_].path != path) co_return nullptr;
      ++found_;
      co_return &page_[position_];
    }
    if (at_end_) co_return nullptr;
    CV_CO_CHECK(co_await fetch(path));
  }
}

Task<Result<void>> HistoryCursor::fetch(const std::string& from) {
  if (!page_.empty()) {
    const bool dense = found_ * 8 >= page_.size();
    limit_ = dense ? std::min(limit_ * 4, max_page_records) : std::max(limit_ / 4, min_page_records);
  }
  CV_CO_TRY(page_, co_await engine_.store.history.page(pair_, from, limit_));
  position_ = 0;
  found_ = 0;
  at_end_ = page_.size() < limit_;
  co_return Result<void>();
}

} // namespace checkvalve
