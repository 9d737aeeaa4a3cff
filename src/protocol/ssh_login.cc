#include "protocol/ssh_login.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <libssh/libssh.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/auxv.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <vector>

#include "core/path.h"
#include "protocol/host_key.h"

namespace checkvalve {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int default_port = 22;

std::string option_text(ssh_session session, ssh_options_e option) {
  char* value = nullptr;
  if (ssh_options_get(session, option, &value) != SSH_OK || !value) return {};
  std::string out(value);
  ssh_string_free_char(value);
  return out;
}

unsigned port_of(ssh_session session) {
  unsigned port = default_port;
  ssh_options_get_port(session, &port);
  return port == 0 ? default_port : port;
}

bool cpu_has_aes() {
#if defined(__x86_64__) || defined(__i386__)
  return __builtin_cpu_supports("aes");
#elif defined(__aarch64__)
  return (getauxval(AT_HWCAP) & (1ul << 3)) != 0; // HWCAP_AES
#else
  return false;
#endif
}

std::string default_ciphers() {
  constexpr std::string_view gcm = "aes128-gcm@openssh.com,aes256-gcm@openssh.com";
  constexpr std::string_view chacha = "chacha20-poly1305@openssh.com";
  constexpr std::string_view others = "aes128-ctr,aes192-ctr,aes256-ctr";
  return cpu_has_aes() ? fmt::format("{},{},{}", gcm, chacha, others) : fmt::format("{},{},{}", chacha, gcm, others);
}

Failure connect_failure(const std::string& peer, std::string message) {
  return Failure(make_error(ErrorKind::connection, "connect to", peer, std::move(message)));
}

Failure no_answer(const std::string& peer, std::string message) {
  return Failure(
      make_error(ErrorKind::timeout, "connect to", peer, std::move(message)).with_code(ErrorCode::connect_timeout));
}

// Waits for a non-blocking connect to end. 0, or an errno value; ECANCELED if it was cancelled.
int finish_connect(int fd, const SshCancel& cancel, Clock::time_point deadline) {
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0) return ETIMEDOUT;
    pollfd wait[2] = {{fd, POLLOUT, 0}, {cancel.event_fd, POLLIN, 0}};
    const int ready = ::poll(wait, cancel.event_fd >= 0 ? 2 : 1, static_cast<int>(left));
    if (ready < 0 && errno == EINTR) continue;
    if (ready < 0) return errno;
    if (wait[1].revents != 0) return ECANCELED;
    if (wait[0].revents == 0) continue;
    int error = 0;
    socklen_t size = sizeof error;
    ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
    return error;
  }
}

void tune_socket(int fd) {
  const int on = 1;
  const int idle_s = 30;
  const int interval_s = 10;
  const int probes = 6;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  ::setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
  ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof interval_s);
  ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
}

// Tries each address of the host in turn.
Result<int> connect_tcp(const std::string& host, unsigned port, const std::string& peer, const SshOptions& options,
                        const SshCancel& cancel) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_ADDRCONFIG | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  if (const int rc = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found); rc != 0) {
    auto failure = connect_failure(peer, fmt::format("cannot resolve the host name: {}", ::gai_strerror(rc)));
    // Not worth a wait, since most such names are mistyped; but a container that restarts has no name either, so that a
    // later run may succeed.
    if (rc == EAI_NONAME) failure.error().status = ErrorStatus::exhausted;
    failure.error().code = ErrorCode::host_not_found;
    return failure;
  }
  std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> addresses(found, &::freeaddrinfo);
  const auto deadline = Clock::now() + options.connect_timeout;
  int error = EHOSTUNREACH;
  int left = 0;
  for (addrinfo* a = addresses.get(); a; a = a->ai_next) ++left;
  for (addrinfo* a = addresses.get(); a; a = a->ai_next, --left) {
    const int fd = ::socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, a->ai_protocol);
    if (fd < 0) {
      error = errno;
      continue;
    }
    error = ::connect(fd, a->ai_addr, a->ai_addrlen) == 0 ? 0 : errno;
    // A share of the time each: one that does not answer must not use up that of the others.
    const auto now = Clock::now();
    if (error == EINPROGRESS) error = finish_connect(fd, cancel, now + (deadline - now) / left);
    if (error == 0) {
      tune_socket(fd);
      return fd;
    }
    ::close(fd);
    if (error == ECANCELED) break;
  }
  if (error == ETIMEDOUT)
    return no_answer(
        peer, fmt::format("no answer within {} s", std::chrono::duration<double>(options.connect_timeout).count()));
  auto failure = connect_failure(peer, std::strerror(error));
  failure.error().code = errno_error(error, "", "").code;
  return failure;
}

