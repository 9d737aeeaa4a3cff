#include "cli/events_json.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <fmt/format.h>

#include <cerrno>
#include <charconv>
#include <cstring>

#include "cli/printable.h"
#include "cli/settings.h"
#include "core/path.h"

namespace checkvalve {
namespace {

constexpr std::size_t largest_wait_bytes = 64 * 1024;

void put(Json& out, const PlannedEvent& e) {
  out["type"] = "planned";
  out["plan"] = e.plan;
  out["files"] = e.files;
  out["bytes"] = e.bytes;
  out["skipped"] = e.skipped;
  out["failed"] = e.failed;
  out["batches"] = e.batches;
}

void put(Json& out, const ListingEvent& e) {
  out["type"] = "listing";
  out["source_entries"] = e.source_entries;
  out["target_entries"] = e.target_entries;
}

void put(Json& out, const FileStartedEvent& e) {
  out["type"] = "file_started";
  out["path"] = escape_bytes(e.path);
  out["size_bytes"] = e.size_bytes;
}

void put(Json& out, const FileProgressEvent& e) {
  out["type"] = "file_progress";
  out["path"] = escape_bytes(e.path);
  out["size_bytes"] = e.size_bytes;
  out["done_bytes"] = e.done_bytes;
}

void put(Json& out, const FilePublishedEvent& e) {
  out["type"] = "file_published";
  out["path"] = escape_bytes(e.path);
  out["size_bytes"] = e.size_bytes;
  out["digest"] = e.digest;
  out["attempts"] = e.attempts;
}

void put(Json& out, const FileSkippedEvent& e) {
  out["type"] = "file_skipped";
  out["path"] = escape_bytes(e.path);
  out["reason"] = printable(e.reason);
}

void put(Json& out, const FileFailedEvent& e) {
  out["type"] = "file_failed";
  out["path"] = escape_bytes(e.path);
  out["kind"] = to_string(e.error.kind);
  out["status"] = to_string(e.error.status);
  out["operation"] = printable(e.error.operation);
  out["message"] = printable(e.error.message);
}

void put(Json& out, const RetryEvent& e) {
  out["type"] = "retry";
  out["path"] = escape_bytes(e.path);
  out["kind"] = to_string(e.error.kind);
  out["message"] = printable(e.error.message);
  out["attempt"] = e.attempt;
  out["delay_ms"] = e.delay_ms;
}

void put(Json& out, const BatchEvent& e) {
  out["type"] = "batch";
  out["batch"] = e.batch;
  out["state"] = e.state;
  out["detail"] = printable(e.detail);
  out["files"] = e.files;
  out["bytes"] = e.bytes;
}

void put(Json& out, const WarningEvent& e) {
  out["type"] = "warning";
  out["message"] = printable(e.message);
}

Failure wrong(std::string message) { return Failure(config_error("--events", std::move(message))); }

} // namespace

std::string to_line(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

Json error_json(const Error& error) {
  return {{"kind", to_string(error.kind)},
          {"status", to_string(error.status)},
          {"operation", printable(error.operation)},
          {"path", printable(error.path)},
          {"message", printable(error.message)}};
}

Json failure_json(const FailureRecord& failure) {
  return {{"batch", failure.batch},
          {"path", escape_bytes(failure.path)},
          {"kind", to_string(failure.error.kind)},
          {"status", to_string(failure.error.status)},
          {"operation", printable(failure.error.operation)},
          {"message", printable(failure.error.message)}};
}

Json event_json(std::string_view type, std::int64_t time_ms) { return {{"v", 1}, {"t", time_ms}, {"type", type}}; }

Json event_json(const EngineEvent& event, std::int64_t time_ms) {
  Json out = event_json("", time_ms);
  std::visit([&](const auto& e) { put(out, e); }, event);
  return out;
}

Result<std::unique_ptr<EventWriter>> EventWriter::open(const std::string& place) {
  if (!place.starts_with("fd:")) {
    const int fd = ::open(place.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) return wrong(fmt::format("can't write {}: {}", place, std::strerror(errno)));
    return std::unique_ptr<EventWriter>(new EventWriter(fd));
  }
  int fd = -1;
  const char* end = place.data() + place.size();
  const auto [stop, error] = std::from_chars(place.data() + 3, end, fd);
  if (error != std::errc() || stop != end || fd < 0)
    return wrong(fmt::format("'{}' is no descriptor: write fd:3", place));
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0 || (flags & O_ACCMODE) == O_RDONLY)
    return wrong(fmt::format("descriptor {} is not open for writing", fd));
  const int own = ::fcntl(fd, F_DUPFD_CLOEXEC, 3); // children must not hold it open
  if (own < 0) return wrong(fmt::format("can't use descriptor {}: {}", fd, std::strerror(errno)));
  if (fd > 2) ::close(fd);
  return std::unique_ptr<EventWriter>(new EventWriter(own));
}

EventWriter::~EventWriter() {
  flush();
  ::close(fd_);
}

void EventWriter::write(const Json& event) {
  if (failed_) return;
  buffer_ += to_line(event);
  buffer_ += '\n';
  if (buffer_.size() >= largest_wait_bytes) flush();
}

void EventWriter::flush() {
  std::string_view rest = buffer_;
  while (!rest.empty() && !failed_) {
    const ssize_t written = ::write(fd_, rest.data(), rest.size());
    if (written >= 0) {
      rest.remove_prefix(static_cast<std::size_t>(written));
    } else if (errno == EAGAIN) { // the descriptor came with O_NONBLOCK
      pollfd wait{fd_, POLLOUT, 0};
      ::poll(&wait, 1, -1);
    } else if (errno != EINTR) {
      failed_ = true; // EPIPE, a full disk: the run is worth more than its report
    }
  }
  buffer_.clear();
}

} // namespace checkvalve
