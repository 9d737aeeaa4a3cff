#include "sync/unfinished.h"

#include "sync/holder.h"

namespace checkvalve {
namespace {

Task<Result<std::vector<Leftover>>> dead_ones(Engine& engine, std::vector<Leftover> leftovers) {
  std::map<std::string, bool> dead; // by plan
  std::vector<Leftover> out;
  for (Leftover& leftover : leftovers) {
    auto known = dead.find(leftover.name.plan);
    if (known == dead.end()) {
      StateStore& store = engine.store;
      auto batches =
          co_await engine.state_thread.run([&store, plan = leftover.name.plan] { return store.batches(plan); });
      if (!batches) co_return Failure(batches.error());
      known = dead.emplace(leftover.name.plan, !batches->empty() && !any_live_lease(*batches)).first;
    }
    if (known->second) out.push_back(std::move(leftover));
  }
  co_return out;
}

} // namespace

bool may_resume(const Job& job, const Capabilities& target) {
  return target.resumes_uploads && job.transforms.empty() && job.verify == VerifyMode::size && !job.checksum;
}

std::string Unfinished::claim(const std::string& target_path) {
  const auto found = parts_.find(target_path);
  if (found == parts_.end()) return "";
  std::string text = found->second.name.text();
  parts_.erase(found);
  return text;
}

Task<void> Unfinished::remove_rest(Engine& engine, Target& target) {
  for (auto& [path, leftover] : std::exchange(parts_, {})) rest_.push_back(std::move(leftover));
  for (Leftover& leftover : std::exchange(rest_, {}))
    if (auto removed = co_await target.remove_leftover(std::move(leftover)); !removed)
      engine.events.emit(WarningEvent{"could not remove a leftover: " + removed.error().text()});
}

Task<Result<Unfinished>> find_unfinished(Engine& engine, const Job& job, Target& target,
                                         std::vector<Leftover> leftovers) {
  CV_CO_TRY(std::vector<Leftover> dead, co_await dead_ones(engine, std::move(leftovers)));
  Unfinished found({});
  for (Leftover& leftover : dead) {
    std::optional<std::string> path;
    if (may_resume(job, target.capabilities())) {
      auto told = co_await target.unfinished(leftover);
      if (told) path = std::move(*told); // one that can't be read now can't be gone on with, either
    }
    if (!path || !found.parts_.try_emplace(*path, leftover).second) found.rest_.push_back(std::move(leftover));
  }
  co_return found;
}

} // namespace checkvalve
