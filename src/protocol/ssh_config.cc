#include "protocol/ssh_config.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <climits>
#include <cstdlib>

#include "protocol/ssh_login.h"

extern char** environ;

namespace checkvalve {
namespace {

// What the program prints; empty if it can't be started, fails, or takes longer: a "Match exec" of ssh_config may run
// anything.
std::string output_of(std::vector<std::string> argv, std::chrono::milliseconds timeout) {
  int pipe_ends[2];
  if (::pipe2(pipe_ends, O_CLOEXEC) != 0) return {};
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, pipe_ends[1], 1);
  posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
  // Ctrl-C at a terminal is for this program to handle.
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
  std::vector<char*> arguments;
  for (std::string& argument : argv) arguments.push_back(argument.data());
  arguments.push_back(nullptr);
  pid_t pid = -1;
  const int failed = ::posix_spawnp(&pid, arguments[0], &actions, &attributes, arguments.data(), environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  ::close(pipe_ends[1]);
  std::string out;
  std::array<char, 4096> buffer{};
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  bool late = false;
  while (failed == 0) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now()).count();
    pollfd wait{pipe_ends[0], POLLIN, 0};
    const int ready = left > 0 ? ::poll(&wait, 1, static_cast<int>(std::min<std::int64_t>(left, INT_MAX))) : 0;
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) {
      late = true;
      ::kill(-pid, SIGKILL); // it leads a group of its own
      break;
    }
    const ssize_t got = ::read(pipe_ends[0], buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    out.append(buffer.data(), static_cast<std::size_t>(got));
  }
  ::close(pipe_ends[0]);
  if (failed != 0) return {};
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return status == 0 && !late ? out : std::string();
}

// The files stand side by side, without quotes, each with its absolute path.
std::vector<std::string> split_paths(std::string_view text) {
  std::vector<std::string> paths;
  while (!text.empty()) {
    const std::size_t next = text.find(" /");
    paths.emplace_back(text.substr(0, next));
    text.remove_prefix(next == text.npos ? text.size() : next + 1);
  }
  return paths;
}

} // namespace

SshConfig parse_ssh_config(std::string_view output) {
  SshConfig config;
  while (!output.empty()) {
    const std::string_view line = output.substr(0, output.find('\n'));
    output.remove_prefix(std::min(line.size() + 1, output.size()));
    const std::size_t space = std::min(line.find(' '), line.size());
    const std::string_view keyword = line.substr(0, space);
    const std::string_view value = line.substr(std::min(space + 1, line.size()));
    if (keyword == "hostkeyalias")
      config.host_key_alias = value;
    else if (keyword == "userknownhostsfile")
      config.known_hosts = split_paths(value);
    else if (keyword == "globalknownhostsfile")
      config.system_known_hosts = split_paths(value);
    else if (keyword == "certificatefile")
      config.has_certificate = config.has_certificate || value != "none";
    else if (keyword == "identitiesonly")
      config.identities_only = value == "yes";
  }
  return config;
}

SshConfig read_ssh_config(const SshOptions& options) {
  if (options.ssh_config == "none") return {};
  std::vector<std::string> argv = {"ssh", "-G"};
  if (!options.ssh_config.empty()) argv.insert(argv.end(), {"-F", options.ssh_config});
  if (options.port != 0) argv.insert(argv.end(), {"-p", std::to_string(options.port)});
  if (!options.user.empty()) argv.insert(argv.end(), {"-l", options.user});
  argv.insert(argv.end(), {"--", options.host});
  return parse_ssh_config(output_of(std::move(argv), options.connect_timeout));
}

Result<SshRoute> find_ssh_route(SshOptions options) {
  SshRoute route{std::move(options), false};
  SshOptions& o = route.options;
  // OpenSSH takes an underscore in a host name, libssh takes only what RFC 952 allows.
  if (o.host.find('_') != o.host.npos) {
    route.by_program = true;
    return route;
  }
  if (o.ssh_config == "none") return route;
  CV_TRY(route.by_program, ssh_config_has_proxy(o));
  if (route.by_program) return route;
  const SshConfig config = read_ssh_config(o);
  o.host_key_alias = config.host_key_alias;
  if (o.known_hosts.empty()) o.known_hosts_files = config.known_hosts;
  if (!config.system_known_hosts.empty()) o.system_known_hosts_files = config.system_known_hosts;
  // What was given with the endpoint comes before ssh_config's keys, and the ssh program takes no secrets.
  const bool own_login = !o.identity.empty() || !o.private_key.empty() || !o.password.empty() || !o.passphrase.empty();
  const bool asks_agent = o.agent && std::getenv("SSH_AUTH_SOCK");
  if (!own_login && (config.has_certificate || (config.identities_only && asks_agent))) route.by_program = true;
  if (config.identities_only) o.agent = false; // of libssh, which would offer all that the agent has
  return route;
}

} // namespace checkvalve
