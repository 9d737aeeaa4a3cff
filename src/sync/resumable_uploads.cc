#include "sync/resumable_uploads.h"

#include "core/path.h"
#include "sync/holder.h"
#include "sync/state_outage.h"

namespace checkvalve {
namespace {

constexpr std::size_t max_records = 10'000; // of the newest; as many orphans are found

// Who works on which plans, asked for once each.
class Plans {
public:
  explicit Plans(Engine& engine) : engine_(engine) {}

  enum class Work : std::uint8_t { unknown, ended, under_way };
  Task<Result<Work>> work_on(const std::string& plan) {
    if (const auto known = work_.find(plan); known != work_.end()) co_return known->second;
    CV_CO_TRY(const auto holders, co_await outlast(engine_, [&] { return engine_.store.leases.live_holders(plan); }));
    const Work work = !holders ? Work::unknown : any_alive(*holders) ? Work::under_way : Work::ended;
    co_return work_[plan] = work;
  }

private:
  Engine& engine_;
  std::map<std::string, Work> work_;
};

using Records = std::map<std::string, PartialUploadRecord>; // by temporary

Task<Result<Records>> recorded_uploads(Engine& engine) {
  CV_CO_TRY(std::vector<PartialUploadRecord> all,
            co_await outlast(engine, [&] { return engine.store.partial_uploads.newest(max_records); }));
  Records records;
  for (PartialUploadRecord& record : all) records.try_emplace(record.temporary, std::move(record));
  co_return records;
}

} // namespace

bool may_arrive_directly(const Job& job) {
  return job.transforms.empty() && job.verify == VerifyMode::size && !job.checksum;
}

bool may_resume(const Job& job, const Capabilities& target) { return target.resumes_uploads && job.transforms.empty(); }

bool may_take_over(const PartialUploadRecord& record) { return record.holder.empty() || is_gone(record.holder); }

std::string ResumableUploads::claim(const std::string& target_path) {
  const auto found = parts_.find(target_path);
  if (found == parts_.end()) return "";
  claims_.push_back(found->second.orphan.name.text());
  parts_.erase(found);
  return claims_.back();
}

Task<void> ResumableUploads::settle(Engine& engine, Target& target, const std::string& plan) {
  // Where it can't be recorded, a sweep may remove what was claimed: the file begins again.
  if (!claims_.empty()) (void)co_await engine.store.partial_uploads.claim(plan, claims_);
  for (auto& [path, part] : std::exchange(parts_, {}))
    if (!part.claimed) rest_.push_back(std::move(part.orphan));
  for (Orphan& orphan : std::exchange(rest_, {})) {
    const std::string temporary = orphan.name.text();
    if (auto removed = co_await target.remove_orphan(std::move(orphan)); !removed)
      engine.events.emit(WarningEvent{"cannot remove an orphan: " + removed.error().text()});
    else
      (void)co_await engine.store.partial_uploads.remove(temporary); // else pruning removes it
  }
}

Task<Result<ResumableUploads>> find_resumable_uploads(Engine& engine, const Job& job, const Connections& connections,
                                                      std::vector<Orphan> orphans) {
  ResumableUploads found;
  if (orphans.empty()) co_return found;
  Target& target = *connections.target;
  CV_CO_TRY(const Records records, co_await recorded_uploads(engine));
  Plans plans(engine);
  for (Orphan& orphan : orphans) {
    CV_CO_TRY(const Plans::Work work, co_await plans.work_on(orphan.name.plan));
    const auto recorded = records.find(orphan.name.text());
    if (recorded == records.end()) {
      if (work != Plans::Work::ended) continue;
      std::optional<std::string> path;
      if (may_resume(job, target.capabilities())) {
        auto resumable = co_await target.resumable_path(orphan);
        if (resumable) path = std::move(*resumable); // one that can't be read now can't be resumed, either
      }
      if (!path || !found.parts_.try_emplace(*path, orphan).second) found.rest_.push_back(std::move(orphan));
      continue;
    }
    const PartialUploadRecord& record = recorded->second;
    CV_CO_TRY(const Plans::Work claim, co_await plans.work_on(record.plan));
    if (work == Plans::Work::under_way || claim == Plans::Work::under_way || record.pair != connections.pair) continue;
    const bool usable = may_take_over(record) && job.transforms.empty() && target.capabilities().resumes_temporaries &&
                        parent_path(orphan.path) == parent_path(record.path) &&
                        orphan.size_bytes >= record.acknowledged_bytes;
    const bool claimed = record.plan != orphan.name.plan;
    if (usable)
      found.parts_.insert_or_assign(record.path, ResumableUploads::Part{std::move(orphan), claimed});
    else if (!claimed)
      found.rest_.push_back(std::move(orphan));
  }
  co_return found;
}

} // namespace checkvalve
