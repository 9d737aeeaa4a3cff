#include "backends/sftp/file_streams.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <limits>

namespace checkvalve {
namespace {

// Further connections pay off where the way is long (one channel's window is a few megabytes) and the file is large.
constexpr std::uint64_t spread_from_bytes = 16 * 1024 * 1024;
constexpr std::chrono::milliseconds spread_from_round_trip{5};
constexpr int tries_for_room = 4; // where too many files are open
constexpr std::chrono::milliseconds first_wait_for_room{100};
// OpenSSH's channel window is 2 MiB, and some wait here for it to open.
constexpr std::uint64_t stream_bytes = 3 * 1024 * 1024;

} // namespace

// A server that names no limit answers FAILURE when its process has too many files open. A later try may find it with
// fewer. (The caller's own permit counts among the handles.)
Error explain_open(const SftpSession& session, Error error) {
  if (error.kind != ErrorKind::io || session.has("limits@openssh.com") || session.open_handles() <= 1) return error;
  Error cause = errno_error(EMFILE, std::move(error.operation), std::move(error.path));
  cause.message = fmt::format("{}; up to {} files are open", error.message, session.open_handles());
  return cause;
}

FileStreams::FileStreams(std::shared_ptr<ConnectionPool> pool, std::string path, std::uint32_t extra_flags, bool spread)
    : pool_(std::move(pool)), path_(std::move(path)), extra_flags_(extra_flags), spread_(spread),
      room_(spread ? stream_bytes : std::numeric_limits<std::uint64_t>::max(), LockRank::file_turn) {}

FileStream::~FileStream() {
  if (!handle.empty()) session->close_later(std::move(handle), std::move(permit));
}

FileStreams::~FileStreams() {
  for (auto& stream : streams_) stream->dropped = true;
}

Task<Result<std::unique_ptr<FileStreams>>> FileStreams::open(std::shared_ptr<ConnectionPool> pool, Open open) {
  CV_CO_TRY(auto session, co_await pool->get());
  auto permit = co_await session->handles().acquire();
  auto handle = co_await session->open_file(open.path, open.flags, {});
  // Another file's end makes room; but it may be the end of one that waits for this one's.
  for (int tries = 1; !handle && tries <= tries_for_room; ++tries) {
    handle.error() = explain_open(*session, std::move(handle.error()));
    if (handle.error().code != ErrorCode::too_many_open_files) break;
    co_await pool->context().loop.sleep(tries * first_wait_for_room);
    auto again = co_await session->open_file(open.path, open.flags, {});
    if (again) handle = std::move(again);
  }
  if (!handle) co_return Failure(std::move(handle.error()));
  const bool spread = open.parallel && open.size_bytes >= spread_from_bytes &&
                      session->round_trip() >= spread_from_round_trip && pool->settings().connections > 1;
  std::unique_ptr<FileStreams> streams(
      new FileStreams(std::move(pool), std::move(open.path), open.extra_flags, spread));
  const auto& first = streams->streams_.emplace_back(std::make_shared<FileStream>(std::move(session)));
  first->permit = std::move(permit);
  first->handle = std::move(*handle);
  if (spread) streams->add_streams();
  co_return streams;
}

std::shared_ptr<FileStream> FileStreams::pick() {
  if (spread_) add_streams();
  auto best = streams_.front();
  for (const auto& stream : streams_)
    if (!stream->handle.empty() && stream->session->alive() && stream->under_way < best->under_way) best = stream;
  return best;
}

void FileStreams::add_streams() {
  for (auto& session : pool_->extra()) {
    const bool known = std::ranges::any_of(streams_, [&](const auto& stream) { return stream->session == session; });
    // Never waits for a handle while it holds one.
    if (known || session->handles().available() == 0) continue;
    streams_.push_back(std::make_shared<FileStream>(session));
    detach(open_stream(this, streams_.back(), path_, extra_flags_));
  }
}

// `streams` is there as long as the stream is not dropped.
Task<void> FileStreams::open_stream(FileStreams* streams, std::shared_ptr<FileStream> stream, std::string path,
                                    std::uint32_t flags) {
  auto session = stream->session;
  auto permit = co_await session->handles().acquire();
  auto handle = co_await session->open_file(std::move(path), flags, {});
  if (!handle) co_return;
  stream->permit = std::move(permit);
  stream->handle = std::move(*handle);
  if (stream->dropped) co_return; // which closes it
  streams->several_ = true;
  streams->room_.add(stream_bytes);
}

std::vector<std::shared_ptr<FileStream>> FileStreams::take_extra() {
  spread_ = false;
  std::vector<std::shared_ptr<FileStream>> taken(streams_.begin() + 1, streams_.end());
  for (auto& stream : taken) stream->dropped = true;
  streams_.resize(1);
  return taken;
}

void FileStreams::drop(const std::shared_ptr<FileStream>& stream) {
  if (stream == streams_.front()) return;
  stream->dropped = true;
  std::erase(streams_, stream);
  spread_ = false;
}

} // namespace checkvalve