// The signatures that a host key of this type makes (RFC 8332 for RSA).
std::string algorithms_of(const std::string& key_type) {
  return key_type == "ssh-rsa" ? "rsa-sha2-512,rsa-sha2-256" : key_type;
}

Failure host_key_failure(const std::string& peer, std::string message) {
  return Failure(make_error(ErrorKind::host_key, "connect to", peer, std::move(message)));
}

Result<SshKey> server_key(ssh_session session, const std::string& peer) {
  ssh_key key = nullptr;
  if (ssh_get_server_publickey(session, &key) != SSH_OK) return host_key_failure(peer, "the server shows no host key");
  return SshKey(key);
}

// "ssh-ed25519 AAAA… comment", with the host names of a known_hosts line in front or without.
Result<SshKey> parse_public_key(const std::string& line, const std::string& peer) {
  std::vector<std::string> words;
  for (std::size_t begin = 0; begin < line.size();) {
    std::size_t end = std::min(line.find_first_of(" \t\r\n", begin), line.size());
    if (end > begin) words.push_back(line.substr(begin, end - begin));
    begin = end + 1;
  }
  for (std::size_t i = 0; i + 1 < words.size() && i < 2; ++i) {
    const auto type = ssh_key_type_from_name(words[i].c_str());
    ssh_key key = nullptr;
    if (type != SSH_KEYTYPE_UNKNOWN && ssh_pki_import_pubkey_base64(words[i + 1].c_str(), type, &key) == SSH_OK)
      return SshKey(key);
  }
  return Failure(make_error(ErrorKind::config, "connect to", peer,
                            "the option host_key must be a public key: \"ssh-ed25519 AAAA…\""));
}

} // namespace

std::string last_error(ssh_session_struct* session) {
  std::string text = escape_bytes(ssh_get_error(session));
  return text.empty() ? "unknown error" : text;
}

std::string expand_home(const std::string& path) {
  const char* home = std::getenv("HOME");
  return path.starts_with("~/") && home ? home + path.substr(1) : path;
}

// Not ssh_disconnect: it forgets a socket that was given to it (SSH_OPTIONS_FD), and leaves it open.
void SshSessionDeleter::operator()(ssh_session_struct* session) const { ssh_free(session); }

void SshKeyDeleter::operator()(ssh_key_struct* key) const { ssh_key_free(key); }

Result<SshSession> configure_ssh(const SshOptions& o, const std::string& host_key_types) {
  SshSession session(ssh_new());
  if (!session) return connect_failure(o.display(), "out of memory");
  const auto refuse = [&](std::string_view what) {
    return Failure(make_error(ErrorKind::config, "connect to", o.display(),
                              fmt::format("{}: {}", what, last_error(session.get()))));
  };
  const bool no_config = false;
  ssh_options_set(session.get(), SSH_OPTIONS_PROCESS_CONFIG, &no_config);
  if (ssh_options_set(session.get(), SSH_OPTIONS_HOST, o.host.c_str()) != SSH_OK)
    return refuse("the host name is refused");
  const auto explicit_options = [&] {
    const unsigned port = o.port;
    if (port != 0) ssh_options_set(session.get(), SSH_OPTIONS_PORT, &port);
    if (!o.user.empty()) ssh_options_set(session.get(), SSH_OPTIONS_USER, o.user.c_str());
    if (!o.known_hosts.empty())
      ssh_options_set(session.get(), SSH_OPTIONS_KNOWNHOSTS, expand_home(o.known_hosts).c_str());
  };
  const auto set_ciphers = [&](const std::string& ciphers) {
    return ssh_options_set(session.get(), SSH_OPTIONS_CIPHERS_C_S, ciphers.c_str()) == SSH_OK &&
           ssh_options_set(session.get(), SSH_OPTIONS_CIPHERS_S_C, ciphers.c_str()) == SSH_OK;
  };
  // Before the config, so that its Match rules see them; and after it, so that they win.
  explicit_options();
  set_ciphers(default_ciphers()); // the config's, where it has some, win
  if (o.ssh_config != "none") {
    const std::string path = expand_home(o.ssh_config);
    if (ssh_options_parse_config(session.get(), path.empty() ? nullptr : path.c_str()) != SSH_OK)
      return refuse("ssh_config can't be read");
    explicit_options();
  }
  if (!o.ciphers.empty() && !set_ciphers(o.ciphers)) return refuse("the option ciphers names none that libssh has");
  if (!o.host_key.empty()) {
    CV_TRY(SshKey key, parse_public_key(o.host_key, o.display()));
    ssh_options_set(session.get(), SSH_OPTIONS_HOSTKEYS,
                    algorithms_of(ssh_key_type_to_char(ssh_key_type(key.get()))).c_str());
  }
  if (!host_key_types.empty()) ssh_options_set(session.get(), SSH_OPTIONS_HOSTKEYS, host_key_types.c_str());
  if (!o.agent) ssh_options_set(session.get(), SSH_OPTIONS_IDENTITY_AGENT, "/dev/null");
  const long timeout_s = std::max<long>(1, std::chrono::ceil<std::chrono::seconds>(o.connect_timeout).count());
  const int on = 1;
  ssh_options_set(session.get(), SSH_OPTIONS_TIMEOUT, &timeout_s);
  ssh_options_set(session.get(), SSH_OPTIONS_NODELAY, &on);
  return session;
}

