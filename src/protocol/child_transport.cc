#include "protocol/child_transport.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <asio/local/stream_protocol.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <asio/write.hpp>
#include <cstring>
#include <deque>

#include "core/async.h"
#include "core/path.h"
#include "core/program_code.h"
#include "core/unique_fd.h"
#include "protocol/frame_assembler.h"
#include "protocol/host_key.h"

extern char** environ;

namespace checkvalve {
namespace {

using asio::local::stream_protocol;
using std::chrono::milliseconds;

constexpr std::size_t read_buffer_bytes = 256 * 1024;
constexpr int socket_buffer_bytes = 1024 * 1024;
constexpr std::size_t kept_stderr_bytes = 4096;
constexpr milliseconds goodbye{1000};

// One end of a socket pair is the child's standard input and output. A socket and not two pipes, because writing to a
// child that is gone must be an error and not SIGPIPE.
class Child : public std::enable_shared_from_this<Child> {
public:
  Child(Loop& loop, std::vector<std::string> argv, std::string peer)
      : argv_(std::move(argv)), peer_(std::move(peer)), socket_(loop.context()), stderr_(loop.context()),
        process_(loop.context()), before_stderr_ends_(loop), before_kill_(loop) {}
  ~Child() { kill_and_reap(); }

  Result<void> spawn();
  void start(SftpTransport::Receiver& receiver) {
    receiver_ = &receiver;
    read_packets();
  }
  void send(std::vector<OutSegment> segments) {
    for (auto& segment : segments) queue_.push_back(std::move(segment));
    if (!writing_ && receiver_) write_queue();
  }
  void cancel() {
    std::error_code ignored;
    socket_.shutdown(stream_protocol::socket::shutdown_both, ignored);
  }
  void shutdown() {
    receiver_ = nullptr;
    std::error_code ignored;
    socket_.close(ignored);
    stderr_.close(ignored);
    if (pid_ <= 0) return;
    ::kill(-pid_, SIGTERM);
    if (Loop::current()) detach(reap(shared_from_this()));
  }
  Task<void> close() {
    receiver_ = nullptr;
    std::error_code ignored;
    socket_.shutdown(stream_protocol::socket::shutdown_both, ignored);
    co_await reap(shared_from_this());
    socket_.close(ignored);
    stderr_.close(ignored);
  }

private:
  void read_packets();
  void read_stderr();
  void write_queue();
  void connection_ended(std::string why);
  static Task<void> report_end(std::shared_ptr<Child> self, std::string why);
  static Task<void> reap(std::shared_ptr<Child> self);
  static Task<void> kill_later(std::shared_ptr<Child> self);
  void watch_process();
  bool try_reap();
  void kill_and_reap();
  Error end_error(std::string why) const;

  std::vector<std::string> argv_;
  std::string peer_;
  stream_protocol::socket socket_;
  asio::posix::stream_descriptor stderr_;
  asio::posix::stream_descriptor process_; // pidfd_open(2): readable once the child has ended
  pid_t pid_ = -1;
  int exit_status_ = 0;
  SftpTransport::Receiver* receiver_ = nullptr;
  std::vector<std::byte> buffer_;
  FrameAssembler assembler_;
  std::deque<OutSegment> queue_;
  std::vector<OutSegment> sending_;
  bool writing_ = false;
  bool ended_ = false;
  std::array<char, 1024> stderr_buffer_;
  std::string stderr_tail_;
  bool stderr_done_ = false;
  Timer before_stderr_ends_;
  Timer before_kill_;
  bool reaping_ = false;
  OneShotEvent reaped_;
};

Result<void> Child::spawn() {
  int pair[2];
  int pipe_ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
    return Failure(errno_error(errno, "start", argv_[0]));
  UniqueFd ours(pair[0]);
  const UniqueFd theirs(pair[1]);
  if (::pipe2(pipe_ends, O_CLOEXEC) != 0) return Failure(errno_error(errno, "start", argv_[0]));
  UniqueFd errors(pipe_ends[0]);
  const UniqueFd their_errors(pipe_ends[1]);
  for (const int fd : {ours.get(), theirs.get()})
    ::setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &socket_buffer_bytes, sizeof socket_buffer_bytes);

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, theirs.get(), 0);
  posix_spawn_file_actions_adddup2(&actions, theirs.get(), 1);
  posix_spawn_file_actions_adddup2(&actions, their_errors.get(), 2);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigset_t all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  std::vector<char*> arguments;
  for (auto& argument : argv_) arguments.push_back(argument.data());
  arguments.push_back(nullptr);
  const int failed = ::posix_spawnp(&pid_, arguments[0], &actions, &attributes, arguments.data(), environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  if (failed != 0) {
    pid_ = -1;
    return Failure(make_error(ErrorKind::config, "start", escape_bytes(argv_[0]), std::strerror(failed))
                       .with_code(program_code(failed)));
  }
  socket_.assign(stream_protocol(), ours.release());
  stderr_.assign(errors.release());
  buffer_.resize(read_buffer_bytes);
  read_stderr();
  watch_process();
  return {};
}

// Where the kernel has no pidfd_open(2), reap() waits until its deadline.
void Child::watch_process() {
  const int fd = static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0));
  if (fd < 0) return;
  process_.assign(fd);
  process_.async_wait(asio::posix::stream_descriptor::wait_read,
                      [weak = weak_from_this()](const std::error_code& error) {
                        if (const auto self = weak.lock(); self && !error) self->try_reap();
                      });
}

