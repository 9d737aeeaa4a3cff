// Running a plan's batches.
#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>

#include "core/path.h"
#include "core/units.h"
#include "sync/admission.h"
#include "sync/batch_queue.h"
#include "sync/cancel_watch.h"
#include "sync/compare.h"
#include "sync/engine.h"
#include "sync/holder.h"
#include "sync/lease_keeper.h"
#include "sync/list_file.h"
#include "sync/outputs.h"
#include "sync/state_outage.h"
#include "sync/transfer.h"

namespace checkvalve {
namespace {

using std::chrono::milliseconds;

// Files of one batch at a time are begun, so that the others are left to other workers; the next batch is taken when
// all are begun, so that the last large files of a batch do not leave the connections idle.
constexpr std::size_t batches_at_once = 4;
constexpr std::size_t files_at_once = 1'000; // rows fetched from the state
constexpr milliseconds stop_grace{5'000};    // for removing temporaries

// Each file is one open file at the source, and at the target one with those that a chain makes beside it.
std::uint64_t files_at_once_between(const Connections& connections, const Chain& chain) {
  const std::uint64_t at_target = connections.target->capabilities().files_in_flight / (1 + max_outputs_beside(chain));
  return std::max<std::uint64_t>(
      1, std::min<std::uint64_t>(connections.source->capabilities().files_in_flight, at_target));
}

// The buffer budget without the memory that the endpoints hold themselves; at least half of it.
std::uint64_t window_memory(const Connections& connections, std::uint64_t budget_bytes) {
  const std::uint64_t held =
      connections.source->capabilities().memory_bytes + connections.target->capabilities().memory_bytes;
  return budget_bytes - std::min(held, budget_bytes / 2);
}

// A batch that this worker holds.
struct RunningBatch {
  RunningBatch(Engine& engine, LeasedBatch leased, milliseconds ttl, LeaseKeeper::HistoryScopeFunction history_scope,
               Semaphore::Permit its_slot)
      : open(std::move(leased.batch)),
        keeper(engine, std::move(leased.lease), leased.asked, ttl, std::move(history_scope)),
        slot(std::move(its_slot)) {}

  OpenBatch open;
  LeaseKeeper keeper;
  Semaphore::Permit slot;
  TaskGroup files;
  Result<void> begun;    // all its files
  bool all_tried = true; // so far
};

class Run {
public:
  Run(Engine& engine, const Job& job, Chain chain, std::string plan, Connections& connections, HashAlgorithm hash,
      RunOptions options)
      : engine_(engine), job_(job), chain_(std::move(chain)), plan_(std::move(plan)), connections_(connections),
        options_(std::move(options)),
        admission_(files_at_once_between(connections, chain_), window_memory(connections, job.memory_bytes)),
        directories_(*connections.target), scope_{engine, job, chain_, connections, directories_, space_, hash} {
    summary_.plan = plan_;
  }

  Task<Result<Summary>> run() {
    CV_CO_TRY(std::vector<BatchRecord> batches, co_await open_batches());
    CV_CO_CHECK(co_await claim_histories(engine_, job_, connections_.pair));
    CV_CO_TRY(keeps_history_, co_await keeps_history(engine_, job_, connections_));
    CancelWatch watch(engine_.loop, engine_.cancellation, connections_, stop_grace);
    watch.start();
    co_await run_batches(std::move(batches));
    if (chain_.checksum_list() && !engine_.cancellation.requested()) co_await keep_list(*chain_.checksum_list());
    co_await watch.finish();
    if (engine_.cancellation.requested()) {
      summary_.interrupted = engine_.cancellation.reason().kind == ErrorKind::interrupted;
      summary_.ended_by = engine_.cancellation.reason();
    }
    co_return summary_;
  }

private:
  Task<Result<std::vector<BatchRecord>>> open_batches() {
    CV_CO_TRY(const PlanRecord plan, co_await outlast(engine_, [&] { return engine_.store.plans.find(plan_); }));
    if (plan.state == PlanState::planning)
      co_return Failure(
          make_error(ErrorKind::state, "run", plan_, "the plan was not finished: make another with plan or sync"));
    CV_CO_TRY(std::vector<BatchRecord> batches,
              co_await outlast(engine_, [&] { return engine_.store.plans.batches(plan_); }));
    for (const std::uint32_t number : options_.batches)
      if (number == 0 || number > batches.size())
        co_return Failure(make_error(ErrorKind::config, "run", plan_,
                                     fmt::format("there is no batch {}: the plan has {}", number, batches.size())));
    if (!options_.batches.empty())
      std::erase_if(batches,
                    [&](const BatchRecord& batch) { return !std::ranges::count(options_.batches, batch.number); });
    std::erase_if(batches, [](const BatchRecord& batch) { return batch.state == BatchState::done; });
    for (const BatchRecord& batch : batches) {
      summary_.files_planned += batch.files - batch.files_done;
      summary_.bytes_planned += batch.bytes - batch.bytes_done;
    }
    summary_.batches = static_cast<std::uint32_t>(batches.size());
    co_return batches;
  }

  Task<void> run_batches(std::vector<BatchRecord> batches) {
    BatchQueue queue(engine_, plan_, std::move(batches), job_.lease_ttl, options_.wait_for_leases);
    TaskGroup group;
    while (!engine_.cancellation.requested() && !state_failed_) {
      auto slot = co_await batch_slots_.acquire(1, engine_.cancellation);
      if (engine_.cancellation.requested()) break;
      auto next = co_await queue.next();
      if (!next) {
        end_by(next.error());
      } else if (*next) {
        auto batch = std::make_unique<RunningBatch>(
            engine_, std::move(**next), job_.lease_ttl, [this] { return history_scope(); }, std::move(slot));
        co_await begin_files(*batch);
        group.spawn(end_batch(std::move(batch), queue));
      } else { // of those under way some may come back
        slot.release();
        co_await group.join();
        if (queue.empty()) break;
      }
    }
    co_await group.join();
    summary_.files_skipped += queue.files_of_others();
  }

  Task<void> begin_files(RunningBatch& batch) {
    const BatchRecord& record = batch.open.record;
    batch.keeper.start();
    engine_.events.emit(BatchEvent{record.number, "started", "", record.files, record.bytes});
    // A crash between a file's publishing and its reading back must not leave it looking up to date.
    if (job_.verify == VerifyMode::readback)
      batch.begun = co_await outlast(
          engine_, [&] { return engine_.store.leases.doubt_batch(batch.keeper.lease(), connections_.pair); });
    if (!batch.begun) co_return;
    auto page = co_await open_files(record.number, 0);
    while (page && !page->empty() && batch.all_tried) {
      // Fetched while the files of this page are begun.
      auto ahead = spawn(open_files(record.number, page->back().number));
      co_await begin_page(batch, std::move(*page));
      page = co_await ahead.get();
    }
    if (!page) batch.begun = Failure(std::move(page.error()));
  }

  Task<Result<std::vector<PlannedFile>>> open_files(std::uint32_t batch, std::uint64_t after) {
    co_return co_await outlast(engine_,
                               [&] { return engine_.store.plans.open_files(plan_, batch, after, files_at_once); });
  }

  Task<void> begin_page(RunningBatch& batch, std::vector<PlannedFile> page) {
    for (PlannedFile& file : page) {
      if (failed_.contains(file.number)) continue;
      co_await batch.keeper.ready();
      co_await space_.may_begin(engine_.cancellation);
      auto permit = co_await admission_.enter(window_for(scope_, file.size_bytes), engine_.cancellation);
      if (engine_.cancellation.requested() || batch.keeper.lost()) {
        batch.all_tried = false;
        co_return;
      }
      batch.files.spawn(run_file(batch, std::move(file), std::move(permit)));
    }
  }

  Task<void> end_batch(std::unique_ptr<RunningBatch> batch, BatchQueue& queue) {
    batch->slot.adopt();
    co_await batch->files.join();
    auto ended = co_await batch->keeper.finish();
    const bool complete = batch->begun && ended && batch->all_tried;
    const BatchRecord& record = batch->open.record;
    engine_.events.emit(
        BatchEvent{record.number, complete ? "finished" : "interrupted", "", record.files, record.bytes});
    if (complete || engine_.cancellation.requested()) co_return;
    // A lost lease is no failure: the files are done by whoever has the batch, or by this run later.
    for (Result<void>* each : {&batch->begun, &ended})
      if (!*each && each->error().kind != ErrorKind::lease) co_return end_by(each->error());
    queue.put_back(std::move(batch->open));
  }

  // While others work on batches of the plan the list is theirs to bring up to date: they end after this run has
  // recorded its files.
  Task<void> keep_list(const ChecksumList& list) {
    const auto holders = co_await engine_.store.leases.live_holders(plan_);
    if (!holders) co_return end_by(holders.error());
    if (*holders && any_alive(**holders)) co_return;
    ListFile file(engine_, job_, connections_, list, scope_.hash);
    const auto updated = co_await file.update();
    if (!updated && engine_.cancellation.requested()) co_return;
    if (!updated && updated.error().kind == ErrorKind::state) co_return end_by(updated.error());
    std::optional<FailureRecord> failure;
    if (!updated) failure = FailureRecord{0, list.name, updated.error()};
    const auto recorded = co_await engine_.store.plans.set_list_failure(plan_, failure);
    if (!recorded) end_by(recorded.error());
    if (!failure) co_return;
    ++summary_.files_failed;
    engine_.events.emit(FileFailedEvent{list.name, failure->error});
    if (summary_.failures.size() < Summary::max_failures) summary_.failures.push_back(std::move(*failure));
  }

  std::optional<HistoryScope> history_scope() const {
    const bool records = keeps_history_ || needs_history(job_, connections_.target->capabilities());
    if (!records && job_.verify != VerifyMode::readback) return std::nullopt;
    const auto& list = chain_.checksum_list();
    return HistoryScope{connections_.pair, chain_.digest(), list ? list->name : "", !records};
  }

  Task<void> run_file(RunningBatch& batch, PlannedFile file, Admission::Permit permit) {
    permit.adopt();
    const std::string path = file.path;
    const std::uint64_t number = file.number;
    FileOutcome outcome = co_await transfer_file(scope_, batch.keeper, std::move(file), permit.count().bytes);
    switch (outcome.state) {
    case FileState::planned: // stopped, or the lease has run out: stays open
      batch.all_tried = false;
      co_return;
    case FileState::committed:
      ++summary_.files_copied;
      summary_.bytes_copied += outcome.bytes;
      engine_.events.emit(FilePublishedEvent{path, outcome.bytes, outcome.target_digest, outcome.attempts});
      break;
    case FileState::skipped:
      ++summary_.files_skipped;
      engine_.events.emit(FileSkippedEvent{path, outcome.error->message});
      break;
    case FileState::failed:
      ++summary_.files_failed;
      failed_.insert(number);
      if (outcome.error->kind == ErrorKind::integrity) keeps_history_ = true; // what is there may look up to date
      if (summary_.failures.size() < Summary::max_failures)
        summary_.failures.push_back({batch.open.record.number, path, *outcome.error});
      engine_.events.emit(FileFailedEvent{path, *outcome.error});
      break;
    }
    ++batch.open.reported;
    batch.keeper.record(std::move(outcome));
  }

  void end_by(const Error& error) {
    state_failed_ = state_failed_ || error.kind != ErrorKind::lease;
    if (!summary_.ended_by) summary_.ended_by = error;
  }

  Engine& engine_;
  const Job& job_;
  const Chain chain_;
  const std::string plan_;
  Connections& connections_;
  const RunOptions options_;
  Admission admission_;
  DirectoryMaker directories_;
  SpaceTurns space_;
  TransferScope scope_;
  Semaphore batch_slots_{batches_at_once, LockRank::batch_slot};
  Summary summary_;
  std::unordered_set<std::uint64_t> failed_; // in this run: not tried again with a further lease
  bool state_failed_ = false;                // no further batch is begun
  bool keeps_history_ = false;               // what is published is recorded for later comparisons
};

} // namespace

Task<Result<Summary>> run_plan(Engine& engine, const Job& job, const std::string& plan, Connections& connections,
                               RunOptions options) {
  CV_CO_TRY(Chain chain, Chain::make(job.transforms));
  CV_CO_TRY(const HashAlgorithm hash, co_await hash_of(job, *connections.target));
  Run run(engine, job, std::move(chain), plan, connections, hash, std::move(options));
  co_return co_await run.run();
}

} // namespace checkvalve
