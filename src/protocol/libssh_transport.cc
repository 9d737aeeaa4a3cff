#include "protocol/libssh_transport.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <libssh/callbacks.h>
#include <libssh/libssh.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "core/async.h"
#include "core/path.h"
#include "protocol/frame_assembler.h"
#include "protocol/ssh_connection_state.h"
#include "protocol/ssh_login.h"

namespace checkvalve {
namespace {

using Clock = std::chrono::steady_clock;

// A hand-over to the engine is made when the socket is dry, or at this many bytes.
constexpr std::size_t hand_over_bytes = 256 * 1024;
// libssh keeps what the socket does not take in a buffer whose cost grows with its size: it gets no more than this.
constexpr std::uint32_t write_slice_bytes = 256 * 1024;
// Requests are gathered up to what one SSH packet of OpenSSH's holds (RFC 4254, section 5.2): a packet for each would
// cost both ends more than the request itself. Longer content is written from where it is.
constexpr std::size_t gathered_bytes = 32 * 1024;
constexpr std::size_t copied_bytes = 24 * 1024;
// libssh grows the receive window to 1.28 MB at most; over a long way that is too little to fill the line.
constexpr std::uint32_t receive_window_bytes = 4 * 1024 * 1024;
constexpr std::chrono::milliseconds goodbye{1000};
constexpr std::chrono::seconds keepalive_interval{20};

// The connection's thread.
class Connection {
public:
  Connection(std::shared_ptr<SshConnectionState> shared, SshOptions options)
      : shared_(std::move(shared)), options_(std::move(options)) {}
  ~Connection();
  void run();

private:
  Result<void> connect();
  Result<SshSession> reach(const std::string& host_key_types); // up to the key exchange
  Result<void> open_channel();
  void receive(const void* data, std::size_t size);
  Error not_sftp() const;
  void prepare_event_loop();
  // Moves packets until the connection ends; why it did.
  Error pump();
  Error ended();
  bool write_outgoing(); // false: the connection is lost
  void gather();         // refills gathered_ and tail_
  bool all_written() const { return queue_.empty() && gathered_.empty() && tail_.empty(); }
  bool write(const char* data, std::size_t size, std::size_t& done);
  void hand_over();
  void grow_receive_window();
  Error lost(std::string why) const;
  static int on_data(ssh_session, ssh_channel, void* data, std::uint32_t size, int is_stderr, void* self);
  static int on_wake(socket_t fd, int events, void* self);