Result<bool> ssh_config_has_proxy(const SshOptions& options) {
  if (options.ssh_config == "none") return false;
  CV_TRY(SshSession session, configure_ssh(options));
  const std::string proxy = option_text(session.get(), SSH_OPTIONS_PROXYCOMMAND);
  return !proxy.empty() && proxy != "none";
}

namespace {

// Before the key exchange. The name and the port are of no other use any more once the socket is there.
void prepare_known_hosts(ssh_session session, const SshOptions& options) {
  if (!options.host_key_alias.empty()) {
    ssh_options_set(session, SSH_OPTIONS_HOST, options.host_key_alias.c_str());
    const unsigned port = default_port; // an alias stands alone (ssh_config(5), HostKeyAlias)
    ssh_options_set(session, SSH_OPTIONS_PORT, &port);
  }
  // The server is asked for a key of a type that is recorded: libssh does so for the lines that it understands.
  const std::vector<std::string> files = known_hosts_files(session, options);
  for (const std::string& file : files) {
    ssh_options_set(session, SSH_OPTIONS_KNOWNHOSTS, file.c_str());
    if (ssh_session_has_known_hosts_entry(session) == SSH_KNOWN_HOSTS_OK) return;
  }
  if (!options.host_key.empty() || !options.host_key_fingerprint.empty()) return;
  const auto known = KnownHosts::read(files);
  std::string algorithms;
  if (known)
    for (const std::string& type : known->types(option_text(session, SSH_OPTIONS_HOST), port_of(session)))
      algorithms += (algorithms.empty() ? "" : ",") + algorithms_of(type);
  if (!algorithms.empty()) ssh_options_set(session, SSH_OPTIONS_HOSTKEYS, algorithms.c_str());
}

} // namespace

Result<void> connect_ssh(ssh_session_struct* session, const SshOptions& options, const SshCancel& cancel) {
  const std::string host = option_text(session, SSH_OPTIONS_HOST);
  CV_TRY(const int fd, connect_tcp(host, port_of(session), options.display(), options, cancel));
  ssh_options_set(session, SSH_OPTIONS_FD, &fd);
  prepare_known_hosts(session, options);
  if (cancel.on_socket) cancel.on_socket(fd);
  if (ssh_connect(session) == SSH_OK) return {};
  const std::string why = last_error(session);
  if (why.starts_with("Timeout")) return no_answer(options.display(), why);
  return connect_failure(options.display(), why);
}

std::vector<std::string> other_host_key_types(ssh_session_struct* session, const SshOptions& o) {
  if (o.host_key_fingerprint.empty()) return {};
  const auto key = server_key(session, o.display());
  if (!key || fingerprint_of(key->get()) == o.host_key_fingerprint) return {};
  const std::string shown = algorithms_of(ssh_key_type_to_char(ssh_key_type(key->get())));
  std::vector<std::string> others;
  for (const char* type :
       {"ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa"})
    if (std::string algorithms = algorithms_of(type); algorithms != shown) others.push_back(std::move(algorithms));
  return others;
}

