#include "cli/commands/steps.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>

#include "backends/temporary.h"
#include "cli/exit_code.h"
#include "cli/printable.h"
#include "core/units.h"
#include "transforms/chain.h"

namespace checkvalve {
namespace {

double seconds_since(std::int64_t start_ms) { return static_cast<double>(now_ms() - start_ms) / 1000; }

// Adds a run's counts to those of planning.
void add_run(Summary& all, Summary run) {
  all.files_copied += run.files_copied;
  all.files_skipped += run.files_skipped;
  all.files_failed += run.files_failed;
  all.bytes_copied += run.bytes_copied;
  all.interrupted = run.interrupted;
  for (FailureRecord& failure : run.failures)
    if (all.failures.size() < Summary::max_failures) all.failures.push_back(std::move(failure));
}

void set_error(Report& report, Error error) {
  report.summary.interrupted = report.summary.interrupted || error.kind == ErrorKind::interrupted;
  report.error = std::move(error);
}

RunRecord new_run(const std::string& plan) {
  char host[256] = {};
  ::gethostname(host, sizeof host - 1);
  return {random_plan_id(), plan, host, ::getpid(), 0, 0, ""};
}

// run_plan, recorded in the state's list of runs.
Task<Result<Summary>> recorded_run(Session& session, const Job& job, const std::string& plan, Connections& connections,
                                   RunOptions options) {
  const std::int64_t start_ms = now_ms();
  const RunRecord record = new_run(plan);
  CV_CO_CHECK(co_await session.store().plans.begin_run(record));
  Engine engine = session.engine();
  auto summary = co_await run_plan(engine, job, plan, connections, std::move(options));
  Report report{.command = "run", .seconds = seconds_since(start_ms)};
  if (summary) report.summary = *summary;
  if (summary && summary->ended_by) report.error = summary->ended_by;
  if (!summary) set_error(report, summary.error());
  const std::string json = to_line(report_json(report));
  auto ended = co_await session.store().plans.end_run(record.id, json);
  if (!ended) session.emit(WarningEvent{"cannot record the end of the run: " + ended.error().text()});
  co_return summary;
}

// What planning could not take in is in no batch, and not at the target either.
Task<Result<void>> add_unplanned(Session& session, Summary& summary) {
  CV_CO_TRY(PlanStore::Unplanned unplanned,
            co_await session.store().plans.unplanned(summary.plan, Summary::max_failures));
  summary.files_failed += unplanned.count;
  for (const FailureRecord& failure : unplanned.first) session.emit(FileFailedEvent{failure.path, failure.error});
  std::ranges::move(summary.failures, std::back_inserter(unplanned.first));
  summary.failures = std::move(unplanned.first);
  if (summary.failures.size() > Summary::max_failures) summary.failures.resize(Summary::max_failures);
  co_return Result<void>();
}

// Then a run with nothing to copy still has to check the list.
bool keeps_list(const Job& job) {
  const auto chain = Chain::make(job.transforms);
  return chain && chain->checksum_list();
}

Task<Result<Summary>> plan_with(Session& session, const Job& job, Connections& connections, bool dry_run,
                                Report& report) {
  Engine engine = session.engine();
  CV_CO_TRY(Summary summary, co_await make_plan(engine, job, connections, dry_run));
  if (!dry_run) {
    CV_CO_TRY(report.batches, co_await session.store().plans.batches(summary.plan));
  }
  co_return summary;
}

} // namespace

Task<Report> plan_and_run(Session& session, const DatedJob& dated, bool then_run, bool dry_run) {
  const std::int64_t start_ms = now_ms();
  const Job& job = dated.job;
  Report report{.command = session.command(), .date = dated.date, .dry_run = dry_run};
  BackendContext context = session.context(job);
  auto connections = co_await open_connections(context, job, session.cancellation());
  if (!connections) {
    set_error(report, connections.error());
  } else {
    auto planned = co_await plan_with(session, job, *connections, dry_run, report);
    if (planned)
      report.summary = std::move(*planned);
    else
      set_error(report, planned.error());
    if (planned && then_run && !dry_run && (report.summary.files_planned > 0 || keeps_list(job))) {
      auto done = co_await recorded_run(session, job, report.summary.plan, *connections, {});
      if (!done)
        set_error(report, done.error());
      else if (done->ended_by)
        set_error(report, *done->ended_by);
      if (done) add_run(report.summary, std::move(*done));
    }
    if (dry_run) report.summary.plan.clear(); // it is not stored
    co_await close_connections(*connections);
  }
  report.seconds = seconds_since(start_ms);
  co_return report;
}

Task<Report> run_batches(Session& session, const Job& job, const PlanRecord& plan, RunOptions options) {
  const std::int64_t start_ms = now_ms();
  Report report{.command = session.command()};
  report.summary.plan = plan.id;
  BackendContext context = session.context(job);
  auto connections = co_await open_connections(context, job, session.cancellation());
  if (!connections) {
    set_error(report, connections.error());
  } else {
    if (!plan.superseded_by.empty() && plan.state != PlanState::done)
      session.emit(
          WarningEvent{fmt::format("the plan is superseded: {} is a later one of the same job", plan.superseded_by)});
    const bool all_batches = options.batches.empty();
    auto done = co_await recorded_run(session, job, plan.id, *connections, std::move(options));
    if (done) {
      report.summary = std::move(*done);
      if (const auto added = all_batches ? co_await add_unplanned(session, report.summary) : Result<void>(); !added)
        set_error(report, added.error());
    } else {
      set_error(report, done.error());
    }
    if (report.summary.ended_by) set_error(report, *report.summary.ended_by);
    co_await close_connections(*connections);
  }
  report.seconds = seconds_since(start_ms);
  co_return report;
}

bool ends_range(const Error& error) {
  return error.kind != ErrorKind::not_found && error.kind != ErrorKind::permission;
}

int code_of_range(Session& session, const std::vector<int>& codes, std::size_t dates) {
  if (session.cancellation().requested() && codes.size() < dates) return exit_code::interrupted;
  // The same for all dates, or incomplete.
  const bool alike = std::ranges::all_of(codes, [&](int code) { return code == codes.front(); });
  const int last = codes.back();
  return alike || last == exit_code::state || last == exit_code::usage || last == exit_code::interrupted
             ? last
             : exit_code::incomplete;
}

Task<int> do_dates(Session& session, const std::vector<DatedJob>& jobs, bool then_run, bool dry_run) {
  std::vector<int> codes;
  for (const DatedJob& dated : jobs) {
    if (!codes.empty()) session.restart_tracker();
    session.emit_started(dated.job.source.display(), dated.job.target.display());
    const Report report = co_await plan_and_run(session, dated, then_run, dry_run);
    print_report(session, report);
    codes.push_back(exit_code_of(report));
    if (session.cancellation().requested() || (report.error && ends_range(*report.error))) break;
  }
  co_return code_of_range(session, codes, jobs.size());
}

Task<Result<PlanRecord>> find_plan(StateStore& store, const std::string& id) {
  auto plan = co_await store.plans.find(id);
  // A state that answers other queries has not failed.
  if (!plan && plan.error().kind == ErrorKind::state && co_await store.plans.newest(1))
    plan.error().kind = ErrorKind::config;
  co_return plan;
}

void print_report(Session& session, const Report& report) {
  const Summary& summary = report.summary;
  const std::string text =
      report.error && summary.plan.empty() ? "" : report_text(report, session.resume_command(summary.plan));
  session.report(report_json(report), text, report.error);
  if (summary.failures.empty()) return;
  session.print_error(fmt::format("checkvalve: {} failed:", counted(summary.files_failed, "file")));
  for (const FailureRecord& failure : summary.failures) session.print_error(failure_line(failure));
  if (summary.files_failed > summary.failures.size() && !summary.plan.empty())
    session.print_error(fmt::format("  and {} more; list them with: {}",
                                    format_count(summary.files_failed - summary.failures.size()),
                                    session.status_command(summary.plan)));
}

int exit_code_of(const Report& report) {
  if (report.error) {
    const int code = exit_code::of(*report.error);
    const bool copied = report.summary.files_copied > 0;
    return code == exit_code::endpoint && copied ? exit_code::incomplete : code; // code 3 says that nothing was copied
  }
  return report.summary.files_failed > 0 ? exit_code::incomplete : exit_code::success;
}

} // namespace checkvalve
