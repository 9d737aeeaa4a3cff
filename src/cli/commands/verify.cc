// checkvalve verify: compares source and target without changing anything.
#include <fmt/format.h>

#include <memory>

#include "cli/commands/commands.h"
#include "cli/commands/steps.h"
#include "cli/exit_code.h"
#include "cli/options.h"
#include "cli/printable.h"
#include "cli/session.h"
#include "core/path.h"
#include "core/units.h"

namespace checkvalve {
namespace {

struct Arguments {
  SyncArguments sync;
  ProcessOptions process;
};

Json verify_json(const std::string& date, const VerifyReport& report, const std::optional<Error>& error) {
  Json out = {{"version", 1},
              {"command", "verify"},
              {"date", date.empty() ? Json(nullptr) : Json(date)},
              {"files_compared", report.files_compared},
              {"bytes_compared", report.bytes_compared},
              {"files_extra", report.files_extra},
              {"difference_count", report.difference_count},
              {"differences", Json::array()}};
  for (const Difference& each : report.differences)
    out["differences"].push_back(
        {{"path", escape_bytes(each.path)}, {"reason", each.reason}, {"detail", printable(each.detail)}});
  out["error"] = error ? error_json(*error) : Json(nullptr);
  return out;
}

std::string verify_text(const std::string& date, const VerifyReport& report, bool content) {
  std::string out;
  for (const Difference& each : report.differences)
    out += fmt::format("  {}: {}{}\n", escape_bytes(each.path), each.reason,
                       each.detail.empty() ? "" : fmt::format(" ({})", printable(each.detail)));
  if (report.difference_count > report.differences.size())
    out += fmt::format("  and {} more\n", format_count(report.difference_count - report.differences.size()));
  out += date.empty() ? "" : date + ": ";
  out += fmt::format("{} compared{}, {} different", counted(report.files_compared, "file"),
                     content ? fmt::format(" by content ({})", format_size(report.bytes_compared))
                             : " by size and modification time",
                     format_count(report.difference_count));
  if (report.files_extra > 0) out += fmt::format(", {} only at the target", format_count(report.files_extra));
  return out + "\n";
}

Task<Result<VerifyReport>> verify(Session& session, const Job& job) {
  BackendContext context = session.context(job);
  CV_CO_TRY(Connections connections, co_await open_connections(context, job, session.cancellation()));
  Engine engine = session.engine();
  auto report = co_await verify_connections(engine, job, connections);
  co_await close_connections(connections);
  co_return report;
}

Task<int> verify_dates(Session& session, const std::vector<DatedJob>& jobs) {
  std::vector<int> codes;
  for (const DatedJob& dated : jobs) {
    session.emit_started(dated.job.source.display(), dated.job.target.display());
    auto report = co_await verify(session, dated.job);
    if (report) {
      session.report(verify_json(dated.date, *report, std::nullopt),
                     verify_text(dated.date, *report, dated.job.checksum));
      codes.push_back(report->difference_count > 0 ? exit_code::incomplete : exit_code::success);
    } else {
      session.report(verify_json(dated.date, {}, report.error()), "", report.error());
      codes.push_back(exit_code::of(report.error()));
    }
    if (session.cancellation().requested() || (!report && ends_range(report.error()))) break;
  }
  co_return code_of_range(session, codes, jobs.size());
}

int verify_command(const Command& command, const Arguments& arguments) {
  Session session("verify", arguments.process);
  auto fail = [&](const Error& error) {
    session.report(verify_json("", {}, error), "", error);
    return exit_code::of(error);
  };
  if (auto opened = session.open_events(); !opened) return fail(opened.error());
  auto inputs = read_inputs(command, arguments.process, arguments.sync.job);
  if (!inputs) return fail(inputs.error());
  session.watch_parent(*inputs);
  auto jobs = make_jobs(*inputs, arguments.sync);
  if (!jobs) return fail(jobs.error());
  if (auto opened = session.open_store(*inputs); !opened) return fail(opened.error());
  return session.run(verify_dates(session, *jobs));
}

} // namespace

void add_verify_command(CommandLine& line) {
  Command& command =
      line.add("verify", "Compare source and target without changing anything; exit with 1 if they differ");
  auto arguments = std::make_shared<Arguments>();
  add_sync_arguments(command, arguments->sync);
  add_settings(command, takes::verify);
  add_process_options(command, arguments->process, true);
  command.examples({"checkvalve verify sftp://me@source.example/data sftp://me@target.example/backup",
                    "checkvalve verify --checksum --job daily --date yesterday"});
  command.action([&command, arguments] { return verify_command(command, *arguments); });
}

} // namespace checkvalve
