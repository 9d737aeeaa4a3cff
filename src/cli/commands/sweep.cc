// checkvalve sweep: list and remove orphans at a target.
#include <fmt/format.h>

#include <memory>

#include "cli/commands/commands.h"
#include "cli/endpoints.h"
#include "cli/exit_code.h"
#include "cli/options.h"
#include "cli/printable.h"
#include "cli/session.h"
#include "core/path.h"
#include "core/units.h"
#include "sync/cancel_watch.h"

namespace checkvalve {
namespace {

struct Arguments {
  std::string target;
  std::string older_than = "24h";
  bool dry_run = false;
  ProcessOptions process;
};

Json sweep_json(const SweepReport& report, const std::optional<Error>& error) {
  Json out = {{"version", 1}, {"command", "sweep"}, {"found", Json::array()}};
  for (const Orphan& each : report.found)
    out["found"].push_back(
        {{"path", escape_bytes(each.path)},
         {"plan", each.name.plan},
         {"size_bytes", each.size_bytes},
         {"modified", each.mtime_ns ? Json(format_time(*each.mtime_ns / 1'000'000)) : Json(nullptr)}});
  out["limited"] = report.limited;
  out["removed"] = report.removed;
  out["failures"] = Json::array();
  for (const Error& each : report.failures) out["failures"].push_back(error_json(each));
  out["error"] = error ? error_json(*error) : Json(nullptr);
  return out;
}

std::string sweep_text(const SweepReport& report, bool dry_run) {
  std::string out;
  for (const Orphan& each : report.found)
    out += fmt::format("  {}  {:>10}  {}\n",
                       each.mtime_ns ? format_time(*each.mtime_ns / 1'000'000) : "unknown time        ",
                       format_size(each.size_bytes), escape_bytes(each.path));
  out += counted(report.found.size(), "orphan") + " found";
  out += dry_run ? "\n" : fmt::format(", {} removed\n", format_count(report.removed));
  if (report.limited) out += fmt::format("the search ended at {}: sweep again\n", format_count(SweepReport::max_found));
  return out;
}

Task<Result<SweepReport>> sweep(Session& session, const Job& job, std::chrono::milliseconds older_than, bool dry_run) {
  BackendContext context = session.context(job);
  Connections connections;
  CV_CO_TRY(connections.target, co_await open_target(context, job, session.cancellation()));
  Engine engine = session.engine();
  CancelWatch watch(context.loop, session.cancellation(), connections, std::chrono::milliseconds(0));
  watch.start();
  auto report = co_await sweep_target(engine, *connections.target, older_than, dry_run);
  co_await watch.finish();
  co_await close_connections(connections);
  co_return report;
}

Task<int> sweep_and_report(Session& session, const Job& job, std::chrono::milliseconds older_than, bool dry_run) {
  auto report = co_await sweep(session, job, older_than, dry_run);
  if (!report) {
    session.report(sweep_json({}, report.error()), "", report.error());
    co_return exit_code::of(report.error());
  }
  session.report(sweep_json(*report, std::nullopt), sweep_text(*report, dry_run));
  for (const Error& each : report->failures) session.print_error(error_text(each));
  co_return report->failures.empty() ? exit_code::success : exit_code::incomplete;
}

int sweep_command(const Command& command, const Arguments& arguments) {
  Session session("sweep", arguments.process);
  auto fail = [&](const Error& error) {
    session.report(sweep_json({}, error), "", error);
    return exit_code::of(error);
  };
  auto older_than = parse_duration(arguments.older_than);
  if (!older_than) return fail(config_error("--older-than", older_than.error().message));
  auto inputs = read_inputs(command, arguments.process, "");
  if (!inputs) return fail(inputs.error());
  Job job = inputs->settings.job;
  auto target = resolve_endpoint(arguments.target, Side::target, {inputs->config, inputs->secrets, inputs->settings});
  if (!target) return fail(target.error());
  job.target = std::move(*target);
  if (auto opened = session.open_store(*inputs); !opened) return fail(opened.error());
  return session.run(sweep_and_report(session, job, *older_than, arguments.dry_run));
}

} // namespace

void add_sweep_command(CommandLine& line) {
  Command& command = line.add("sweep", "Remove orphans at a target: partial uploads whose run has ended");
  auto arguments = std::make_shared<Arguments>();
  command.option({.names = "TARGET", .help = "endpoint to clean: a URL, a path or NAME:path", .required = true},
                 arguments->target);
  command.option(
      {.names = "--older-than", .value_name = "DURATION", .help = "keep orphans modified less than DURATION ago [24h]"},
      arguments->older_than);
  command.flag({.names = "--dry-run", .help = "list orphans without removing them"}, arguments->dry_run);
  add_settings(command, takes::sweep);
  add_process_options(command, arguments->process, false);
  command.examples(
      {"checkvalve sweep --dry-run sftp://me@target.example/backup", "checkvalve sweep --older-than 2d archive:"});
  command.action([&command, arguments] { return sweep_command(command, *arguments); });
}

} // namespace checkvalve
