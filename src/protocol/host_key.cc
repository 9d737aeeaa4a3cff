#include "protocol/host_key.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <libssh/libssh.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "protocol/ssh_config.h"
#include "protocol/ssh_login.h"

namespace checkvalve {
namespace {

namespace fs = std::filesystem;

Failure host_key_failure(const std::string& peer, std::string message) {
  return Failure(make_error(ErrorKind::host_key, "trust", peer, std::move(message)));
}

bool ends_without_newline(const std::string& path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file || file.tellg() <= 0) return false;
  file.seekg(-1, std::ios::end);
  return file.get() != '\n';
}

} // namespace

Error unknown_host_key(const std::string& peer, std::string message) {
  return make_error(ErrorKind::host_key, "connect to", peer, std::move(message))
      .with_code(ErrorCode::host_key_unknown)
      .with_hint("compare the fingerprint with one from the server's owner: checkvalve trust sftp://" + peer);
}

Error changed_host_key(const std::string& peer, std::string message) {
  return make_error(ErrorKind::host_key, "connect to", peer, std::move(message))
      .with_code(ErrorCode::host_key_changed)
      .with_hint(
          "if the server's owner confirms the new key, remove the old one with ssh-keygen -R and run: checkvalve "
          "trust sftp://" +
          peer);
}

Result<HostKey> fetch_host_key(const SshOptions& given) {
  CV_TRY(const SshRoute route, find_ssh_route(given));
  const SshOptions& options = route.options;
  CV_TRY(SshSession session, configure_ssh(options));
  CV_CHECK(connect_ssh(session.get(), options, SshCancel{}));
  ssh_key raw = nullptr;
  if (ssh_get_server_publickey(session.get(), &raw) != SSH_OK)
    return host_key_failure(options.display(), "the server shows no host key");
  SshKey key(raw);
  HostKey out;
  out.type = ssh_key_type_to_char(ssh_key_type(key.get()));
  out.fingerprint = fingerprint_of(key.get());
  char* base64 = nullptr;
  if (ssh_pki_export_pubkey_base64(key.get(), &base64) != SSH_OK)
    return host_key_failure(options.display(), "its host key can't be written down");
  out.known_hosts_line = fmt::format("{} {} {}", known_hosts_name(session.get()), out.type, base64);
  ssh_string_free_char(base64);
  CV_TRY(const KnownHostVerdict verdict, judge_host_key(session.get(), key.get(), options));
  if (verdict == KnownHostVerdict::revoked)
    return host_key_failure(options.display(), fmt::format("its {} key {} is revoked by a @revoked line of known_hosts",
                                                           out.type, out.fingerprint));
  out.state = verdict == KnownHostVerdict::known     ? HostKeyState::known
              : verdict == KnownHostVerdict::changed ? HostKeyState::changed
                                                     : HostKeyState::unknown;
  out.known_hosts_file = known_hosts_files(session.get(), options).front();
  return out;
}

Result<void> trust_host_key(const HostKey& key) {
  const std::string& path = key.known_hosts_file;
  if (key.state == HostKeyState::known) return {};
  if (key.state == HostKeyState::changed)
    return host_key_failure(
        path, fmt::format("it has another key of this server. If the server's owner confirms the new one, remove the "
                          "old line first: ssh-keygen -f '{}' -R '{}'",
                          path, key.known_hosts_line.substr(0, key.known_hosts_line.find(' '))));
  const fs::path directory = fs::path(path).parent_path();
  std::error_code error;
  if (!directory.empty() && !fs::exists(directory, error)) {
    fs::create_directories(directory, error);
    if (error) return Failure(errno_error(error.value(), "create", directory));
    fs::permissions(directory, fs::perms::owner_all, error);
  }
  const std::string line = (ends_without_newline(path) ? "\n" : "") + key.known_hosts_line + "\n";
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (fd < 0) return Failure(errno_error(errno, "open", path));
  // One write: lines of several programs at once do not mix.
  const bool written = ::write(fd, line.data(), line.size()) == static_cast<ssize_t>(line.size());
  const int write_error = errno;
  if (::close(fd) != 0 || !written) return Failure(errno_error(write_error, "write", path));
  return {};
}

} // namespace checkvalve
