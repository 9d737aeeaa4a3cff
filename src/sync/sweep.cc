// Sweep: find and remove checkvalve's own orphans at a target.
#include <map>

#include "backends/orphans.h"
#include "sync/engine.h"
#include "sync/holder.h"

namespace checkvalve {
namespace {

// Plans that this state does not know count as having no live lease: their age decides.
Task<Result<bool>> has_live_lease(Engine& engine, const std::string& plan) {
  CV_CO_TRY(const auto holders, co_await engine.store.leases.live_holders(plan));
  co_return holders&& any_alive(*holders);
}

} // namespace

Task<Result<SweepReport>> sweep_target(Engine& engine, Target& target, std::chrono::milliseconds older_than,
                                       bool dry_run) {
  CV_CO_TRY([[maybe_unused]] const Entry root, co_await target.stat("", true)); // a mistyped one is empty, too
  // Of the state's clock, which all workers share: this machine's may be wrong.
  CV_CO_TRY(const std::int64_t now_ms, co_await engine.store.leases.now_ms());
  const std::int64_t newest_ms = now_ms - older_than.count();
  CV_CO_TRY(const auto recorded, co_await engine.store.partial_uploads.newest(SweepReport::max_found));
  std::map<std::string, const PartialUploadRecord*> resumable; // by temporary
  for (const PartialUploadRecord& record : recorded) resumable.emplace(record.temporary, &record);
  // One without a time is taken for new unless every age is asked for.
  const auto is_old = [&](const Orphan& orphan) {
    // A plan that has claimed it may still be run.
    if (const auto found = resumable.find(orphan.name.text());
        found != resumable.end() && found->second->recorded_ms > newest_ms)
      return false;
    return orphan.mtime_ns ? *orphan.mtime_ns / 1'000'000 <= newest_ms : older_than.count() == 0;
  };
  CV_CO_TRY(OrphanSearch all,
            co_await find_orphans(target, "", SweepReport::max_found, engine.cancellation.token(), is_old));
  SweepReport report;
  report.failures = std::move(all.unreadable);
  report.limited = all.limited;
  std::map<std::string, bool> live;
  for (const Orphan& orphan : all.found) {
    if (engine.cancellation.requested()) co_return Failure(engine.cancellation.reason());
    std::vector<std::string> plans = {orphan.name.plan};
    const auto recorded_upload = resumable.find(orphan.name.text());
    if (recorded_upload != resumable.end()) plans.push_back(recorded_upload->second->plan);
    bool used = false;
    for (const std::string& plan : plans) {
      if (!live.contains(plan)) {
        CV_CO_TRY(const bool is_live, co_await has_live_lease(engine, plan));
        live.emplace(plan, is_live);
      }
      used = used || live.at(plan);
    }
    if (used) continue;
    report.found.push_back(orphan);
    if (dry_run) continue;
    if (auto removed = co_await target.remove_orphan(orphan); !removed) {
      report.failures.push_back(removed.error());
      continue;
    }
    ++report.removed;
    if (recorded_upload != resumable.end())
      CV_CO_CHECK(co_await engine.store.partial_uploads.remove(orphan.name.text()));
  }
  co_return report;
}

} // namespace checkvalve
