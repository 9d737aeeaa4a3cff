// checkvalve sync: plans, then runs every batch. checkvalve plan: only plans.
#include <memory>

#include "cli/commands/commands.h"
#include "cli/commands/steps.h"
#include "cli/exit_code.h"
#include "cli/options.h"

namespace checkvalve {
namespace {

struct Arguments {
  SyncArguments sync;
  ProcessOptions process;
  bool dry_run = false;
};

int fail(Session& session, const std::string& command, const Error& error) {
  print_report(session, {.command = command, .error = error});
  return exit_code::of(error);
}

int plan_or_sync(const Command& command, const Arguments& arguments, bool then_run) {
  Session session(command.name(), arguments.process);
  if (auto opened = session.open_events(); !opened) return fail(session, command.name(), opened.error());
  auto inputs = read_inputs(command, arguments.process, arguments.sync.job);
  if (!inputs) return fail(session, command.name(), inputs.error());
  session.watch_parent(*inputs);
  auto jobs = make_jobs(*inputs, arguments.sync);
  if (!jobs) return fail(session, command.name(), jobs.error());
  if (auto opened = session.open_store(*inputs); !opened) return fail(session, command.name(), opened.error());
  return session.run(do_dates(session, *jobs, then_run, arguments.dry_run));
}

void add(Command& command, bool then_run) {
  auto arguments = std::make_shared<Arguments>();
  add_sync_arguments(command, arguments->sync);
  add_settings(command, takes::sync);
  command.flag({.names = "--dry-run",
                .help = "show what would be copied, without changing anything",
                .group = "Comparison and publishing"},
               arguments->dry_run);
  add_process_options(command, arguments->process, true);
  command.action([&command, arguments, then_run] { return plan_or_sync(command, *arguments, then_run); });
}

} // namespace

void add_sync_command(CommandLine& line) {
  Command& command = line.add("sync", "Copy files that are missing or changed at the target");
  command.examples({"checkvalve sync sftp://me@source.example/data sftp://me@target.example/backup",
                    "checkvalve sync --include '*.txt' --min-age 5m /data/out sftp://target.example/~/in",
                    "checkvalve sync --job daily --date 2024-03-01..2024-03-03"});
  add(command, true);
}

void add_plan_command(CommandLine& line) {
  Command& command = line.add("plan", "Compare source and target and store a plan of batches for 'checkvalve run'");
  command.examples({"checkvalve plan sftp://me@source.example/data sftp://me@target.example/backup",
                    "checkvalve plan --max-batches 16 --json --job daily --date yesterday",
                    "checkvalve plan --dry-run prod:2024-03-01 archive:2024-03-01"});
  add(command, false);
}

} // namespace checkvalve
