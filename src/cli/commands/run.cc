// checkvalve run: runs all or some batches of a plan.
#include <memory>

#include "cli/commands/commands.h"
#include "cli/commands/steps.h"
#include "cli/endpoints.h"
#include "cli/exit_code.h"
#include "cli/options.h"

namespace checkvalve {
namespace {

struct Arguments {
  std::string plan;
  std::vector<std::uint32_t> batches;
  bool no_wait = false;
  ProcessOptions process;
};

// The plan's job with this machine's secrets and keys, and the options of this command.
Result<Job> local_job(const Command& command, const PlanRecord& plan, const Inputs& inputs) {
  Settings settings;
  CV_TRY(settings.job, job_from_json(plan.job_json));
  CV_CHECK(apply_settings(settings, machine_settings(inputs.config)));
  CV_CHECK(apply_settings(settings, given_settings(command)));
  const EndpointInputs endpoint_inputs{inputs.config, inputs.secrets, settings};
  CV_CHECK(complete_endpoint(settings.job.source, Side::source, endpoint_inputs));
  CV_CHECK(complete_endpoint(settings.job.target, Side::target, endpoint_inputs));
  return settings.job;
}

// Totals for the progress: what is left in these batches.
void expect_open(Session& session, const std::vector<BatchRecord>& batches, const std::vector<std::uint32_t>& wanted) {
  std::uint64_t files = 0;
  std::uint64_t bytes = 0;
  for (const BatchRecord& batch : batches) {
    if (!wanted.empty() && std::find(wanted.begin(), wanted.end(), batch.number) == wanted.end()) continue;
    files += batch.files - batch.files_done;
    bytes += batch.bytes - batch.bytes_done;
  }
  session.tracker().expect(files, bytes);
}

struct Prepared {
  PlanRecord plan;
  Job job;
};
Task<Result<Prepared>> prepare(Session& session, const Command& command, const Arguments& arguments,
                               const Inputs& inputs) {
  Prepared prepared;
  CV_CO_TRY(prepared.plan, co_await find_plan(session.store(), arguments.plan));
  CV_CO_TRY(prepared.job, local_job(command, prepared.plan, inputs));
  CV_CO_TRY(const std::vector<BatchRecord> batches, co_await session.store().plans.batches(prepared.plan.id));
  expect_open(session, batches, arguments.batches);
  co_return prepared;
}

Task<int> run_plan_command(Session& session, const Command& command, const Arguments& arguments, const Inputs& inputs) {
  auto prepared = co_await prepare(session, command, arguments, inputs);
  Report report{.command = "run"};
  if (!prepared) {
    report.error = prepared.error();
  } else {
    session.emit_started(prepared->plan.source, prepared->plan.target);
    report = co_await run_batches(session, prepared->job, prepared->plan, {arguments.batches, !arguments.no_wait});
  }
  print_report(session, report);
  co_return exit_code_of(report);
}

int run_command(const Command& command, const Arguments& arguments) {
  Session session("run", arguments.process);
  auto fail = [&](const Error& error) {
    print_report(session, {.command = "run", .error = error});
    return exit_code::of(error);
  };
  if (auto opened = session.open_events(); !opened) return fail(opened.error());
  auto inputs = read_machine_inputs(command, arguments.process);
  if (!inputs) return fail(inputs.error());
  session.watch_parent(*inputs);
  if (auto opened = session.open_store(*inputs); !opened) return fail(opened.error());
  return session.run(run_plan_command(session, command, arguments, *inputs));
}

} // namespace

void add_run_command(CommandLine& line) {
  Command& command = line.add("run", "Run all or some batches of a plan, from any machine that shares the state");
  auto arguments = std::make_shared<Arguments>();
  command.option({.names = "PLAN", .help = "id of a plan or a unique prefix", .required = true}, arguments->plan);
  command.integer({.names = "--batch",
                   .value_name = "N",
                   .help = "run batch N only; may be repeated",
                   .group = "Batches",
                   .repeatable = true},
                  1, UINT32_MAX, [arguments](std::uint64_t batch) {
                    arguments->batches.push_back(static_cast<std::uint32_t>(batch));
                  });
  command.flag({.names = "--no-wait",
                .help = "exit with 1 if another worker holds a batch, instead of waiting for it",
                .group = "Batches"},
               arguments->no_wait);
  add_settings(command, takes::run);
  add_process_options(command, arguments->process, true);
  command.examples({"checkvalve run 7k3m9q2x5t", "checkvalve run 7k3m --batch 3 --batch 4 --no-wait --events fd:3"});
  command.action([&command, arguments] { return run_command(command, *arguments); });
}

} // namespace checkvalve
