// Planning: list both sides, compare, cut into batches, write the plan.
#include <fmt/format.h>

#include "backends/location.h"
#include "backends/set_aside.h"
#include "core/path.h"
#include "core/units.h"
#include "sync/batch.h"
#include "sync/cancel_watch.h"
#include "sync/compare.h"
#include "sync/engine.h"
#include "sync/history.h"
#include "sync/resumable_uploads.h"
#include "sync/spool.h"
#include "sync/state_outage.h"
#include "sync/walk.h"

namespace checkvalve {
namespace {

constexpr std::size_t rows_at_once = 2'000; // handed to the state store

// Largest first, then by path: the order in which batches are filled and files are run.
std::string order_key(const Entry& entry) {
  const std::uint64_t rank = __builtin_bswap64(~entry.size_bytes);
  std::string key(reinterpret_cast<const char*>(&rank), sizeof rank);
  return key += entry.path;
}

// One entry that must be moved.
struct ToMove {
  Entry entry;             // as the source has it
  std::string target_path; // the name that it gets; empty: the same
  FileAction action = FileAction::copy;
  bool replaces = false; // the target has a file of this name with other content
};

template <class Archive, class Self>
  requires std::same_as<std::remove_const_t<Self>, ToMove>
void fields(Archive& archive, Self& item) {
  archive(item.action, item.replaces, item.target_path, item.entry);
}

FileAction action_of(EntryType type) {
  return type == EntryType::directory ? FileAction::directory
         : type == EntryType::symlink ? FileAction::link
                                      : FileAction::copy;
}

// Collects what the comparison finds: what is to be moved goes to a spool, the rest is counted and reported.
class PlanDraft : public CompareSink {
public:
  PlanDraft(Engine& engine, const Job& job, Summary& summary) : engine_(engine), job_(job), summary_(summary) {}

  Result<void> compared(const Finding& finding) override {
    const Candidate& candidate = finding.candidate;
    const Entry& entry = candidate.entry;
    switch (finding.verdict.kind) {
    case Verdict::Kind::up_to_date:
    case Verdict::Kind::needs_content: // was answered
      if (entry.type != EntryType::directory) ++summary_.files_skipped;
      return {};
    case Verdict::Kind::changed:
      return move({entry, candidate.target_path, action_of(entry.type), finding.at_target != nullptr});
    case Verdict::Kind::conflict:
      if (job_.on_conflict != OnConflict::skip) break;
      ++summary_.files_skipped;
      engine_.events.emit(FileSkippedEvent{entry.path, "conflict"});
      return {};
    case Verdict::Kind::refused: break;
    }
    failed(entry.path, refusal(finding.verdict, entry.type, candidate.target_path));
    return {};
  }
  void failed(std::string path, Error error) override {
    ++summary_.files_failed;
    engine_.events.emit(FileFailedEvent{path, error});
    FailureRecord failure{0, std::move(path), std::move(error)};
    if (auto kept = failures_.add(failure.path, failure); !kept && !failures_lost_) failures_lost_ = kept.error();
    if (summary_.failures.size() < Summary::max_failures) summary_.failures.push_back(std::move(failure));
  }

  Result<void> move(ToMove item) {
    if (item.target_path == item.entry.path) item.target_path.clear();
    ++summary_.files_planned;
    summary_.bytes_planned += bytes_of(item.action, item.entry.size_bytes);
    return spool_.add(order_key(item.entry), item);
  }
  static std::uint64_t bytes_of(FileAction action, std::uint64_t size) { return action == FileAction::copy ? size : 0; }

  void continue_with(ResumableUploads* unfinished) { resumable_uploads_ = unfinished; }

