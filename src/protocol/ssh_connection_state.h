// SshConnectionState: what the engine thread and the thread of an SSH connection share. Thread-safe except where a
// comment names one of the two threads.
#pragma once

#include <sys/eventfd.h>
#include <unistd.h>

#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "core/async.h"
#include "core/chunk.h"
#include "core/result.h"
#include "protocol/transport.h"

namespace checkvalve {

// One state under one lock. The connection's thread holds it too: it may outlive the transport while a name lookup
// blocks it.
class SshConnectionState : public std::enable_shared_from_this<SshConnectionState> {
public:
  explicit SshConnectionState(Loop& engine_loop)
      : before_end(engine_loop), wake_fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)), loop_(&engine_loop) {}
  ~SshConnectionState() {
    ::close(wake_fd_);
    if (socket_ >= 0) ::close(socket_);
  }
  SshConnectionState(const SshConnectionState&) = delete;
  SshConnectionState& operator=(const SshConnectionState&) = delete;
  int wake_fd() const { return wake_fd_; }

  // --- the connection's thread ---
  struct Orders {
    bool stop;        // end at once
    bool say_goodbye; // end once all is sent
    bool inbox_full;  // the engine thread is slow: read nothing
  };
  // What to do next; what is to be sent is moved to the end of `queue`.
  Orders take_orders(std::deque<OutSegment>& queue);
  // Whether the thread may wait for traffic without looking for orders: whoever gives one wakes it. Ended by wake_up().
  bool fall_asleep();
  void wake_up();
  bool stopping();
  // Frames on their way to the receiver.
  void deliver(std::vector<Chunk>& frames, std::size_t bytes);
  // The connection is gone. The receiver hears of it after all frames.
  void end(Error why);
  void post(std::function<void()> fn);
  // Keeps a duplicate: libssh may close its own at any time. -1: forgets it.
  void set_socket(int fd);

  // --- the engine thread ---
  void send(std::vector<OutSegment> segments);
  void stop();        // and makes libssh's blocking calls of a connection that is being made end at once
  void say_goodbye(); // end once all is sent
  // What came before, and the end of the connection if it has come, are reported too. Null: reports to nobody.
  void set_receiver(SftpTransport::Receiver* receiver);
  bool ended();
  // Nothing is posted to the loop after this.
  void leave_loop();

  OneShotEvent opened;
  Timer before_end; // a wait for the end of the connection; the end cuts it short
  std::optional<Result<void>> open_result;
  TransportFacts facts;

private:
  void wake() const {
    const std::uint64_t one = 1;
    [[maybe_unused]] auto ignored = ::write(wake_fd_, &one, sizeof one);
  }
  void post_report_locked();
  void report(); // on the engine thread

  SftpTransport::Receiver* receiver_ = nullptr; // engine thread only
  const int wake_fd_;

  std::mutex mutex_; // of all that follows
  Loop* loop_;       // null once the transport is gone
  std::vector<OutSegment> outgoing_;
  std::vector<Chunk> inbox_;
  std::size_t inbox_bytes_ = 0;
  std::optional<Error> ended_; // why; what is in the inbox came before
  bool report_posted_ = false;
  bool asleep_ = false;
  bool stop_ = false;
  bool say_goodbye_ = false;
  int socket_ = -1; // ours, of the connection that is being made
};

} // namespace checkvalve