Result<void> check_host_key(ssh_session_struct* session, const SshOptions& o) {
  const std::string peer = o.display();
  CV_TRY(SshKey key, server_key(session, peer));
  const std::string type = ssh_key_type_to_char(ssh_key_type(key.get()));
  const std::string fingerprint = fingerprint_of(key.get());
  if (!o.host_key.empty()) {
    CV_TRY(SshKey pinned, parse_public_key(o.host_key, peer));
    if (ssh_key_cmp(key.get(), pinned.get(), SSH_KEY_CMP_PUBLIC) == 0) return {};
    return Failure(changed_host_key(
        peer, fmt::format("the server's {} key {} is not the one that the option host_key pins; someone may be "
                          "impersonating the server, nothing was sent to it",
                          type, fingerprint)));
  }
  if (!o.host_key_fingerprint.empty()) {
    if (o.host_key_fingerprint == fingerprint) return {};
    return Failure(
        changed_host_key(peer, fmt::format("the server's {} key is {}, but host_key_fingerprint pins {}; someone may "
                                           "be impersonating the server, nothing was sent to it",
                                           type, fingerprint, o.host_key_fingerprint)));
  }
  if (!o.check_host_key) return {};
  CV_TRY(const KnownHostVerdict verdict, judge_host_key(session, key.get(), o));
  const std::string file = known_hosts_files(session, o).front();
  switch (verdict) {
  case KnownHostVerdict::known: return {};
  case KnownHostVerdict::changed:
    return Failure(
        changed_host_key(peer, fmt::format("THE SERVER'S KEY HAS CHANGED: its {} key is {}, and {} has another; "
                                           "someone may be impersonating the server, nothing was sent to it",
                                           type, fingerprint, file))
            .with_hint(fmt::format("if the server's owner confirms the new key: ssh-keygen -R '{}' -f '{}' && "
                                   "checkvalve trust sftp://{}",
                                   known_hosts_name(session), file, peer)));
  case KnownHostVerdict::revoked:
    return Failure(changed_host_key(
        peer, fmt::format("the server's {} key {} is revoked by a @revoked line of known_hosts; someone may be "
                          "impersonating the server, nothing was sent to it",
                          type, fingerprint)));
  case KnownHostVerdict::authority:
    return Failure(
        unknown_host_key(peer,
                         fmt::format("the server's {} key {} is unknown: known_hosts trusts a certificate authority "
                                     "for this server, and libssh does not take host certificates",
                                     type, fingerprint))
            .with_hint("set the endpoint option transport=ssh: the ssh program takes them"));
  case KnownHostVerdict::other_type:
    return Failure(unknown_host_key(
        peer, fmt::format("the server's {} key {} is unknown: known_hosts has a key of another type for it", type,
                          fingerprint)));
  case KnownHostVerdict::unknown: break;
  }
  return Failure(unknown_host_key(peer, fmt::format("the server's {} key {} is unknown", type, fingerprint)));
}

std::string fingerprint_of(ssh_key_struct* key) {
  unsigned char* hash = nullptr;
  std::size_t size = 0;
  if (ssh_get_publickey_hash(key, SSH_PUBLICKEY_HASH_SHA256, &hash, &size) != SSH_OK) return "unknown";
  char* text = ssh_get_fingerprint_hash(SSH_PUBLICKEY_HASH_SHA256, hash, size);
  std::string out = text ? text : "unknown";
  ssh_string_free_char(text);
  ssh_clean_pubkey_hash(&hash);
  return out;
}

std::string known_hosts_name(ssh_session_struct* session) {
  const std::string host = option_text(session, SSH_OPTIONS_HOST);
  const unsigned port = port_of(session);
  return port == default_port ? host : fmt::format("[{}]:{}", host, port);
}

std::vector<std::string> known_hosts_files(ssh_session_struct* session, const SshOptions& options) {
  std::vector<std::string> files = options.known_hosts_files;
  if (!options.known_hosts.empty()) files = {expand_home(options.known_hosts)};
  if (files.empty()) files = {option_text(session, SSH_OPTIONS_KNOWNHOSTS)};
  if (files.front().empty()) files.front() = expand_home("~/.ssh/known_hosts");
  const auto& system = options.system_known_hosts_files;
  files.insert(files.end(), system.begin(), system.end());
  return files;
}

Result<KnownHostVerdict> judge_host_key(ssh_session_struct* session, ssh_key_struct* key, const SshOptions& options) {
  CV_TRY(const KnownHosts known, KnownHosts::read(known_hosts_files(session, options)));
  char* base64 = nullptr;
  if (ssh_pki_export_pubkey_base64(key, &base64) != SSH_OK)
    return host_key_failure(options.display(), "the server's host key can't be read");
  const std::string text = base64;
  ssh_string_free_char(base64);
  return known.judge(option_text(session, SSH_OPTIONS_HOST), port_of(session), ssh_key_type_to_char(ssh_key_type(key)),
                     text);
}

std::vector<std::pair<std::string, std::string>> ssh_facts(ssh_session_struct* session) {
  const auto text = [](const char* value) { return value ? escape_bytes(value) : std::string("none"); };
  return {
      {"transport", fmt::format("libssh {}", ssh_version(0))}, {"server", text(ssh_get_serverbanner(session))},
      {"key exchange", text(ssh_get_kex_algo(session))},       {"cipher in", text(ssh_get_cipher_in(session))},
      {"cipher out", text(ssh_get_cipher_out(session))},
  };
}

} // namespace checkvalve
