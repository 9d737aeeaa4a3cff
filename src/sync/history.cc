#include "sync/history.h"

#include <algorithm>

#include "backends/location.h"
#include "sync/state_outage.h"

namespace checkvalve {
namespace {

// Records fetched at once. Many where most of them are asked for, few where the history holds mostly other paths.
constexpr std::size_t min_page_records = 64;
constexpr std::size_t max_page_records = 2'000;

// Nothing if it can't be said: the environment may have been another one for the plan. Blocks.
std::optional<std::string> identity_of_plan(const Endpoint& endpoint) {
  auto location = locate(endpoint);
  if (!location || location->from_environment) return std::nullopt;
  return std::move(location->identity);
}

// The identities that all these plans have. Blocks.
std::optional<PairKey> agreed_pair(const std::vector<std::string>& jobs) {
  std::optional<PairKey> agreed;
  for (const std::string& text : jobs) {
    const auto ends = endpoints_from_json(text);
    if (!ends) return std::nullopt;
    auto source = identity_of_plan(ends->source);
    auto target = identity_of_plan(ends->target);
    if (!source || !target) return std::nullopt;
    PairKey pair{std::move(*source), std::move(*target)};
    if (agreed && *agreed != pair) return std::nullopt;
    agreed = std::move(pair);
  }
  return agreed;
}

} // namespace

Task<Result<void>> claim_histories(Engine& engine, const Job& job, const PairKey& pair) {
  HistoryStore& history = engine.store.history;
  CV_CO_TRY(const std::vector<UnclaimedHistory> unclaimed,
            co_await outlast(engine, [&] { return history.unclaimed(pair, job.target.display()); }));
  if (unclaimed.empty()) co_return Result<void>();
  const auto claims = co_await engine.workers.run([&unclaimed] {
    std::vector<std::optional<PairKey>> agreed;
    for (const UnclaimedHistory& each : unclaimed) agreed.push_back(agreed_pair(each.jobs));
    return agreed;
  });
  if (std::ranges::find(claims, std::optional(pair)) == claims.end())
    CV_CO_CHECK(co_await history.claim_doubts({job.source.display(), job.target.display()}, pair));
  for (std::size_t i = 0; i < unclaimed.size(); ++i)
    if (claims[i]) CV_CO_CHECK(co_await history.claim(unclaimed[i].displayed, *claims[i]));
  co_return Result<void>();
}

Task<Result<bool>> keeps_history(Engine& engine, const Job& job, const Connections& connections) {
  if (needs_history(job, connections.target->capabilities())) co_return true;
  CV_CO_TRY(const std::vector<HistoryRecord> first,
            co_await outlast(engine, [&] { return engine.store.history.page(connections.pair, "", 1); }));
  co_return !first.empty();
}

Task<Result<const HistoryRecord*>> HistoryCursor::find(std::string path) {
  while (true) {
    while (position_ < page_.size() && page_[position_].path < path) ++position_;
    if (position_ < page_.size()) {
      if (page_[position_].path != path) co_return nullptr;
      ++found_;
      if (page_[position_].unused_ms > keep_.count() / 2) to_touch_.push_back(path);
      co_return &page_[position_];
    }
    if (at_end_) co_return nullptr;
    CV_CO_CHECK(co_await fetch(path));
  }
}

Task<Result<void>> HistoryCursor::finish() {
  const std::vector<std::string> paths = std::exchange(to_touch_, {});
  co_return co_await outlast(engine_, [&] { return engine_.store.history.touch(pair_, paths); });
}

Task<Result<void>> HistoryCursor::fetch(const std::string& from) {
  CV_CO_CHECK(co_await finish());
  if (!page_.empty()) {
    const bool dense = found_ * 8 >= page_.size();
    limit_ = dense ? std::min(limit_ * 4, max_page_records) : std::max(limit_ / 4, min_page_records);
  }
  CV_CO_TRY(page_, co_await outlast(engine_, [&] { return engine_.store.history.page(pair_, from, limit_); }));
  position_ = 0;
  found_ = 0;
  at_end_ = page_.size() < limit_;
  co_return Result<void>();
}

} // namespace checkvalve
