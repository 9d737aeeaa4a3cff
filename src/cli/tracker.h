// Tracker: sums up events into what a progress bar and progress events show. Engine thread only.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/event.h"

namespace checkvalve {

struct ProgressView {
  bool planned = false;             // the totals are known
  std::uint64_t source_entries = 0; // listed while planning
  std::uint64_t target_entries = 0;
  std::uint64_t files_done = 0; // published, skipped or failed, of those that were to be moved
  std::uint64_t files_total = 0;
  std::uint64_t files_failed = 0;
  std::uint64_t bytes_done = 0; // of published files, and of large ones on their way
  std::uint64_t bytes_total = 0;
  std::uint64_t retries = 0;
  double bytes_per_second = 0; // over the last seconds
  std::optional<double> seconds_left;
  double seconds = 0; // since the start
  struct LargeFile {
    std::string path;
    std::uint64_t size_bytes = 0;
    std::uint64_t done_bytes = 0;
  };
  std::vector<LargeFile> large; // on their way, by path
  std::string last_failure;     // "a.txt: permission denied", escaped
};

class Tracker {
public:
  explicit Tracker(std::int64_t now_ms) : start_ms_(now_ms) {}
  // What a command that runs a plan set out to do; sync learns it from the PlannedEvent.
  void expect(std::uint64_t files, std::uint64_t bytes);
  void on_event(const EngineEvent& event);
  // Takes a sample of the speed as well: call it a few times a second.
  ProgressView view(std::int64_t now_ms);

private:
  void published(const FilePublishedEvent& event);
  void failed(const FileFailedEvent& event);

  struct Sample {
    std::int64_t at_ms = 0;
    std::uint64_t bytes = 0;
    std::uint64_t cost = 0; // bytes and files: what the rest is estimated by
  };
  std::int64_t start_ms_;
  ProgressView view_;
  std::uint64_t published_bytes_ = 0;
  std::map<std::string, ProgressView::LargeFile> large_;
  std::deque<Sample> samples_;
};

} // namespace checkvalve
