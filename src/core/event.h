// What the engine reports while it works. Sinks render events: a progress bar, JSON lines, nothing.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "core/result.h"

namespace checkvalve {

struct PlannedEvent { // a plan is complete
  std::string plan;
  std::uint64_t files = 0;      // to move
  std::uint64_t bytes = 0;      // to move
  std::uint64_t skipped = 0;    // up to date at the target already
  std::uint64_t failed = 0;     // can't be moved: listed with file_failed events
  std::uint64_t filtered = 0;   // not selected by name or size
  std::uint64_t too_recent = 0; // not selected by --min-age
  std::uint32_t batches = 0;
};
struct ListingEvent { // while planning: how far the listing is
  std::uint64_t source_entries = 0;
  std::uint64_t target_entries = 0;
};
struct FilePlannedEvent { // of a dry run: what a run would do
  std::string path;
  std::uint64_t size_bytes = 0;
};
struct FileStartedEvent {
  std::string path;
  std::uint64_t size_bytes = 0;
};
struct FileProgressEvent { // for files over 64 MiB, at most one a second and file
  std::string path;
  std::uint64_t size_bytes = 0;
  std::uint64_t done_bytes = 0;
};
struct FilePublishedEvent {
  std::string path;
  std::uint64_t size_bytes = 0; // bytes published
  std::string digest; // of the published bytes: "xxh128:…", with VerifyMode::hash of the target's algorithm; or empty
  std::uint32_t attempts = 1;
};
struct FileSkippedEvent {
  std::string path;
  std::string reason; // "up_to_date", "conflict", "published_before"
};
struct FileFailedEvent {
  std::string path;
  Error error;
};
struct RetryEvent { // a file or a connection is tried again
  std::string path; // empty for a connection
  Error error;
  std::uint32_t attempt = 0; // the one that comes
  std::int64_t delay_ms = 0;
};
struct BatchEvent {
  std::uint32_t batch = 0;
  std::string state;  // "started", "waiting", "finished", "interrupted"
  std::string detail; // who holds it, while waiting
  std::uint64_t files = 0;
  std::uint64_t bytes = 0;
};
struct WarningEvent { // nothing is lost, but the user should know
  std::string message;
};

using EngineEvent =
    std::variant<PlannedEvent, ListingEvent, FilePlannedEvent, FileStartedEvent, FileProgressEvent, FilePublishedEvent,
                 FileSkippedEvent, FileFailedEvent, RetryEvent, BatchEvent, WarningEvent>;

// Called on the engine thread only; must not block for long.
class EventSink {
public:
  virtual ~EventSink() = default;
  virtual void emit(const EngineEvent& event) = 0;
};

// Drops all.
class NullSink : public EventSink {
public:
  void emit(const EngineEvent&) override {}
};

} // namespace checkvalve
