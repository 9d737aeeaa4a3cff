// checkvalve status: plans and runs: what is done, what is left, what failed and why.
#include <fmt/format.h>

#include <memory>

#include "cli/commands/commands.h"
#include "cli/commands/steps.h"
#include "cli/exit_code.h"
#include "cli/options.h"
#include "cli/printable.h"
#include "core/units.h"
#include "sync/holder.h"

namespace checkvalve {
namespace {

struct Arguments {
  std::string plan;
  std::size_t limit = 20;
  ProcessOptions process;
};

constexpr std::size_t max_runs = 100;

std::string_view word(PlanState state) {
  switch (state) {
  case PlanState::planning: return "planning";
  case PlanState::ready: return "ready";
  case PlanState::done: return "done";
  case PlanState::failed: return "failed";
  }
  return "";
}

std::string_view word(BatchState state) {
  switch (state) {
  case BatchState::pending: return "pending";
  case BatchState::leased: return "leased";
  case BatchState::done: return "done";
  case BatchState::failed: return "failed";
  }
  return "";
}

// A batch whose lease has expired has no holder.
std::string_view word(const BatchRecord& batch) { return batch.lease_expired ? "lapsed" : word(batch.state); }

Json time_json(std::int64_t time_ms) { return time_ms == 0 ? Json(nullptr) : Json(format_time(time_ms)); }

Json plan_json(const PlanRecord& plan) {
  return {{"id", plan.id},
          {"state", word(plan.state)},
          {"created", time_json(plan.created_ms)},
          {"source", printable(plan.source)},
          {"target", printable(plan.target)},
          {"files", plan.files},
          {"bytes", plan.bytes},
          {"skipped", plan.skipped},
          {"batches", plan.batches},
          {"superseded_by", plan.superseded_by.empty() ? Json(nullptr) : Json(plan.superseded_by)}};
}

// With open files that a later plan of the same job contains, too.
bool is_superseded(const PlanRecord& plan) { return !plan.superseded_by.empty() && plan.state != PlanState::done; }

Json batch_json(const BatchRecord& batch) {
  return {{"batch", batch.number},
          {"state", word(batch.state)},
          {"files", batch.files},
          {"bytes", batch.bytes},
          {"files_done", batch.files_done},
          {"bytes_done", batch.bytes_done},
          {"files_failed", batch.files_failed},
          {"generation", batch.generation},
          {"holder", printable(batch.holder)},
          {"lease_until", time_json(batch.lease_until_ms)}};
}

Json run_json(const RunRecord& run) {
  return {{"id", run.id},
          {"host", printable(run.host)},
          {"process", run.process},
          {"started", time_json(run.started_ms)},
          {"ended", time_json(run.ended_ms)},
          {"summary", read_object(run.summary_json)}};
}

struct PlanStatus {
  PlanRecord plan;
  std::vector<BatchRecord> batches;
  std::vector<RunRecord> runs;
  std::vector<FailureRecord> failures;
};

Task<Result<PlanStatus>> read_status(StateStore& store, const std::string& id) {
  PlanStatus status;
  CV_CO_TRY(status.plan, co_await find_plan(store, id));
  CV_CO_TRY(status.batches, co_await store.plans.batches(status.plan.id));
  CV_CO_TRY(status.runs, co_await store.plans.runs(status.plan.id, max_runs));
  CV_CO_TRY(status.failures, co_await store.plans.failures(status.plan.id, 0, Summary::max_failures));
  co_return status;
}

Json status_json(const PlanStatus& status) {
  Json out = {{"version", 1}, {"command", "status"}, {"plan", plan_json(status.plan)}};
  for (const char* list : {"batches", "runs", "failures"}) out[list] = Json::array();
  for (const BatchRecord& batch : status.batches) out["batches"].push_back(batch_json(batch));
  for (const RunRecord& run : status.runs) out["runs"].push_back(run_json(run));
  for (const FailureRecord& failure : status.failures) out["failures"].push_back(failure_json(failure));
  out["error"] = nullptr;
  return out;
}

std::string batch_line(const BatchRecord& batch) {
  std::string out = fmt::format("  {:>5}  {:<8} {:>9}/{:<9} {:>10} of {:<10}", batch.number, word(batch),
                                format_count(batch.files_done), format_count(batch.files),
                                format_size(batch.bytes_done), format_size(batch.bytes));
  if (batch.files_failed > 0) out += fmt::format("  {} failed", format_count(batch.files_failed));
  if (batch.state == BatchState::leased)
    out +=
        fmt::format("  held by {} until {}", printable(shown_holder(batch.holder)), format_time(batch.lease_until_ms));
  while (out.ends_with(' ')) out.pop_back();
  return out + "\n";
}

std::string run_line(const RunRecord& run) {
  const Json summary = read_object(run.summary_json);
  std::string outcome = "running, or killed";
  if (run.ended_ms != 0 && summary.is_object())
    outcome = fmt::format("{} copied, {} failed{}", format_count(summary.value("files_copied", std::uint64_t{0})),
                          format_count(summary.value("files_failed", std::uint64_t{0})),
                          summary.value("interrupted", false) ? ", interrupted" : "");
  return fmt::format("  {}  {}:{}  {}\n", format_time(run.started_ms), printable(run.host), run.process, outcome);
}

std::string next_step(const PlanStatus& status, std::string_view resume) {
  std::uint64_t open = 0;
  bool held = false;
  for (const BatchRecord& batch : status.batches) {
    open += batch.files - batch.files_done;
    held = held || word(batch) == "leased";
  }
  if (status.plan.state == PlanState::planning)
    return "Planning is in progress, or was interrupted; in that case plan again.\n";
  if (open > 0 && !held && is_superseded(status.plan))
    return fmt::format("{} left; superseded by {}, a later plan of the same job.\n", counted(open, "file"),
                       status.plan.superseded_by);
  if (open == 0 && status.failures.empty()) return "All planned files are at the target.\n";
  if (open == 0) return "To retry files that could not be planned, plan or sync again.\n";
  return fmt::format("{} left{}; resume with: {}\n", counted(open, "file"), held ? ", a worker is running" : "",
                     resume);
}

std::string status_text(const PlanStatus& status, std::string_view resume) {
  const PlanRecord& plan = status.plan;
  std::string out =
      fmt::format("plan {}  {}  created {}\n  {}\n  → {}\n  {} to copy ({}), {} skipped\n", plan.id, word(plan.state),
                  format_time(plan.created_ms), printable(plan.source), printable(plan.target),
                  counted(plan.files, "file"), format_size(plan.bytes), format_count(plan.skipped));
  if (!status.batches.empty()) out += "batches:\n";
  for (const BatchRecord& batch : status.batches) out += batch_line(batch);
  if (!status.runs.empty()) out += "runs:\n";
  for (const RunRecord& run : status.runs) out += run_line(run);
  if (!status.failures.empty()) out += "failed:\n";
  for (const FailureRecord& failure : status.failures) out += failure_line(failure) + "\n";
  return out + next_step(status, resume);
}

std::string plans_text(const std::vector<PlanRecord>& plans) {
  if (plans.empty()) return "The state has no plans.\n";
  std::string out;
  for (const PlanRecord& plan : plans)
    out += fmt::format("{}  {:<8}  {}  {:>15}  {:>10}  {} → {}{}\n", plan.id, word(plan.state),
                       format_time(plan.created_ms), counted(plan.files, "file"), format_size(plan.bytes),
                       printable(plan.source), printable(plan.target),
                       is_superseded(plan) ? "  superseded by " + plan.superseded_by : "");
  return out;
}

int show_status(const Command& command, const Arguments& arguments) {
  Session session("status", arguments.process);
  auto inputs = read_machine_inputs(command, arguments.process);
  if (!inputs) return session.fail(inputs.error());
  if (auto opened = session.open_store(*inputs); !opened) return session.fail(opened.error());
  if (!arguments.plan.empty()) {
    auto status = session.wait_for(read_status(session.store(), arguments.plan));
    if (!status) return session.fail(status.error());
    session.report(status_json(*status), status_text(*status, session.resume_command(status->plan.id)));
    return exit_code::success;
  }
  auto plans = session.wait_for(session.store().plans.newest(arguments.limit));
  if (!plans) return session.fail(plans.error());
  Json out = {{"version", 1}, {"command", "status"}, {"plans", Json::array()}};
  for (const PlanRecord& plan : *plans) out["plans"].push_back(plan_json(plan));
  out["error"] = nullptr;
  session.report(out, plans_text(*plans));
  return exit_code::success;
}

} // namespace

void add_status_command(CommandLine& line) {
  Command& command = line.add("status", "Show plans and runs: what is done, what is left, what failed and why");
  auto arguments = std::make_shared<Arguments>();
  command.option({.names = "PLAN", .help = "id of a plan or a unique prefix; without it, list plans"}, arguments->plan);
  command.integer({.names = "--limit", .value_name = "N", .help = "list at most N plans, newest first [20]"}, 1,
                  1'000'000, [arguments](std::uint64_t limit) { arguments->limit = limit; });
  add_settings(command, takes::status);
  add_process_options(command, arguments->process, false);
  command.examples({"checkvalve status", "checkvalve status 7k3m9q2x5t --json"});
  command.action([&command, arguments] { return show_status(command, *arguments); });
}

} // namespace checkvalve
