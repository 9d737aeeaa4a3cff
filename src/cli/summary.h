// What sync, run and plan say at their end: text for people, JSON for programs.
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
// Several lines, each with its newline. Failures and the error are not in it.
std::string report_text(const Report& report);
// "  a.txt: permission denied (open)", escaped.
std::string failure_line(const FailureRecord& failure);

// The most memory that this process held at once.
std::uint64_t peak_rss_bytes();

} // namespace checkvalve
