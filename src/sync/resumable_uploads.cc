#include "sync/resumable_uploads.h"

#include "sync/holder.h"

namespace checkvalve {
namespace {

Task<Result<std::vector<Orphan>>> dead_ones(Engine& engine, std::vector<Orphan> orphans) {
  std::map<std::string, bool> dead; // by plan
  std::vector<Orphan> out;
  for (Orphan& orphan : orphans) {
    auto known = dead.find(orphan.name.plan);
    if (known == dead.end()) {
      CV_CO_TRY(const auto holders, co_await engine.store.leases.live_holders(orphan.name.plan));
      known = dead.emplace(orphan.name.plan, holders && !any_alive(*holders)).first;
    }
    if (known->second) out.push_back(std::move(orphan));
  }
  co_return out;
}

} // namespace

bool may_arrive_in_pieces(const Job& job) {
  return job.transforms.empty() && job.verify == VerifyMode::size && !job.checksum;
}

bool may_resume(const Job& job, const Capabilities& target) {
  return target.resumes_uploads && may_arrive_in_pieces(job);
}

std::string ResumableUploads::claim(const std::string& target_path) {
  const auto found = parts_.find(target_path);
  if (found == parts_.end()) return "";
  std::string text = found->second.name.text();
  parts_.erase(found);
  return text;
}

Task<void> ResumableUploads::remove_rest(Engine& engine, Target& target) {
  for (auto& [path, orphan] : std::exchange(parts_, {})) rest_.push_back(std::move(orphan));
  for (Orphan& orphan : std::exchange(rest_, {}))
    if (auto removed = co_await target.remove_orphan(std::move(orphan)); !removed)
      engine.events.emit(WarningEvent{"cannot remove an orphan: " + removed.error().text()});
}

Task<Result<ResumableUploads>> find_resumable_uploads(Engine& engine, const Job& job, Target& target,
                                                      std::vector<Orphan> orphans) {
  CV_CO_TRY(std::vector<Orphan> dead, co_await dead_ones(engine, std::move(orphans)));
  ResumableUploads found({});
  for (Orphan& orphan : dead) {
    std::optional<std::string> path;
    if (may_resume(job, target.capabilities())) {
      auto resumable = co_await target.resumable_path(orphan);
      if (resumable) path = std::move(*resumable); // one that can't be read now can't be resumed, either
    }
    if (!path || !found.parts_.try_emplace(*path, orphan).second) found.rest_.push_back(std::move(orphan));
  }
  co_return found;
}

} // namespace checkvalve
