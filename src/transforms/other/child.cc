#include "transforms/other/child.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

#include "core/path.h"
#include "core/program_code.h"
#include "core/units.h"
#include "transforms/transform.h"

namespace checkvalve {
namespace {

constexpr std::size_t kept_errors_bytes = 2'000;

void close_fd(int& fd) {
  if (fd >= 0) ::close(fd);
  fd = -1;
}

// A write to a program that has gone must be an error, not a signal to the whole engine.
ssize_t write_quietly(int fd, const void* data, std::size_t size) {
  sigset_t pipe_signal;
  sigset_t before;
  sigemptyset(&pipe_signal);
  sigaddset(&pipe_signal, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &pipe_signal, &before);
  const ssize_t written = ::write(fd, data, size);
  const int error = errno;
  if (written < 0 && error == EPIPE && !sigismember(&before, SIGPIPE)) {
    const timespec now{};
    sigtimedwait(&pipe_signal, nullptr, &now);
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  errno = error;
  return written;
}

void limit(int resource, std::uint64_t value) {
  if (value == 0) return;
  const rlimit both{value, value};
  ::setrlimit(static_cast<__rlimit_resource>(resource), &both);
}

// After fork, before exec: only calls that are safe in a forked thread (signal-safety(7)).
[[noreturn]] void become(pid_t parent, const ChildSettings& settings, char* const* argv, char* const* environment,
                         int in, int out, int err, int report) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL); // it ends with us, however we end; workers live as long as the engine
  if (::getppid() != parent) ::_exit(127);
  ::dup2(in, 0);
  ::dup2(out, 1);
  ::dup2(err, 2);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  for (const int signal : {SIGPIPE, SIGINT, SIGTERM, SIGHUP}) ::signal(signal, SIG_DFL);
  limit(RLIMIT_AS, settings.memory_bytes);
  limit(RLIMIT_CPU, settings.cpu_seconds);
  limit(RLIMIT_CORE, 1);
  ::dup2(report, 3);
  ::fcntl(3, F_SETFD, FD_CLOEXEC);
  ::syscall(SYS_close_range, 4U, ~0U, 0U);
  ::execvpe(argv[0], argv, environment);
  const int error = errno;
  (void)!::write(3, &error, sizeof error);
  ::_exit(127);
}

std::vector<char*> pointers(const std::vector<std::string>& strings) {
  std::vector<char*> out;
  for (const std::string& s : strings) out.push_back(const_cast<char*>(s.c_str()));
  out.push_back(nullptr);
  return out;
}

struct Pipe {
  int ends[2] = {-1, -1};
  // Away from 0 to 3, which the child moves its own ends to.
  bool open() {
    int raw[2];
    if (::pipe2(raw, O_CLOEXEC) != 0) return false;
    for (int i = 0; i < 2; ++i) {
      ends[i] = ::fcntl(raw[i], F_DUPFD_CLOEXEC, 10);
      ::close(raw[i]);
    }
    return ends[0] >= 0 && ends[1] >= 0;
  }
  ~Pipe() {
    close_fd(ends[0]);
    close_fd(ends[1]);
  }
};

int take(int& fd) {
  ::fcntl(fd, F_SETFL, O_NONBLOCK);
  return std::exchange(fd, -1);
}

Failure cannot_start(const std::string& program, int error_number) {
  auto failure = transform_failure(fmt::format("cannot start {}: {}", program, std::strerror(error_number)));
  failure.error().code = program_code(error_number);
  return failure;
}

} // namespace

Result<std::unique_ptr<Child>> Child::start(const ChildSettings& settings) {
  Pipe in;
  Pipe out;
  Pipe err;
  Pipe report;
  if (!in.open() || !out.open() || !err.open() || !report.open())
    return transform_failure(fmt::format("cannot create a pipe for {}: {}", settings.argv[0], std::strerror(errno)));
  const std::vector<char*> argv = pointers(settings.argv);
  const std::vector<char*> environment = pointers(settings.environment);
  const pid_t parent = ::getpid();
  const pid_t process = ::fork();
  if (process < 0) return cannot_start(settings.argv[0], errno);
  if (process == 0)
    become(parent, settings, argv.data(), environment.data(), in.ends[0], out.ends[1], err.ends[1], report.ends[1]);
  ::setpgid(process, process); // by both, whoever is first
  close_fd(report.ends[1]);
  int error = 0;
  ssize_t received = 0;
  do received = ::read(report.ends[0], &error, sizeof error);
  while (received < 0 && errno == EINTR);
  if (received == sizeof error) {
    ::waitpid(process, nullptr, 0);
    return cannot_start(settings.argv[0], error);
  }
  std::unique_ptr<Child> child(new Child);
  child->timeout_ = settings.timeout;
  child->name_ = settings.argv[0];
  child->process_ = process;
  child->input_ = take(in.ends[1]);
  child->output_ = take(out.ends[0]);
  child->errors_ = take(err.ends[0]);
  return child;
}

