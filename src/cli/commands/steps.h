// The steps that sync, plan and run share.
#pragma once

#include "cli/session.h"
#include "cli/summary.h"

namespace checkvalve {

// Connects, plans and, if `then_run`, runs what was planned. What went wrong is in the report.
Task<Report> plan_and_run(Session& session, const DatedJob& dated, bool then_run, bool dry_run);

// Runs batches of a plan whose ends are to be connected.
Task<Report> run_batches(Session& session, const Job& job, const PlanRecord& plan, RunOptions options);

// Whether an error of one date ends a range. One for its own sake (a folder that is not there) does not keep the other
// dates from being done.
bool ends_range(const Error& error);
// The exit code of a range of dates by those of the dates that were done.
int code_of_range(Session& session, const std::vector<int>& codes, std::size_t dates);

// Does each date, prints its report, and returns the exit code of all.
Task<int> do_dates(Session& session, const std::vector<DatedJob>& jobs, bool then_run, bool dry_run);

// The plan of an id or its beginning. One that the state does not have is an error of kind config: what the user wrote
// is wrong, not the state. Blocks: on the state's thread.
Result<PlanRecord> find_plan(StateStore& store, const std::string& id);

// Prints the report with its failures.
void print_report(Session& session, const Report& report);
int exit_code_of(const Report& report);

} // namespace checkvalve
