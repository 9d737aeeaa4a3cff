#include "cli/summary.h"

#include <sys/resource.h>

#include <fmt/format.h>

#include <cmath>
#include <cstdio>
#include <fstream>

#include "cli/printable.h"
#include "core/path.h"
#include "core/units.h"

namespace checkvalve {
namespace {

// The counts that are zero on most days.
std::string counts_text(const Summary& s) {
  std::string out;
  const auto add = [&](std::uint64_t count, std::string_view what) {
    if (count > 0) out += fmt::format(", {} {}", format_count(count), what);
  };
  add(s.files_failed, "failed");
  add(s.files_too_recent, "too recent");
  add(s.files_filtered, "filtered out");
  return out;
}

std::string plan_text(const Report& report, std::string_view resume) {
  const Summary& s = report.summary;
  std::string out = fmt::format("{} to copy ({}), {} skipped", counted(s.files_planned, "file"),
                                format_size(s.bytes_planned), format_count(s.files_skipped));
  out += counts_text(s);
  if (report.dry_run || s.plan.empty()) return out + "\n";
  out += fmt::format("\nplan {} in {}\n", s.plan, counted(s.batches, "batch", "batches"));
  for (const BatchRecord& batch : report.batches)
    out += fmt::format("  batch {:>4}  {:>10}  {:>10}\n", batch.number, counted(batch.files, "file"),
                       format_size(batch.bytes));
  if (s.files_planned > 0) out += fmt::format("run with: {}\n", resume);
  return out;
}

} // namespace

Json report_json(const Report& report) {
  const Summary& s = report.summary;
  Json out = {{"version", 1},
              {"command", report.command},
              {"date", report.date.empty() ? Json(nullptr) : Json(report.date)},
              {"plan", s.plan.empty() ? Json(nullptr) : Json(s.plan)},
              {"files_planned", s.files_planned},
              {"files_copied", s.files_copied},
              {"files_skipped", s.files_skipped},
              {"files_failed", s.files_failed},
              {"files_filtered", s.files_filtered},
              {"files_too_recent", s.files_too_recent},
              {"bytes_planned", s.bytes_planned},
              {"bytes_copied", s.bytes_copied},
              {"batches", s.batches},
              {"seconds", std::round(report.seconds * 1000) / 1000},
              {"peak_rss_bytes", peak_rss_bytes()},
              {"interrupted", s.interrupted}};
  if (report.command == "plan") {
    Json list = Json::array();
    for (const BatchRecord& batch : report.batches)
      list.push_back({{"batch", batch.number}, {"files", batch.files}, {"bytes", batch.bytes}});
    out["batch_list"] = std::move(list);
  }
  out["failures"] = Json::array();
  for (const FailureRecord& failure : s.failures) out["failures"].push_back(failure_json(failure));
  out["error"] = report.error ? error_json(*report.error) : Json(nullptr);
  return out;
}

std::string report_text(const Report& report, std::string_view resume) {
  const Summary& s = report.summary;
  const std::string head = report.date.empty() ? "" : report.date + ": ";
  if (report.command == "plan" || report.dry_run) return head + plan_text(report, resume);
  std::string out =
      head + fmt::format("{} copied ({}) in {}", counted(s.files_copied, "file"), format_size(s.bytes_copied),
                         format_duration(std::chrono::milliseconds(std::llround(report.seconds * 1000))));
  if (s.bytes_copied > 0 && report.seconds >= 0.001)
    out += fmt::format(", {}/s",
                       format_size(static_cast<std::uint64_t>(static_cast<double>(s.bytes_copied) / report.seconds)));
  out += fmt::format(", {} skipped", format_count(s.files_skipped));
  out += counts_text(s);
  if (s.interrupted) out += ", interrupted";
  out += "\n";
  if (!s.plan.empty() && (s.files_failed > 0 || s.interrupted)) out += fmt::format("resume with: {}\n", resume);
  return out;
}

std::string failure_line(const FailureRecord& failure) {
  return fmt::format("  {}: {} ({})", escape_bytes(failure.path), printable(failure.error.message),
                     failure.error.operation.empty() ? std::string(to_string(failure.error.kind))
                                                     : printable(failure.error.operation));
}

std::uint64_t peak_rss_bytes() {
  // VmHWM is reset by exec; ru_maxrss would include the memory of the process that forked us.
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    unsigned long long kib = 0;
    if (std::sscanf(line.c_str(), "VmHWM: %llu kB", &kib) == 1) return kib * 1024;
  }
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
}

} // namespace checkvalve
