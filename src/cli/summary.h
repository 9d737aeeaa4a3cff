// The outcome of sync, run and plan: text for people, JSON for programs.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/events_json.h"
#include "sync/engine.h"

namespace checkvalve {

struct Report {
  std::string command; // "sync", "run", "plan"
  std::string date;    // of {date}; empty: none
  Summary summary;
  std::vector<BatchRecord> batches; // for plan
  bool dry_run = false;
  double seconds = 0;
  std::optional<Error> error; // that ended the command
};

Json report_json(const Report& report);
// Several lines, each with its newline, without failures and the error. `resume` is the command that runs the plan.
std::string report_text(const Report& report, std::string_view resume);
// "  a.txt: permission denied (open)", escaped.
std::string failure_line(const FailureRecord& failure);

// The peak of this process's resident memory.
std::uint64_t peak_rss_bytes();

} // namespace checkvalve
