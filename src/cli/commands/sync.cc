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

int plan_or_sync(const CLI::App& app, const Arguments& arguments, bool then_run) {
  Session session(app.get_name(), arguments.process);
  if (auto opened = session.open_events(); !opened) return fail(session, app.get_name(), opened.error());
  auto inputs = read_inputs(app, arguments.process, arguments.sync.job);
  if (!inputs) return fail(session, app.get_name(), inputs.error());
  session.watch_parent(*inputs);
  auto jobs = make_jobs(*inputs, arguments.sync);
  if (!jobs) return fail(session, app.get_name(), jobs.error());
  if (auto opened = session.open_store(*inputs); !opened) return fail(session, app.get_name(), opened.error());
  return session.run(do_dates(session, *jobs, then_run, arguments.dry_run));
}

void add(CLI::App* command, Action& chosen, bool then_run) {
  auto arguments = std::make_shared<Arguments>();
  add_sync_arguments(*command, arguments->sync);
  add_settings(*command, takes::sync);
  command->add_flag("--dry-run", arguments->dry_run, "show what would be copied, without changing anything")
      ->group("Comparison and publishing");
  add_process_options(*command, arguments->process, true);
  command->callback([=, &chosen] { chosen = [=] { return plan_or_sync(*command, *arguments, then_run); }; });
}

} // namespace

void add_sync_command(CLI::App& app, Action& chosen) {
  CLI::App* command = app.add_subcommand("sync", "Copy files that are missing or changed at the target");
  command->footer("Examples:\n"
                  "  checkvalve sync sftp://me@source.example/data sftp://me@target.example/backup\n"
                  "  checkvalve sync --include '*.txt' --min-age 5m /data/out sftp://target.example/~/in\n"
                  "  checkvalve sync --job daily --date 2024-03-01..2024-03-03\n");
  add(command, chosen, true);
}

void add_plan_command(CLI::App& app, Action& chosen) {
  CLI::App* command =
      app.add_subcommand("plan", "Compare source and target and store a plan of batches for 'checkvalve run'");
  command->footer("Examples:\n"
                  "  checkvalve plan sftp://me@source.example/data sftp://me@target.example/backup\n"
                  "  checkvalve plan --max-batches 16 --json --job daily --date yesterday\n"
                  "  checkvalve plan --dry-run prod:2024-03-01 archive:2024-03-01\n");
  add(command, chosen, false);
}

} // namespace checkvalve
