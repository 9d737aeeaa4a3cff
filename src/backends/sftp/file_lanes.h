// FileLanes: one remote file, open on one session or, if it is large and the way is long, on several. Engine thread
// only.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "backends/sftp/connection_pool.h"
#include "core/async.h"

namespace checkvalve {

// A handle on the file on one session.
struct Lane {
  Lane(std::shared_ptr<SftpSession> on, std::string opened) : session(std::move(on)), handle(std::move(opened)) {}
  Lane(const Lane&) = delete;
  Lane& operator=(const Lane&) = delete;
  ~Lane(); // closes the handle without waiting

  std::shared_ptr<SftpSession> session;
  std::string handle;          // empty: not open yet, or closed
  std::uint32_t under_way = 0; // requests
  bool dropped = false;        // nobody wants it any more
};

class FileLanes {
public:
  // Opens `path` on the pool's first session. `size_bytes` decides whether further sessions take part, as they come up;
  // there the file is opened with `extra_flags`.
  static Task<Result<std::unique_ptr<FileLanes>>> open(std::shared_ptr<ConnectionPool> pool, std::string path,
                                                       std::uint32_t flags, std::uint32_t extra_flags,
                                                       std::uint64_t size_bytes);
  ~FileLanes();

  // Awaited before pick(), and given back when the answer is there: bytes of one request. On several lanes it waits
  // while all have as much under way as their connections take, so that a lane that comes up later finds work left.
  auto room(std::uint64_t bytes) { return room_.acquire(bytes); }
  void leave(std::uint64_t bytes) { room_.release(bytes); }
  // The lane with the least to do.
  std::shared_ptr<Lane> pick();
  const std::shared_ptr<Lane>& first() const { return lanes_.front(); }
  // Takes all further lanes out, to be closed.
  std::vector<std::shared_ptr<Lane>> take_extra();
  // Leaves a lane that failed alone. The first can't be left.
  void drop(const std::shared_ptr<Lane>& lane);

private:
  FileLanes(std::shared_ptr<ConnectionPool> pool, std::string path, std::uint32_t extra_flags, bool spread);
  void add_lanes();
  static Task<void> open_lane(FileLanes* lanes, std::shared_ptr<Lane> lane, std::string path, std::uint32_t flags);

  std::shared_ptr<ConnectionPool> pool_;
  std::string path_;
  std::uint32_t extra_flags_;
  bool spread_;
  Semaphore room_;                           // bytes
  std::vector<std::shared_ptr<Lane>> lanes_; // the first is open; others may not be yet
};

} // namespace checkvalve
