#include "support/sshd.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <netinet/in.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <stdexcept>

extern char** environ;

namespace checkvalve::testing_support {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::seconds start_timeout{20};

std::string first_existing(std::initializer_list<const char*> paths) {
  for (const char* path : paths)
    if (fs::exists(path)) return path;
  return {};
}

pid_t spawn(std::vector<std::string> argv, const std::string& output) {
  std::vector<char*> arguments;
  for (auto& argument : argv) arguments.push_back(argument.data());
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 1, output.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  posix_spawn_file_actions_adddup2(&actions, 1, 2);
  pid_t pid = -1;
  const int failed = ::posix_spawnp(&pid, arguments[0], &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (failed != 0) throw std::runtime_error(fmt::format("can't start {}: {}", argv[0], std::strerror(failed)));
  return pid;
}

void make_key(const std::string& path) {
  int status = 0;
  ::waitpid(spawn({"ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", path}, path + ".log"), &status, 0);
  if (status != 0) throw std::runtime_error("ssh-keygen failed");
}

std::string read_text(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

std::uint16_t free_port() {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = loopback(0);
  socklen_t size = sizeof address;
  ::bind(fd, reinterpret_cast<sockaddr*>(&address), size);
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  ::close(fd);
  return ntohs(address.sin_port);
}

bool accepts(std::uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = loopback(port);
  const bool up = ::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  ::close(fd);
  return up;
}

// The processes that descend from `pid`: a server forks one or two a connection, which outlive it.
std::set<pid_t> descendants(pid_t pid) {
  std::set<pid_t> found;
  for (bool more = true; more;) {
    more = false;
    for (const auto& entry : fs::directory_iterator("/proc")) {
      const std::string name = entry.path().filename();
      if (name.find_first_not_of("0123456789") != name.npos) continue;
      const std::string stat = read_text(entry.path() / "stat");
      const auto end = stat.rfind(')');
      if (end == stat.npos) continue;
      const pid_t parent = static_cast<pid_t>(std::strtol(stat.c_str() + end + 4, nullptr, 10));
      if ((parent == pid || found.contains(parent)) && found.insert(static_cast<pid_t>(std::stol(name))).second) more = true;
    }
  }
  return found;
}

} // namespace

std::string sftp_server_program() {
  return first_existing({"/usr/lib/openssh/sftp-server", "/usr/libexec/openssh/sftp-server", "/usr/libexec/sftp-server"});
}

std::unique_ptr<Sshd> Sshd::start(Options options) {
  std::string pattern = (fs::temp_directory_path() / "checkvalve-sshd-XXXXXX").string();
  if (!::mkdtemp(pattern.data())) throw std::runtime_error("can't make a directory for sshd");
  std::unique_ptr<Sshd> sshd(new Sshd(pattern));
  make_key(pattern + "/host_key");
  make_key(pattern + "/user_key");
  fs::copy_file(pattern + "/user_key.pub", pattern + "/authorized_keys");
  // Privilege separation, which only root's sshd does, wants this directory.
  if (::geteuid() == 0) fs::create_directories("/run/sshd");
  sshd->port_ = free_port();
  std::ofstream config(pattern + "/sshd_config");
  config << fmt::format("ListenAddress 127.0.0.1:{}\nHostKey {}/host_key\nAuthorizedKeysFile {}/authorized_keys\n", sshd->port_,
                        pattern, pattern)
         << "StrictModes no\nUsePAM no\nPidFile none\nPasswordAuthentication no\nPermitRootLogin yes\nLogLevel VERBOSE\n"
         << "MaxStartups 100\n"
         << fmt::format("Subsystem sftp {}\n", options.subsystem);
  for (const auto& line : options.config) config << line << "\n";
  config.close();
  std::ofstream(pattern + "/known_hosts") << fmt::format("[127.0.0.1]:{} {}\n", sshd->port_, sshd->host_key());
  sshd->restart();
  return sshd;
}

void Sshd::restart() {
  const std::string program = first_existing({"/usr/sbin/sshd", "/usr/local/sbin/sshd"});
  if (program.empty()) throw std::runtime_error("there is no sshd: install openssh-server");
  pid_ = spawn({program, "-D", "-e", "-f", directory_ + "/sshd_config"}, directory_ + "/log");
  const auto deadline = std::chrono::steady_clock::now() + start_timeout;
  while (!accepts(port_)) {
    if (::waitpid(pid_, nullptr, WNOHANG) != 0 || std::chrono::steady_clock::now() > deadline) {
      pid_ = -1;
      throw std::runtime_error("sshd did not start: " + read_text(directory_ + "/log"));
    }
    ::poll(nullptr, 0, 10);
  }
}

void Sshd::stop() {
  if (pid_ <= 0) return;
  auto all = descendants(pid_);
  ::kill(pid_, SIGTERM);
  for (pid_t pid : all) ::kill(pid, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

Sshd::~Sshd() {
  stop();
  std::error_code ignored;
  fs::remove_all(directory_, ignored);
}

std::string Sshd::host_key() const {
  std::istringstream line(read_text(directory_ + "/host_key.pub"));
  std::string type;
  std::string key;
  line >> type >> key;
  return type + " " + key;
}

Endpoint Sshd::endpoint(const std::string& root) const {
  Endpoint endpoint;
  endpoint.scheme = "sftp";
  endpoint.host = "127.0.0.1";
  endpoint.port = port_;
  endpoint.user = ::getpwuid(::geteuid())->pw_name;
  endpoint.root = root;
  endpoint.options = {{"identity", identity()}, {"known_hosts", known_hosts()}, {"ssh_config", "none"}, {"agent", "no"}};
  return endpoint;
}

} // namespace checkvalve::testing_support