Child::~Child() {
  close_fd(input_);
  close_fd(output_);
  close_fd(errors_);
  if (process_ < 0) return;
  ::kill(-process_, SIGKILL);
  while (::waitpid(process_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

Result<void> Child::feed(Chunk& in, Emit& out) {
  while (!in.empty() && !out.full()) {
    if (!takes_input_) { // like head(1): it has seen enough
      in.narrow(in.size(), 0);
      return {};
    }
    CV_CHECK(turn(&in, out));
  }
  return {};
}

Result<bool> Child::finish(Emit& out) {
  close_fd(input_);
  while (output_ >= 0) {
    if (out.full()) return false;
    CV_CHECK(turn(nullptr, out));
  }
  CV_CHECK(wait_for_end());
  return true;
}

Result<void> Child::turn(Chunk* in, Emit& out) {
  pollfd wait[3] = {{in ? input_ : -1, POLLOUT, 0}, {output_, POLLIN, 0}, {errors_, POLLIN, 0}};
  const int ready = ::poll(wait, 3, static_cast<int>(timeout_.count()));
  if (ready == 0)
    return failure(fmt::format("neither read input nor wrote output for timeout={}", format_duration(timeout_)));
  if (wait[2].revents) read_errors();
  if (wait[1].revents) {
    const std::span<std::byte> room = out.room();
    const ssize_t got = ::read(output_, room.data(), room.size());
    if (got > 0) out.advance(static_cast<std::size_t>(got));
    if (got == 0) close_fd(output_);
  }
  if (in && wait[0].revents) {
    const ssize_t written = write_quietly(input_, in->data(), in->size());
    if (written > 0) in->narrow(static_cast<std::size_t>(written), in->size() - static_cast<std::size_t>(written));
    if (written < 0 && errno == EPIPE) takes_input_ = false;
  }
  if (output_ < 0 && takes_input_ && in) takes_input_ = false; // further input could not change the output
  return {};
}

Result<void> Child::wait_for_end() {
  // Its standard error ends with it, or with whatever it has left behind; the group is then ended.
  const int handle = static_cast<int>(::syscall(SYS_pidfd_open, process_, 0U));
  pollfd wait[2] = {{handle, POLLIN, 0}, {errors_, POLLIN, 0}};
  bool ended = handle < 0;
  while (!ended) {
    const int ready = ::poll(wait, 2, static_cast<int>(timeout_.count()));
    if (ready == 0) {
      ::close(handle);
      return failure(fmt::format("closed its output but did not exit within timeout={}", format_duration(timeout_)));
    }
    if (wait[1].revents) {
      read_errors();
      wait[1].fd = errors_;
    }
    ended = wait[0].revents != 0;
  }
  if (handle >= 0) ::close(handle);
  read_errors();
  int status = 0;
  while (::waitpid(process_, &status, 0) < 0 && errno == EINTR) {
  }
  ::kill(-process_, SIGKILL); // what it started and left behind
  process_ = -1;
  if (WIFSIGNALED(status))
    return failure(fmt::format("was killed by signal {} ({})", WTERMSIG(status), ::strsignal(WTERMSIG(status))));
  if (WEXITSTATUS(status) != 0) return failure(fmt::format("exited with code {}", WEXITSTATUS(status)));
  return {};
}

void Child::read_errors() {
  char buffer[4096];
  ssize_t got = 0;
  while (errors_ >= 0 && (got = ::read(errors_, buffer, sizeof buffer)) > 0) {
    stderr_tail_.append(buffer, static_cast<std::size_t>(got));
    if (stderr_tail_.size() > 2 * kept_errors_bytes) stderr_tail_.erase(0, stderr_tail_.size() - kept_errors_bytes);
  }
  if (got == 0) close_fd(errors_);
}

Failure Child::failure(std::string what) {
  read_errors();
  std::string_view said = stderr_tail_;
  if (said.size() > kept_errors_bytes) said.remove_prefix(said.size() - kept_errors_bytes);
  while (said.ends_with('\n')) said.remove_suffix(1);
  return transform_failure(fmt::format("{} {}{}{}", name_, what, said.empty() ? "" : "; stderr: ", escape_bytes(said)));
}

} // namespace checkvalve