void Child::read_packets() {
  socket_.async_read_some(asio::buffer(buffer_),
                          [self = shared_from_this()](const std::error_code& error, std::size_t size) {
                            if (!self->receiver_) return;
                            if (error) return self->connection_ended("the command closed the connection");
                            std::vector<Chunk> frames;
                            const bool sound = self->assembler_.feed({self->buffer_.data(), size}, frames);
                            if (!frames.empty()) self->receiver_->on_frames(std::move(frames));
                            if (!self->receiver_) return; // the receiver has shut us down
                            if (!sound) return self->connection_ended("protocol error: " + self->assembler_.fault());
                            self->read_packets();
                          });
}

void Child::read_stderr() {
  stderr_.async_read_some(asio::buffer(stderr_buffer_),
                          [self = shared_from_this()](const std::error_code& error, std::size_t size) {
                            if (error) {
                              self->stderr_done_ = true;
                              return self->before_stderr_ends_.cancel();
                            }
                            self->stderr_tail_.append(self->stderr_buffer_.data(), size);
                            if (self->stderr_tail_.size() > kept_stderr_bytes)
                              self->stderr_tail_.erase(0, self->stderr_tail_.size() - kept_stderr_bytes);
                            self->read_stderr();
                          });
}

void Child::write_queue() {
  if (queue_.empty() || ended_) return;
  writing_ = true;
  sending_.assign(std::make_move_iterator(queue_.begin()), std::make_move_iterator(queue_.end()));
  queue_.clear();
  std::vector<asio::const_buffer> buffers;
  for (const auto& segment : sending_) {
    buffers.push_back(asio::buffer(segment.head));
    if (!segment.tail.empty()) buffers.push_back(asio::buffer(segment.tail.data(), segment.tail.size()));
  }
  asio::async_write(socket_, buffers, [self = shared_from_this()](const std::error_code& error, std::size_t) {
    self->writing_ = false;
    self->sending_.clear();
    // The reading side reports a lost child: what it still had to say comes first.
    if (!error && self->receiver_) self->write_queue();
  });
}

void Child::connection_ended(std::string why) {
  if (std::exchange(ended_, true)) return;
  detach(report_end(shared_from_this(), std::move(why)));
}

// The reason is on the child's standard error: waits for its end before it reports.
Task<void> Child::report_end(std::shared_ptr<Child> self, std::string why) {
  std::error_code ignored;
  self->socket_.shutdown(stream_protocol::socket::shutdown_both, ignored);
  if (!self->stderr_done_) co_await self->before_stderr_ends_.wait(goodbye);
  co_await reap(self);
  if (auto* receiver = std::exchange(self->receiver_, nullptr)) receiver->on_closed(self->end_error(std::move(why)));
}

