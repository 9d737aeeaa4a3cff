#include "backends/sftp/file_lanes.h"

#include <algorithm>
#include <limits>

namespace checkvalve {
namespace {

// Further connections pay off where the way is long (one channel's window is a few megabytes) and the file is large.
constexpr std::uint64_t spread_from_bytes = 16 * 1024 * 1024;
constexpr std::chrono::milliseconds spread_from_round_trip{5};
// OpenSSH's channel window is 2 MiB, and some wait here for it to open.
constexpr std::uint64_t lane_bytes = 3 * 1024 * 1024;

} // namespace

FileLanes::FileLanes(std::shared_ptr<ConnectionPool> pool, std::string path, std::uint32_t extra_flags, bool spread)
    : pool_(std::move(pool)), path_(std::move(path)), extra_flags_(extra_flags), spread_(spread),
      room_(spread ? lane_bytes : std::numeric_limits<std::uint64_t>::max()) {}

Lane::~Lane() {
  if (!handle.empty()) session->close_later(std::move(handle));
}

FileLanes::~FileLanes() {
  for (auto& lane : lanes_) lane->dropped = true;
}

Task<Result<std::unique_ptr<FileLanes>>> FileLanes::open(std::shared_ptr<ConnectionPool> pool, std::string path,
                                                         std::uint32_t flags, std::uint32_t extra_flags,
                                                         std::uint64_t size_bytes) {
  CV_CO_TRY(auto session, co_await pool->get());
  co_await session->handles().acquire();
  auto handle = co_await session->open_file(path, flags, {});
  if (!handle) {
    session->handles().release();
    co_return Failure(std::move(handle.error()));
  }
  const bool spread = size_bytes >= spread_from_bytes && session->round_trip() >= spread_from_round_trip &&
                      pool->settings().connections > 1;
  std::unique_ptr<FileLanes> lanes(new FileLanes(std::move(pool), std::move(path), extra_flags, spread));
  lanes->lanes_.push_back(std::make_shared<Lane>(std::move(session), std::move(*handle)));
  if (spread) lanes->add_lanes();
  co_return lanes;
}

std::shared_ptr<Lane> FileLanes::pick() {
  if (spread_) add_lanes();
  auto best = lanes_.front();
  for (const auto& lane : lanes_)
    if (!lane->handle.empty() && lane->session->alive() && lane->under_way < best->under_way) best = lane;
  return best;
}

void FileLanes::add_lanes() {
  for (auto& session : pool_->extra()) {
    const bool known = std::ranges::any_of(lanes_, [&](const auto& lane) { return lane->session == session; });
    // Never waits for a handle while it holds one.
    if (known || session->handles().available() == 0) continue;
    lanes_.push_back(std::make_shared<Lane>(session, std::string()));
    detach(open_lane(this, lanes_.back(), path_, extra_flags_));
  }
}

// `lanes` is there as long as the lane is not dropped.
Task<void> FileLanes::open_lane(FileLanes* lanes, std::shared_ptr<Lane> lane, std::string path, std::uint32_t flags) {
  auto session = lane->session;
  co_await session->handles().acquire();
  auto handle = co_await session->open_file(std::move(path), flags, {});
  if (!handle) {
    session->handles().release();
  } else if (lane->dropped) {
    session->close_later(std::move(*handle));
  } else {
    lane->handle = std::move(*handle);
    lanes->leave(lane_bytes);
  }
}

std::vector<std::shared_ptr<Lane>> FileLanes::take_extra() {
  spread_ = false;
  std::vector<std::shared_ptr<Lane>> taken(lanes_.begin() + 1, lanes_.end());
  for (auto& lane : taken) lane->dropped = true;
  lanes_.resize(1);
  return taken;
}

void FileLanes::drop(const std::shared_ptr<Lane>& lane) {
  if (lane == lanes_.front()) return;
  lane->dropped = true;
  std::erase(lanes_, lane);
  spread_ = false;
}

} // namespace checkvalve
