#include "cli/tracker.h"

#include <algorithm>

#include "cli/printable.h"
#include "core/path.h"

namespace checkvalve {
namespace {

constexpr std::int64_t speed_window_ms = 5'000;
constexpr std::int64_t sample_distance_ms = 200;
constexpr std::int64_t stale_ms = 2'000;
constexpr std::uint64_t file_cost_bytes = 64 * 1024; // a small file takes about as long as this many bytes

template <class... F> struct Overloaded : F... {
  using F::operator()...;
};

} // namespace

void Tracker::expect(std::uint64_t files, std::uint64_t bytes) {
  view_.planned = true;
  view_.files_total = files;
  view_.bytes_total = bytes;
}

void Tracker::published(const FilePublishedEvent& event) {
  large_.erase(event.path);
  published_bytes_ += event.size_bytes;
  ++view_.files_done;
}

void Tracker::failed(const FileFailedEvent& event) {
  large_.erase(event.path);
  if (view_.planned) ++view_.files_done; // what fails while planning is not among the files to move
  ++view_.files_failed;
  view_.last_failure = escape_bytes(event.path) + ": " + printable(event.error.message);
}

void Tracker::on_event(const EngineEvent& event) {
  std::visit(Overloaded{
                 [&](const PlannedEvent& e) { expect(e.files, e.bytes); },
                 [&](const ListingEvent& e) {
                   view_.source_entries = e.source_entries;
                   view_.target_entries = e.target_entries;
                 },
                 [&](const FileProgressEvent& e) { large_[e.path] = {e.path, e.size_bytes, e.done_bytes}; },
                 [&](const FilePublishedEvent& e) { published(e); },
                 [&](const FileSkippedEvent& e) {
                   large_.erase(e.path);
                   if (view_.planned) ++view_.files_done;
                 },
                 [&](const FileFailedEvent& e) { failed(e); },
                 [&](const RetryEvent& e) {
                   large_.erase(e.path); // begins again
                   ++view_.retries;
                 },
                 [](const auto&) {},
             },
             event);
}

ProgressView Tracker::view(std::int64_t now_ms) {
  ProgressView view = view_;
  view.bytes_done = published_bytes_;
  for (const auto& [path, file] : large_) {
    view.bytes_done += file.done_bytes;
    view.large.push_back(file);
  }
  view.seconds = static_cast<double>(std::max<std::int64_t>(0, now_ms - start_ms_)) / 1000;

  // Large files report progress once a second: the speed is taken between reports, unless there was none for long.
  const std::uint64_t cost = view.bytes_done + view.files_done * file_cost_bytes;
  const bool reported = samples_.empty() || cost != samples_.back().cost;
  if (samples_.empty() || (now_ms - samples_.back().at_ms >= sample_distance_ms &&
                           (reported || now_ms - samples_.back().at_ms >= stale_ms)))
    samples_.push_back({now_ms, view.bytes_done, cost});
  while (samples_.size() > 2 && now_ms - samples_[1].at_ms >= speed_window_ms) samples_.pop_front();
  const Sample& oldest = samples_.front();
  const Sample& newest = samples_.back();
  const double elapsed = static_cast<double>(newest.at_ms - oldest.at_ms) / 1000;
  if (elapsed <= 0) return view;
  if (newest.bytes > oldest.bytes) view.bytes_per_second = static_cast<double>(newest.bytes - oldest.bytes) / elapsed;
  const std::uint64_t total = view.bytes_total + view.files_total * file_cost_bytes;
  if (view.planned && newest.cost > oldest.cost && total > cost)
    view.seconds_left = static_cast<double>(total - cost) / (static_cast<double>(newest.cost - oldest.cost) / elapsed);
  return view;
}

} // namespace checkvalve
