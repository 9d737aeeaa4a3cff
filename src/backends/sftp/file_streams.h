// FileStreams: one remote file, open on one session or, if it is large and the way is long, on several. Engine thread
// only.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "backends/sftp/connection_pool.h"
#include "core/async.h"

namespace checkvalve {

// A handle on the file on one session.
struct FileStream {
  explicit FileStream(std::shared_ptr<SftpSession> on) : session(std::move(on)) {}
  FileStream(const FileStream&) = delete;
  FileStream& operator=(const FileStream&) = delete;
  ~FileStream(); // closes the handle without waiting

  std::shared_ptr<SftpSession> session;
  Semaphore::Permit permit;    // of the session's handles, while the handle is open
  std::string handle;          // empty: not open yet, or closed
  std::uint32_t under_way = 0; // requests
  bool dropped = false;        // nobody wants it any more
};

// For an OPEN or OPENDIR that a server refused: too_many_open_files, a transient error, where that may be the reason.
Error explain_open(const SftpSession& session, Error error);

class FileStreams {
public:
  struct Open {
    std::string path;
    std::uint32_t flags = 0;
    std::uint64_t size_bytes = 0; // decides, with `parallel`, whether further sessions take part, as they come up
    bool parallel = true;
    std::uint32_t extra_flags = flags; // to open the file there
  };
  // Opens the file on the pool's first session.
  static Task<Result<std::unique_ptr<FileStreams>>> open(std::shared_ptr<ConnectionPool> pool, Open open);
  ~FileStreams();

  // A permit for the bytes of one request, taken before pick() and kept until the answer is there. On several streams
  // it waits while all have as much under way as their connections take, so that a stream that comes up later finds
  // work left.
  auto room(std::uint64_t bytes) { return room_.acquire(bytes); }
  // The stream with the least to do.
  std::shared_ptr<FileStream> pick();
  const std::shared_ptr<FileStream>& first() const { return streams_.front(); }
  // Whether further streams have taken part.
  bool several() const { return several_; }
  // Takes all further streams out, to be closed.
  std::vector<std::shared_ptr<FileStream>> take_extra();
  // Leaves a stream that failed alone. The first can't be left.
  void drop(const std::shared_ptr<FileStream>& stream);

private:
  FileStreams(std::shared_ptr<ConnectionPool> pool, std::string path, std::uint32_t extra_flags, bool spread);
  void add_streams();
  static Task<void> open_stream(FileStreams* streams, std::shared_ptr<FileStream> stream, std::string path,
                                std::uint32_t flags);

  std::shared_ptr<ConnectionPool> pool_;
  std::string path_;
  std::uint32_t extra_flags_;
  bool spread_;
  bool several_ = false;
  Semaphore room_;                                   // bytes
  std::vector<std::shared_ptr<FileStream>> streams_; // the first is open; others may not be yet
};

} // namespace checkvalve
