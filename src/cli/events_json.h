// Events and errors as JSON (docs/reference/machine.md, schema/events.schema.json).
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>

#include "core/event.h"
#include "core/result.h"
#include "state/store.h"

namespace checkvalve {

using Json = nlohmann::ordered_json;

// One line without a newline; never throws, whatever bytes the strings hold.
std::string to_line(const Json& json);
// The object of a text of the state; null if it is none.
Json read_object(const std::string& text);

Json error_json(const Error& error); // {"code", "kind", "status", "operation", "path", "message", "hint"}
Json failure_json(const FailureRecord& failure);

// One event's object: v, t, type and the fields of the type.
Json event_json(const EngineEvent& event, std::int64_t time_ms);
Json event_json(std::string_view type, std::int64_t time_ms); // an empty one, for types that the engine does not emit

// Writes events to a file or a descriptor, from a thread of its own. A write error ends the writing, never the run, and
// so does a reader that falls 8 MiB behind. Engine thread only.
class EventWriter {
public:
  // "FILE" (truncated) or "fd:N". Error kind config.
  static Result<std::unique_ptr<EventWriter>> open(const std::string& place);
  ~EventWriter();
  EventWriter(const EventWriter&) = delete;
  EventWriter& operator=(const EventWriter&) = delete;

  void write(const Json& event); // kept until flush(), or until 64 KiB wait
  void flush();                  // hands what is kept to the thread
  // Waits until all is written, or the reader has taken nothing for two seconds. Nothing can be written afterwards.
  void finish();
  bool failed() const { return failed_; }

private:
  explicit EventWriter(int fd);
  void work();
  bool write_some(std::string_view& rest);

  const int fd_;
  std::string buffer_;
  std::atomic<bool> failed_ = false;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::string> queue_; // guarded by mutex_
  std::size_t queued_bytes_ = 0;  // guarded by mutex_
  std::atomic<bool> finishing_ = false;
  std::thread thread_;
};

} // namespace checkvalve
