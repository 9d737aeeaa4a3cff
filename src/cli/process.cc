#include "cli/process.h"

#include <fcntl.h>
#include <malloc.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include <asio/io_context.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <clocale>
#include <csignal>
#include <cstdlib>
#include <filesystem>

#include "cli/settings.h"

namespace checkvalve {
namespace {

pid_t parent_at_start = 0;

// Else the next file that is opened becomes standard output, and is written into. Opened the wrong way round, so that
// using them is still an error.
void keep_standard_descriptors() {
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    if (::fcntl(fd, F_GETFD) < 0) ::open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

} // namespace

void prepare_process() {
  keep_standard_descriptors();
  parent_at_start = ::getppid();
  // glibc gives each thread an arena of its own, and keeps what is freed: with 1 MiB chunks passing from the network's
  // threads to the engine's, that would hold many times the buffers' budget.
  ::mallopt(M_ARENA_MAX, 2);
  ::mallopt(M_TRIM_THRESHOLD, 1 << 20);
  ::mallopt(M_MMAP_THRESHOLD, 4 << 20);
  // Memory holds secrets: no core file. A limit of 1 also keeps programs that core_pattern names from getting one,
  // core(5).
  const rlimit no_core{1, 1};
  ::setrlimit(RLIMIT_CORE, &no_core);
  std::signal(SIGPIPE, SIG_IGN); // a write to a closed pipe is an error like others
  std::setlocale(LC_CTYPE, "");
}

struct ParentWatch::Impl {
  asio::posix::stream_descriptor input;
  std::function<void()> gone;

  void wait() {
    input.async_wait(asio::posix::stream_descriptor::wait_read, [this](const std::error_code& error) {
      if (error) return;
      char ignored[4096];
      const ssize_t got = ::read(input.native_handle(), ignored, sizeof ignored);
      if (got == 0)
        gone();
      else
        wait();
    });
  }
};

ParentWatch::ParentWatch(Loop& loop, bool watch_input, std::function<void()> gone)
    : impl_(std::make_unique<Impl>(asio::posix::stream_descriptor(loop.context()), std::move(gone))) {
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (::getppid() != parent_at_start) impl_->gone(); // before PR_SET_PDEATHSIG was set
  struct stat info{};
  if (!watch_input || ::fstat(STDIN_FILENO, &info) != 0 || !(S_ISFIFO(info.st_mode) || S_ISSOCK(info.st_mode))) return;
  impl_->input.assign(::dup(STDIN_FILENO));
  impl_->wait();
}

ParentWatch::~ParentWatch() = default;

Ticker::Ticker(Loop& loop, std::function<void()> fn) : alarm_(loop), fn_(std::move(fn)) { wait(); }

void Ticker::wait() {
  alarm_.set(std::chrono::steady_clock::now() + std::chrono::milliseconds(100), [this] {
    fn_();
    wait();
  });
}

Result<std::string> state_location(const std::string& given) {
  if (!given.empty()) return given;
  const char* xdg = std::getenv("XDG_STATE_HOME");
  const char* home = std::getenv("HOME");
  std::string directory;
  if (xdg && *xdg)
    directory = std::string(xdg) + "/checkvalve";
  else if (home && *home)
    directory = std::string(home) + "/.local/state/checkvalve";
  else
    return Failure(config_error("--state", "no default location: HOME is not set", "give --state PATH"));
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) {
    Error failure = make_error(ErrorKind::state, "create", directory, error.message());
    failure.hint = "to keep the state elsewhere: --state PATH";
    return Failure(std::move(failure));
  }
  std::filesystem::permissions(directory, std::filesystem::perms::owner_all, error); // it has names of files
  return directory + "/state.db";
}

} // namespace checkvalve
