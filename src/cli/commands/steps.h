// The steps that sync, plan and run share.
#pragma once

#include "cli/session.h"
#include "cli/summary.h"

namespace checkvalve {

// Connects, plans and, if `then_run`, runs the plan. Errors are in the report.
Task<Report> plan_and_run(Session& session, const DatedJob& dated, bool then_run, bool dry_run);

// Connects and runs batches of a plan.
Task<Report> run_batches(Session& session, const Job& job, const PlanRecord& plan, RunOptions options);

// Whether an error of one date ends a range: not one that concerns that date only (a directory that does not exist).
bool ends_range(const Error& error);
// The exit code of a range of dates by those of the dates that ran.
int code_of_range(Session& session, const std::vector<int>& codes, std::size_t dates);

// Syncs each date, prints its report, and returns the exit code of all.
Task<int> do_dates(Session& session, const std::vector<DatedJob>& jobs, bool then_run, bool dry_run);

// The plan of an id or of a unique prefix. Kind config if the state has no such plan: the argument is wrong, not the
// state.
Task<Result<PlanRecord>> find_plan(StateStore& store, const std::string& id);

// Prints the report with its failures.
void print_report(Session& session, const Report& report);
int exit_code_of(const Report& report);

} // namespace checkvalve