  // The planned files in order, numbered, with their batches.
  Result<void> begin_reading(const Batching& batching) {
    balancer_.emplace(batching, summary_.files_planned, summary_.bytes_planned);
    if (failures_lost_) return Failure(*failures_lost_);
    CV_CHECK(failures_.finish());
    return spool_.finish();
  }
  // By path.
  Result<std::vector<FailureRecord>> next_failures() {
    std::vector<FailureRecord> rows;
    while (rows.size() < rows_at_once) {
      std::string_view path;
      FailureRecord failure;
      CV_TRY(const bool more, failures_.next(path, failure));
      if (!more) break;
      failure.path = path;
      rows.push_back(std::move(failure));
    }
    return rows;
  }
  Result<std::vector<PlannedFile>> next_rows() {
    std::vector<PlannedFile> rows;
    while (rows.size() < rows_at_once) {
      std::string_view key;
      ToMove item;
      CV_TRY(const bool more, spool_.next(key, item));
      if (!more) break;
      Entry& entry = item.entry;
      PlannedFile row;
      row.number = ++rows_;
      row.action = item.action;
      row.replaces = item.replaces;
      row.batch = balancer_->place(bytes_of(row.action, entry.size_bytes));
      row.path = key.substr(8); // behind the rank
      row.target_path = std::move(item.target_path);
      row.size_bytes = bytes_of(row.action, entry.size_bytes);
      row.mtime_ns = entry.mtime_ns;
      row.mode = entry.mode;
      row.etag = std::move(entry.etag);
      if (row.action == FileAction::copy)
        row.orphan = resumable_uploads_->claim(row.target_path.empty() ? row.path : row.target_path);
      rows.push_back(std::move(row));
    }
    return rows;
  }
  std::uint32_t batches() const { return balancer_->batches(); }

private:
  Engine& engine_;
  const Job& job_;
  Summary& summary_;
  ResumableUploads* resumable_uploads_ = nullptr;
  RecordSpool<ToMove> spool_; // by order_key()
  RecordSpool<FailureRecord> failures_;
  std::optional<Error> failures_lost_; // why the spool did not take one
  std::optional<Balancer> balancer_;
  std::uint64_t rows_ = 0;
};

// A target inside of its source would be copied into itself, deeper with each run. Blocks.
Result<void> check_places(const Job& job) {
  const auto inside = path_within(job.source, job.target);
  const auto refusal = [&](std::string message) {
    return Failure(make_error(ErrorKind::config, "copy to", job.target.display(), std::move(message)));
  };
  if (!inside || job.selection.files) return {};
  if (inside->empty() && job.transforms.empty()) return refusal("is the source itself: name another target");
  if (inside->empty() || !job.selection.enters(*inside)) return {};
  return refusal(
      fmt::format("lies inside the source, so that each run would copy what the last one wrote: name another "
                  "target, or exclude it with --exclude '{}/'",
                  escape_bytes(Glob::literal(*inside))));
}

Result<void> check_job(const Job& job, const Connections& connections) {
  const Capabilities& target = connections.target->capabilities();
  if (job.links == LinkPolicy::copy && !target.symlinks)
    return Failure(make_error(ErrorKind::config, "copy links to", job.target.display(),
                              "this target has no symbolic links: use --links follow or skip"));
  return check_comparable(job);
}

Result<void> check_count(const Job& job, const Walk& walk) {
  if (walk.files_selected >= job.selection.min_files) return {};
  // Transient: files may still come.
  return Failure(make_error(ErrorKind::not_found, "select files of", job.source.display(),
                            fmt::format("{} selected, expected at least {} (--min-files)", walk.files_selected,
                                        job.selection.min_files))
                     .with_code(ErrorCode::too_few_files)
                     .with_status(ErrorStatus::transient));
}

// Published files that interrupted overwrites left under other names get theirs back before the sides are compared.
Task<Result<void>> settle_set_aside(Engine& engine, Target& target, Walk& walk, bool dry_run) {
  for (const std::string& path : walk.set_aside) {
    const std::string final_path = path_before_set_aside(path);
    const auto warn = [&](std::string_view what) {
      engine.events.emit(WarningEvent{fmt::format("an interrupted overwrite set '{}' aside as '{}': {}",
                                                  escape_bytes(final_path), escape_bytes(base_name(path)), what)});
    };
    if (dry_run) {
      warn("a sync puts it back if the name is free");
      continue;
    }
    const auto outcome = co_await target.settle_set_aside(path);
    if (!outcome) {
      warn("it could not be put back: " + outcome.error().text());
    } else if (*outcome == SetAsideOutcome::kept) {
      warn("it is kept, since nothing proves that the file under that name is its replacement; compare the two and "
           "remove or rename the one set aside");
    } else if (*outcome == SetAsideOutcome::put_back) {
      warn("it is back under its name");
      CV_CO_TRY(Entry entry, co_await target.stat(final_path, false));
      CV_CO_CHECK(walk.add_target(entry));
    }
  }
  co_return Result<void>();
}

// The plan is complete, whatever becomes of old records; the next planning tries again.
Task<void> prune(Engine& engine, const Job& job) {
  auto pruned = co_await engine.store.plans.prune(job.keep_plans);
  if (pruned) pruned = co_await engine.store.history.prune(job.keep_history);
  if (!pruned)
    engine.events.emit(WarningEvent{"old records could not be removed from the state: " + pruned.error().text()});
}

Task<Result<void>> write_plan(Engine& engine, const Job& job, PlanRecord record, PlanDraft& draft) {
  CV_CO_CHECK(co_await outlast(engine, [&] { return engine.store.plans.create(record); }));
  while (true) {
    CV_CO_TRY(const std::vector<PlannedFile> rows, draft.next_rows());
    if (rows.empty()) break;
    CV_CO_CHECK(co_await outlast(engine, [&] { return engine.store.plans.add_files(record.id, rows); }));
    if (engine.cancellation.requested()) co_return Failure(engine.cancellation.reason());
  }
  record.batches = draft.batches();
  while (true) {
    CV_CO_TRY(const std::vector<FailureRecord> failures, draft.next_failures());
    if (failures.empty()) break;
    CV_CO_CHECK(co_await outlast(engine, [&] { return engine.store.plans.add_failures(record.id, failures); }));
  }
  CV_CO_CHECK(co_await outlast(engine, [&] { return engine.store.plans.finish(record); }));
  co_await prune(engine, job);
  co_return Result<void>();
}

Task<Result<Summary>> plan_between(Engine& engine, const Job& job, Connections& connections, bool dry_run) {
  CV_CO_TRY(const Chain chain, Chain::make(job.transforms));
  if (chain.checksum_list()) CV_CO_CHECK(connections.target->accepts(chain.checksum_list()->name));
  CV_CO_CHECK(co_await claim_histories(engine, job, connections.pair));
  Summary summary;
  PlanDraft draft(engine, job, summary);
  Walk walk;
  CV_CO_CHECK(co_await walk_both(engine, job, chain, connections, walk));
  CV_CO_CHECK(co_await settle_set_aside(engine, *connections.target, walk, dry_run));
  CV_CO_CHECK(walk.finish());
  if (walk.special_files != 0)
    engine.events.emit(
        WarningEvent{fmt::format("{} special files (sockets, devices, pipes) are not copied", walk.special_files)});
  if (walk.skipped_links != 0)
    engine.events.emit(WarningEvent{
        fmt::format("{} symbolic links are skipped (--links follow or copy takes them)", walk.skipped_links)});
  summary.files_filtered = walk.files_filtered;
  summary.files_too_recent = walk.files_too_recent;
  for (std::size_t i = 0; i < walk.rules_used.size(); ++i)
    if (const SelectionRule& rule = job.selection.rules[i]; rule.include && !walk.rules_used[i])
      engine.events.emit(WarningEvent{fmt::format("--include '{}' selected no file", escape_bytes(rule.glob.text()))});
  CV_CO_CHECK(check_count(job, walk));
  CV_CO_TRY(ResumableUploads unfinished,
            co_await find_resumable_uploads(engine, job, connections, dry_run ? std::vector<Orphan>() : walk.orphans));
  draft.continue_with(&unfinished);
  CV_CO_CHECK(co_await compare_sides(engine, job, chain, connections, walk, draft, !dry_run));
  CV_CO_CHECK(draft.begin_reading(job.batching));

  summary.plan = random_plan_id();
  if (dry_run) {
    while (true) {
      CV_CO_TRY(const std::vector<PlannedFile> rows, draft.next_rows());
      if (rows.empty()) break;
      for (const PlannedFile& row : rows) engine.events.emit(FilePlannedEvent{row.path, row.size_bytes});
    }
  } else {
    PlanRecord record;
    record.id = summary.plan;
    record.source = job.source.display();
    record.target = job.target.display();
    record.job_json = job_to_json(job);
    record.files = summary.files_planned;
    record.bytes = summary.bytes_planned;
    record.skipped = summary.files_skipped;
    CV_CO_CHECK(co_await write_plan(engine, job, std::move(record), draft));
    co_await unfinished.settle(engine, *connections.target, summary.plan);
  }
  summary.batches = draft.batches();
  engine.events.emit(PlannedEvent{dry_run ? "" : summary.plan, summary.files_planned, summary.bytes_planned,
                                  summary.files_skipped, summary.files_failed, summary.files_filtered,
                                  summary.files_too_recent, summary.batches});
  co_return summary;
}

} // namespace

Task<Result<Summary>> make_plan(Engine& engine, const Job& job, Connections& connections, bool dry_run) {
  CV_CO_CHECK(co_await engine.workers.run([&job] { return check_places(job); }));
  CV_CO_CHECK(check_job(job, connections));
  if (!dry_run) // finding out may write, and remove, a temporary
    if (const auto hash = co_await hash_of(job, *connections.target); !hash) co_return Failure(hash.error());
  CancelWatch watch(engine.loop, engine.cancellation, connections, reading_stop_grace);
  watch.start();
  auto planned = co_await plan_between(engine, job, connections, dry_run);
  co_await watch.finish();
  co_return planned;
}

} // namespace checkvalve