Error Child::end_error(std::string why) const {
  std::string_view said = stderr_tail_;
  while (!said.empty() && (said.back() == '\n' || said.back() == '\r')) said.remove_suffix(1);
  const auto has = [&](std::string_view text) { return said.find(text) != said.npos; };
  ErrorKind kind = ErrorKind::connection;
  if (why.starts_with("protocol error")) kind = ErrorKind::protocol;
  // What OpenSSH's client says, in any language of the server's.
  const bool key_changed = has("REMOTE HOST IDENTIFICATION HAS CHANGED");
  if (has("Permission denied (") || has("Too many authentication failures")) kind = ErrorKind::auth;
  if (WIFEXITED(exit_status_) && WEXITSTATUS(exit_status_) != 0)
    why += fmt::format(" (exit code {})", WEXITSTATUS(exit_status_));
  if (WIFSIGNALED(exit_status_)) why += fmt::format(" (signal {})", WTERMSIG(exit_status_));
  if (!said.empty()) why += fmt::format(": {}", escape_bytes(said));
  if (key_changed) return changed_host_key(peer_, std::move(why));
  if (has("Host key verification failed")) return unknown_host_key(peer_, std::move(why));
  return make_error(kind, "connect to", peer_, std::move(why));
}

bool Child::try_reap() {
  if (pid_ <= 0) return true;
  const pid_t got = ::waitpid(pid_, &exit_status_, WNOHANG);
  if (got == 0) return false;
  pid_ = -1;
  before_kill_.cancel();
  reaped_.set();
  return true;
}

Task<void> Child::reap(std::shared_ptr<Child> self) {
  if (self->try_reap()) co_return;
  if (!std::exchange(self->reaping_, true)) detach(kill_later(self));
  co_await self->reaped_;
}

Task<void> Child::kill_later(std::shared_ptr<Child> self) {
  co_await self->before_kill_.wait(goodbye);
  if (!self->try_reap()) self->kill_and_reap();
}

