// Events and errors as JSON (docs/reference/machine.md, schema/events.schema.json).
#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "core/event.h"
#include "core/result.h"
#include "state/store.h"

namespace checkvalve {

using Json = nlohmann::ordered_json;

// One line without a newline; never throws, whatever bytes the strings hold.
std::string to_line(const Json& json);

Json error_json(const Error& error); // {"kind", "status", "operation", "path", "message"}
Json failure_json(const FailureRecord& failure);

// One event's object: v, t, type and the fields of the type.
Json event_json(const EngineEvent& event, std::int64_t time_ms);
Json event_json(std::string_view type, std::int64_t time_ms); // an empty one, for types that the engine does not emit

// Writes events to a file or a descriptor, many in one write. A write error ends the writing, never the run. A reader
// that does not read holds up the run, as with any pipe. Engine thread only.
class EventWriter {
public:
  // "FILE" (truncated) or "fd:N". Error kind config.
  static Result<std::unique_ptr<EventWriter>> open(const std::string& place);
  ~EventWriter();
  EventWriter(const EventWriter&) = delete;
  EventWriter& operator=(const EventWriter&) = delete;

  void write(const Json& event); // kept until flush(), or until 64 KiB wait
  void flush();
  bool failed() const { return failed_; }

private:
  explicit EventWriter(int fd) : fd_(fd) {}
  int fd_;
  bool failed_ = false;
  std::string buffer_;
};

} // namespace checkvalve
