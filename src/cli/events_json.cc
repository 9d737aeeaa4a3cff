#include "cli/events_json.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
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
constexpr std::size_t max_queued_bytes = 8 * 1024 * 1024;
constexpr int poll_ms = 100;
constexpr int max_idle_ms = 2'000;

// All of an error but its path, which events and failures have escaped as a file's name.
void put_error(Json& out, const Error& error) {
  out["code"] = error.code_word();
  out["kind"] = to_string(error.kind);
  out["status"] = to_string(error.status);
  out["operation"] = printable(error.operation);
  out["message"] = printable(error.message);
  out["hint"] = printable(error.advice());
}

void put(Json& out, const PlannedEvent& e) {
  out["type"] = "planned";
  out["plan"] = e.plan;
  out["files"] = e.files;
  out["bytes"] = e.bytes;
  out["skipped"] = e.skipped;
  out["failed"] = e.failed;
  out["filtered"] = e.filtered;
  out["too_recent"] = e.too_recent;
  out["batches"] = e.batches;
}

void put(Json& out, const ListingEvent& e) {
  out["type"] = "listing";
  out["source_entries"] = e.source_entries;
  out["target_entries"] = e.target_entries;
}

void put(Json& out, const FilePlannedEvent& e) {
  out["type"] = "file_planned";
  out["path"] = escape_bytes(e.path);
  out["size_bytes"] = e.size_bytes;
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
  put_error(out, e.error);
}

void put(Json& out, const RetryEvent& e) {
  out["type"] = "retry";
  out["path"] = escape_bytes(e.path);
  put_error(out, e.error);
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

Json read_object(const std::string& text) {
  Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  return json.is_object() ? std::move(json) : Json(nullptr);
}

Json error_json(const Error& error) {
  Json out = {{"path", printable(error.path)}};
  put_error(out, error);
  return out;
}

Json failure_json(const FailureRecord& failure) {
  Json out = {{"batch", failure.batch}, {"path", escape_bytes(failure.path)}};
  put_error(out, failure.error);
  return out;
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
    if (fd < 0) return wrong(fmt::format("cannot open {}: {}", place, std::strerror(errno)));
    return std::unique_ptr<EventWriter>(new EventWriter(fd));
  }
  int fd = -1;
  const char* end = place.data() + place.size();
  const auto [stop, error] = std::from_chars(place.data() + 3, end, fd);
  if (error != std::errc() || stop != end || fd < 0)
    return wrong(fmt::format("invalid value '{}': expected FILE or fd:N", place));
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0 || (flags & O_ACCMODE) == O_RDONLY)
    return wrong(fmt::format("descriptor {} is not open for writing", fd));
  const int own = ::fcntl(fd, F_DUPFD_CLOEXEC, 3); // children must not hold it open
  if (own < 0) return wrong(fmt::format("cannot use descriptor {}: {}", fd, std::strerror(errno)));
  if (fd > 2) ::close(fd);
  return std::unique_ptr<EventWriter>(new EventWriter(own));
}

EventWriter::EventWriter(int fd) : fd_(fd) {
  // Signals belong to the engine thread: this one is started with all of them blocked.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this] { work(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

EventWriter::~EventWriter() {
  finish();
  ::close(fd_);
}

void EventWriter::write(const Json& event) {
  if (failed_ || finishing_) return;
  buffer_ += to_line(event);
  buffer_ += '\n';
  if (buffer_.size() >= largest_wait_bytes) flush();
}

void EventWriter::flush() {
  if (buffer_.empty()) return;
  {
    std::lock_guard lock(mutex_);
    if (queued_bytes_ + buffer_.size() > max_queued_bytes) failed_ = true;
    if (!failed_) {
      queued_bytes_ += buffer_.size();
      queue_.push_back(std::move(buffer_));
    }
  }
  buffer_.clear();
  wake_.notify_one();
}

void EventWriter::finish() {
  flush();
  {
    std::lock_guard lock(mutex_); // or the word could fall between the thread's look and its sleep
    finishing_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void EventWriter::work() {
  for (;;) {
    std::string text;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return finishing_ || !queue_.empty(); });
      if (queue_.empty()) return;
      text = std::move(queue_.front());
      queue_.pop_front();
      queued_bytes_ -= text.size();
    }
    std::string_view rest = text;
    for (int idle_ms = 0; !rest.empty() && !failed_;) {
      pollfd ready{fd_, POLLOUT, 0};
      if (::poll(&ready, 1, poll_ms) > 0) {
        failed_ = !write_some(rest);
        idle_ms = 0;
      } else if (finishing_ && (idle_ms += poll_ms) >= max_idle_ms) {
        failed_ = true;
      }
    }
  }
}

// At most PIPE_BUF bytes: after POLLOUT a pipe takes those without blocking (pipe(7)). False at an error: EPIPE, a full
// disk; the run is worth more than its report.
bool EventWriter::write_some(std::string_view& rest) {
  const ssize_t written = ::write(fd_, rest.data(), std::min<std::size_t>(rest.size(), PIPE_BUF));
  if (written < 0) return errno == EAGAIN || errno == EINTR;
  rest.remove_prefix(static_cast<std::size_t>(written));
  return true;
}

} // namespace checkvalve