void Child::kill_and_reap() {
  if (pid_ <= 0) return;
  ::kill(-pid_, SIGKILL);
  while (::waitpid(pid_, &exit_status_, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
  reaped_.set();
}

class ChildTransport : public SftpTransport {
public:
  ChildTransport(Loop& loop, std::vector<std::string> argv, std::string peer) : program_(argv.at(0)) {
    child_ = std::make_shared<Child>(loop, std::move(argv), std::move(peer));
  }
  ~ChildTransport() override { child_->shutdown(); }
  Task<Result<void>> open() override { co_return child_->spawn(); }
  void start(Receiver& receiver) override { child_->start(receiver); }
  void send(std::vector<OutSegment> segments) override { child_->send(std::move(segments)); }
  void cancel() override { child_->cancel(); }
  void shutdown() override { child_->shutdown(); }
  Task<void> close() override { co_await child_->close(); }
  TransportFacts facts() const override { return {{"transport", program_}}; }

private:
  std::string program_;
  std::shared_ptr<Child> child_;
};

// A known_hosts file with one line, for the life of the connection.
class PinnedKeyFile {
public:
  static Result<std::shared_ptr<PinnedKeyFile>> make(const std::string& line) {
    const char* directory = std::getenv("TMPDIR");
    std::string path = std::string(directory ? directory : "/tmp") + "/checkvalve-host-key-XXXXXX";
    const UniqueFd file(::mkostemp(path.data(), O_CLOEXEC));
    if (!file) return Failure(errno_error(errno, "create", path));
    auto made = std::shared_ptr<PinnedKeyFile>(new PinnedKeyFile(path));
    if (::write(file.get(), line.data(), line.size()) != static_cast<ssize_t>(line.size()))
      return Failure(errno_error(errno, "write", path));
    return made;
  }
  ~PinnedKeyFile() { ::unlink(path_.c_str()); }
  const std::string& path() const { return path_; }

private:
  explicit PinnedKeyFile(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

class PinnedChildTransport : public ChildTransport {
public:
  PinnedChildTransport(Loop& loop, std::vector<std::string> argv, std::string peer, std::shared_ptr<PinnedKeyFile> file)
      : ChildTransport(loop, std::move(argv), std::move(peer)), file_(std::move(file)) {}

private:
  std::shared_ptr<PinnedKeyFile> file_;
};

} // namespace

std::unique_ptr<SftpTransport> make_child_transport(Loop& loop, std::vector<std::string> argv, std::string peer) {
  return std::make_unique<ChildTransport>(loop, std::move(argv), std::move(peer));
}

namespace {

// An option whose value is a file's name, as ssh_config(5) reads it: quoted, since it splits at spaces, with '%'
// doubled, since it expands tokens.
std::string ssh_file_option(std::string_view name, std::string_view path) {
  std::string out = fmt::format("-o{}=\"", name);
  for (const char c : path) {
    if (c == '"' || c == '\\') out += '\\';
    if (c == '%') out += '%';
    out += c;
  }
  return out += '"';
}

} // namespace

Result<std::unique_ptr<SftpTransport>> make_ssh_command_transport(Loop& loop, const SshOptions& o) {
  const auto refuse = [&](std::string_view what) {
    return Failure(
        make_error(ErrorKind::config, "connect to", o.display(),
                   fmt::format("{} can't be used when the connection is made by the ssh program (transport=ssh, a "
                               "ProxyJump or ProxyCommand in ssh_config, or '_' in the host name); use the agent or "
                               "an identity",
                               what)));
  };
  if (!o.password.empty()) return refuse("a password");
  if (!o.passphrase.empty()) return refuse("a passphrase");
  if (!o.private_key.empty()) return refuse("the text of a private key");
  if (!o.host_key_fingerprint.empty()) return refuse("host_key_fingerprint");

  const auto seconds = std::max<std::int64_t>(1, o.connect_timeout.count() / 1000);
  std::vector<std::string> argv = {"ssh",
                                   "-oBatchMode=yes",
                                   fmt::format("-oConnectTimeout={}", seconds),
                                   "-oServerAliveInterval=15",
                                   "-oServerAliveCountMax=4",
                                   "-oForwardAgent=no",
                                   "-oForwardX11=no",
                                   "-oPermitLocalCommand=no",
                                   "-oClearAllForwardings=yes",
                                   "-oRequestTTY=no"};
  std::shared_ptr<PinnedKeyFile> pinned;
  if (!o.ssh_config.empty()) argv.insert(argv.end(), {"-F", o.ssh_config});
  if (!o.host_key.empty()) {
    CV_TRY(pinned, PinnedKeyFile::make("checkvalve " + o.host_key + "\n"));
    argv.insert(argv.end(), {ssh_file_option("UserKnownHostsFile", pinned->path()), "-oGlobalKnownHostsFile=/dev/null",
                             "-oHostKeyAlias=checkvalve", "-oStrictHostKeyChecking=yes"});
  } else if (!o.check_host_key) {
    argv.insert(argv.end(), {"-oUserKnownHostsFile=/dev/null", "-oStrictHostKeyChecking=no", "-oLogLevel=ERROR"});
  } else {
    if (!o.known_hosts.empty()) argv.push_back(ssh_file_option("UserKnownHostsFile", o.known_hosts));
    argv.push_back("-oStrictHostKeyChecking=yes");
  }
  // Else ssh offers the agent's other keys before a file that the agent does not have.
  if (!o.identity.empty()) argv.insert(argv.end(), {"-i", o.identity, "-oIdentitiesOnly=yes"});
  if (!o.certificate.empty()) argv.push_back(ssh_file_option("CertificateFile", o.certificate));
  if (!o.agent) argv.push_back("-oIdentityAgent=none");
  if (!o.ciphers.empty()) argv.push_back("-oCiphers=" + o.ciphers);
  if (o.port != 0) argv.insert(argv.end(), {"-p", std::to_string(o.port)});
  if (!o.user.empty()) argv.insert(argv.end(), {"-l", o.user});
  argv.insert(argv.end(), {"-s", "--", o.host, "sftp"});
  if (pinned) return std::make_unique<PinnedChildTransport>(loop, std::move(argv), o.display(), std::move(pinned));
  return make_child_transport(loop, std::move(argv), o.display());
}

} // namespace checkvalve
