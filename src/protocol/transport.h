// SftpTransport: carries whole SFTP packets to a server and back. Implementations: libssh in this process
// (libssh_transport.h), and a child process whose standard input and output carry the packets (child_transport.h).
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/chunk.h"
#include "core/result.h"
#include "core/task.h"

namespace checkvalve {

// Bytes on their way out: `head` holds any number of packets, the last of which may end in `tail`, so that the payload
// of a large WRITE is not copied.
struct OutSegment {
  std::string head;
  Chunk tail;
};

// What the transport knows of itself once it is open, for people: ("server", "SSH-2.0-OpenSSH_9.2p1"), ("cipher", …).
using TransportFacts = std::vector<std::pair<std::string, std::string>>;

// All calls are made on the engine thread, and only send() is made while another is under way.
class SftpTransport {
public:
  // Called on the engine thread.
  class Receiver {
  public:
    virtual ~Receiver() = default;
    // Packets without their length words (frame_assembler.h), in the order in which they came.
    virtual void on_frames(std::vector<Chunk> frames) = 0;
    // The connection is gone: the last call. `error` is temporary unless a new connection would fail the same way.
    virtual void on_closed(Error error) = 0;
  };

  virtual ~SftpTransport() = default; // as shutdown(); never waits

  // Connects and logs in. Errors: auth, host_key, connection, timeout, config. Called once.
  virtual Task<Result<void>> open() = 0;
  // After open(): calls the receiver from the next turn of the loop on, beginning with what came since open(), the end
  // of the connection included. It must outlive the transport or its shutdown().
  virtual void start(Receiver& receiver) = 0;
  // Queues bytes behind those of earlier calls. Never blocks.
  virtual void send(std::vector<OutSegment> segments) = 0;
  // Ends the connection, or the making of it, at once: open() fails, or the receiver is notified.
  virtual void cancel() = 0;
  // Ends the connection at once; the receiver hears nothing more.
  virtual void shutdown() = 0;
  // Says goodbye and ends the connection; waits for the other side at most a second. The receiver hears nothing more.
  virtual Task<void> close() = 0;
  virtual TransportFacts facts() const = 0;
};

// An inbox over this many bytes stops the transport from reading until the engine thread has taken it.
inline constexpr std::size_t inbox_limit_bytes = 16 * 1024 * 1024;

} // namespace checkvalve