  std::shared_ptr<SshConnectionState> shared_;
  SshOptions options_;
  SshSession session_;
  ssh_channel channel_ = nullptr;
  ssh_event event_ = nullptr;
  ssh_channel_callbacks_struct callbacks_{};
  std::deque<OutSegment> queue_;
  std::string gathered_; // taken from the queue, and written before tail_
  Chunk tail_;
  std::size_t gathered_sent_ = 0;
  std::size_t tail_sent_ = 0;
  FrameAssembler assembler_;
  std::vector<Chunk> batch_;
  std::size_t batch_bytes_ = 0;
  std::size_t received_since_growth_ = receive_window_bytes;
  // Of receive_window_bytes, for grow_receive_window(); its pages are touched only if something is read into it.
  const std::unique_ptr<char[]> scratch_ = std::make_unique_for_overwrite<char[]>(receive_window_bytes);
  std::string stderr_tail_;
  bool stream_broken_ = false;
  bool subsystem_runs_ = false; // the server has said so
};

Connection::~Connection() {
  if (event_) {
    if (session_) ssh_event_remove_session(event_, session_.get());
    ssh_event_remove_fd(event_, shared_->wake_fd());
    ssh_event_free(event_);
  }
  if (channel_) ssh_channel_free(channel_);
}

void Connection::run() {
  Result<void> ready = connect();
  if (ready) ready = open_channel();
  shared_->set_socket(-1);
  const bool opened = ready.has_value();
  shared_->post([shared = shared_, ready = std::move(ready),
                 facts = opened ? ssh_facts(session_.get()) : TransportFacts()]() mutable {
    shared->facts = std::move(facts);
    shared->open_result = std::move(ready);
    shared->opened.set();
  });
  if (!opened) return;
  prepare_event_loop();
  Error why = pump();
  hand_over();
  shared_->end(std::move(why));
}

Result<void> Connection::connect() {
  CV_TRY(session_, reach(""));
  for (const std::string& types : other_host_key_types(session_.get(), options_)) {
    auto other = reach(types);
    if (!other) continue; // the server has no key of the type
    session_ = std::move(*other);
    if (other_host_key_types(session_.get(), options_).empty()) break;
  }
  if (shared_->stopping()) return Failure(lost("the connection was closed"));
  CV_CHECK(check_host_key(session_.get(), options_));
  if (shared_->stopping()) return Failure(lost("the connection was closed"));
  return log_in(session_.get(), options_);
}

Result<SshSession> Connection::reach(const std::string& host_key_types) {
  if (shared_->stopping()) return Failure(lost("the connection was closed"));
  CV_TRY(SshSession session, configure_ssh(options_, host_key_types));
  CV_CHECK(connect_ssh(session.get(), options_,
                       SshCancel{shared_->wake_fd(), [shared = shared_](int fd) { shared->set_socket(fd); }}));
  return session;
}

// The callbacks come before the channel is opened: what a server sends before it is asked, even in one packet with its
// consent to the channel, goes the same way as all else, and nothing piles up in libssh's own buffer.
Result<void> Connection::open_channel() {
  channel_ = ssh_channel_new(session_.get());
  if (!channel_) return Failure(lost("no channel"));
  callbacks_.userdata = this;
  callbacks_.channel_data_function = &Connection::on_data;
  ssh_callbacks_init(&callbacks_);
  ssh_set_channel_callbacks(channel_, &callbacks_);
  if (ssh_channel_open_session(channel_) != SSH_OK) return Failure(lost("no channel"));
  const int answer = ssh_channel_request_sftp(channel_);
  if (answer == SSH_AGAIN)
    return Failure(make_error(ErrorKind::timeout, "connect to", options_.display(),
                              "no answer to the request for the sftp subsystem"));
  if (answer != SSH_OK)
    return Failure(make_error(
        ErrorKind::unsupported, "connect to", options_.display(),
        fmt::format("the server refuses the sftp subsystem: {}", escape_bytes(ssh_get_error(session_.get())))));
  subsystem_runs_ = true;
  return {};
}

void Connection::prepare_event_loop() {
  ssh_set_blocking(session_.get(), 0);
  // libssh reads and writes only after poll has reported that it can, so that EAGAIN does not happen; but a blocking
  // write of a large buffer would keep this thread from reading.
  const int fd = ssh_get_fd(session_.get());
  ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
  event_ = ssh_event_new();
  ssh_event_add_session(event_, session_.get());
  ssh_event_add_fd(event_, shared_->wake_fd(), POLLIN, &Connection::on_wake, this);
}

// A request that is written into a channel which the server has closed fails, too.
Error Connection::ended() {
  const bool channel_over = ssh_channel_is_eof(channel_) || ssh_channel_is_closed(channel_);
  if (!ssh_is_connected(session_.get()) || !channel_over) return lost(escape_bytes(ssh_get_error(session_.get())));
  return lost(stderr_tail_.empty() ? "the server ended the SFTP subsystem"
                                   : "the server ended the SFTP subsystem: " + escape_bytes(stderr_tail_));
}

Error Connection::pump() {
  bool busy = true;
  auto last_traffic = Clock::now();
  for (;;) {
    const SshConnectionState::Orders orders = shared_->take_orders(queue_);
    if (orders.stop) return lost("the connection was closed");
    grow_receive_window();
    if (!write_outgoing()) return ended();
    if (orders.say_goodbye && all_written() && (ssh_get_status(session_.get()) & SSH_WRITE_PENDING) == 0)
      return lost("the connection was closed");
    if (orders.inbox_full) { // leave what comes with the kernel
      pollfd wait{shared_->wake_fd(), POLLIN, 0};
      ::poll(&wait, 1, static_cast<int>(std::chrono::milliseconds(keepalive_interval).count()));
      on_wake(shared_->wake_fd(), 0, this);
      continue;
    }
    int timeout_ms = 0;
    if (!busy) {
      hand_over();
      if (shared_->fall_asleep()) timeout_ms = static_cast<int>(std::chrono::milliseconds(keepalive_interval).count());
    }
    const int rc = ssh_event_dopoll(event_, timeout_ms);
    if (timeout_ms != 0) shared_->wake_up();
    busy = rc == SSH_OK;
    if (rc == SSH_ERROR || !ssh_is_connected(session_.get())) return ended();
    if (stream_broken_) return not_sftp();
    if (ssh_channel_is_eof(channel_) || ssh_channel_is_closed(channel_)) return ended();
    if (batch_bytes_ >= hand_over_bytes) hand_over();
    if (busy) {
      last_traffic = Clock::now();
    } else if (Clock::now() - last_traffic >= keepalive_interval) {
      ssh_send_ignore(session_.get(), "");
      last_traffic = Clock::now();
    }
  }
}

Error Connection::not_sftp() const {
  return make_error(
      ErrorKind::protocol, "talk to", options_.display(),
      fmt::format("the server does not speak SFTP: {}. (Does its login shell print text?)", assembler_.fault()));
}

Error Connection::lost(std::string why) const {
  if (why.empty()) why = "the connection was lost";
  return make_error(ErrorKind::connection, "talk to", options_.display(), std::move(why));
}

int Connection::on_wake(socket_t, int, void* user) {
  std::uint64_t count = 0;
  [[maybe_unused]] auto ignored = ::read(static_cast<Connection*>(user)->shared_->wake_fd(), &count, sizeof count);
  return 0;
}

int Connection::on_data(ssh_session, ssh_channel, void* data, std::uint32_t size, int is_stderr, void* user) {
  auto* self = static_cast<Connection*>(user);
  constexpr std::size_t kept_stderr_bytes = 4096;
  if (is_stderr) {
    self->stderr_tail_.append(static_cast<const char*>(data), size);
    if (self->stderr_tail_.size() > kept_stderr_bytes)
      self->stderr_tail_.erase(0, self->stderr_tail_.size() - kept_stderr_bytes);
    return static_cast<int>(size);
  }
  self->receive(data, size);
  return static_cast<int>(size);
}

void Connection::receive(const void* data, std::size_t size) {
  received_since_growth_ += size;
  const std::size_t before = batch_.size();
  if (!assembler_.feed({static_cast<const std::byte*>(data), size}, batch_)) stream_broken_ = true;
  for (std::size_t i = before; i < batch_.size(); ++i) batch_bytes_ += batch_[i].size();
  // While libssh waits for the server's consent to the subsystem nothing else bounds what is kept.
  if (!subsystem_runs_ && batch_bytes_ > inbox_limit_bytes) shared_->stop();
}

// A read of more bytes than the window holds makes libssh announce a window of that size. It has nothing to read, as
// on_data takes all bytes when they come; if it has, they are taken from here.
void Connection::grow_receive_window() {
  if (received_since_growth_ < receive_window_bytes / 2) return;
  received_since_growth_ = 0;
  const int count = ssh_channel_read_timeout(channel_, scratch_.get(), receive_window_bytes, 0, 0);
  if (count > 0) receive(scratch_.get(), static_cast<std::size_t>(count));
}

void Connection::hand_over() {
  if (batch_.empty()) return;
  shared_->deliver(batch_, batch_bytes_);
  batch_.clear();
  batch_bytes_ = 0;
}

bool Connection::write_outgoing() {
  for (std::size_t slice = 0; slice < write_slice_bytes;) {
    if (gathered_.empty() && tail_.empty()) gather();
    if (gathered_.empty() && tail_.empty()) return true;
    if (ssh_get_status(session_.get()) & SSH_WRITE_PENDING) return true;
    const std::size_t before = gathered_sent_ + tail_sent_;
    if (!write(gathered_.data(), gathered_.size(), gathered_sent_)) return false;
    if (gathered_sent_ < gathered_.size()) return true;
    if (!write(reinterpret_cast<const char*>(tail_.data()), tail_.size(), tail_sent_)) return false;
    if (tail_sent_ < tail_.size()) return true;
    slice += gathered_sent_ + tail_sent_ - before;
    gathered_.clear();
    tail_ = Chunk();
    gathered_sent_ = tail_sent_ = 0;
  }
  return true;
}

void Connection::gather() {
  while (!queue_.empty() && tail_.empty()) {
    OutSegment& front = queue_.front();
    const bool copied = front.tail.size() <= copied_bytes;
    const std::size_t size = front.head.size() + (copied ? front.tail.size() : 0);
    if (!gathered_.empty() && gathered_.size() + size > gathered_bytes) return;
    gathered_ += front.head;
    if (copied)
      gathered_.append(reinterpret_cast<const char*>(front.tail.data()), front.tail.size());
    else
      tail_ = std::move(front.tail);
    queue_.pop_front();
  }
}

// Writes from `done` on as much as the channel's window takes now, and counts it in `done`.
bool Connection::write(const char* data, std::size_t size, std::size_t& done) {
  while (done < size) {
    const std::uint32_t window = ssh_channel_window_size(channel_);
    const auto count = static_cast<std::uint32_t>(std::min<std::size_t>({size - done, window, write_slice_bytes}));
    if (count == 0) return true;
    const int written = ssh_channel_write(channel_, data + done, count);
    if (written < 0) return false;
    if (written == 0) return true; // a key exchange is under way
    done += static_cast<std::size_t>(written);
    if (ssh_get_status(session_.get()) & SSH_WRITE_PENDING) return true;
  }
  return true;
}

// The threads of connections. Nobody waits for one while the program runs: a name lookup may hold it up. At the end of
// the program they get a moment, since what libssh uses is taken down then.
class ConnectionThreads {
public:
  static ConnectionThreads& all() {
    static auto* const threads = [] {
      std::atexit([] { all().wait(); });
      return new ConnectionThreads; // never destroyed: a thread may be late
    }();
    return *threads;
  }
  void begun() {
    std::lock_guard lock(mutex_);
    ++running_;
  }
  void ended() {
    std::lock_guard lock(mutex_);
    if (--running_ == 0) none_.notify_all();
  }

private:
  void wait() {
    std::unique_lock lock(mutex_);
    none_.wait_for(lock, goodbye, [this] { return running_ == 0; });
  }
  std::mutex mutex_;
  std::condition_variable none_;
  std::size_t running_ = 0;
};

class LibsshTransport : public SftpTransport {
public:
  LibsshTransport(Loop& loop, SshOptions options)
      : shared_(std::make_shared<SshConnectionState>(loop)), options_(std::move(options)) {}
  ~LibsshTransport() override;
  Task<Result<void>> open() override;
  void start(Receiver& receiver) override { shared_->set_receiver(&receiver); }
  void send(std::vector<OutSegment> segments) override { shared_->send(std::move(segments)); }
  void cancel() override { shared_->stop(); }
  void shutdown() override;
  Task<void> close() override;
  TransportFacts facts() const override { return shared_->facts; }

private:
  std::shared_ptr<SshConnectionState> shared_;
  SshOptions options_;
  bool started_ = false;
};

Task<Result<void>> LibsshTransport::open() {
  started_ = true;
  auto shared = shared_;
  ConnectionThreads::all().begun();
  // Signals belong to the engine thread: this one is started with all of them blocked.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  std::thread([shared, options = std::move(options_)]() mutable {
    {
      Connection connection(shared, std::move(options));
      connection.run();
    }
    shared.reset();
    ConnectionThreads::all().ended();
  }).detach();
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  co_await shared->opened;
  co_return std::move(*shared->open_result);
}

void LibsshTransport::shutdown() {
  shared_->set_receiver(nullptr);
  shared_->stop();
}

Task<void> LibsshTransport::close() {
  shared_->set_receiver(nullptr);
  if (!started_) co_return;
  shared_->say_goodbye();
  if (!shared_->ended()) co_await shared_->before_end.wait(goodbye);
  shutdown();
}

LibsshTransport::~LibsshTransport() {
  shutdown();
  shared_->leave_loop();
}

} // namespace

std::unique_ptr<SftpTransport> make_libssh_transport(Loop& loop, SshOptions options) {
  return std::make_unique<LibsshTransport>(loop, std::move(options));
}

} // namespace checkvalve
