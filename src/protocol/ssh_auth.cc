// Logging in: the methods of RFC 4252 that a server accepts, one after the other.
#include <fmt/core.h>
#include <fmt/ranges.h>
#include <libssh/callbacks.h>
#include <libssh/libssh.h>
#include <poll.h>

#include <algorithm>
#include <climits>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>

#include "protocol/private_key.h"
#include "protocol/ssh_login.h"

namespace checkvalve {
namespace {

constexpr int max_prompts = 10; // of keyboard-interactive, before it is taken for a loop

// In place of the prompt that OpenSSL shows on the terminal for an encrypted key in PEM or PKCS #8 form.
int no_passphrase(const char*, char*, std::size_t, int, int, void*) { return -1; }

class Login {
public:
  Login(ssh_session session, const SshOptions& options) : session_(session), options_(options) {
    static ssh_callbacks_struct callbacks = [] {
      ssh_callbacks_struct out{};
      ssh_callbacks_init(&out);
      out.auth_function = no_passphrase; // for the keys that libssh finds itself
      return out;
    }();
    ssh_set_callbacks(session_, &callbacks);
  }
  Result<void> run();

private:
  using Step = std::optional<int> (Login::*)(); // libssh's answer, or nothing: there is nothing to try
  std::optional<int> with_private_key();
  std::optional<int> with_identity();
  std::optional<int> with_agent();
  std::optional<int> with_usual_keys();
  std::optional<int> with_password();
  std::optional<int> with_keyboard_interactive();
  std::optional<int> with_key(SshKey key, const std::string& name, const std::string& certificate);
  SshKey read_key(const std::string& text);
  SshKey read_identity(const std::string& path);
  template <class Attempt> int answer_to(Attempt attempt);
  bool key_given() const { return !options_.private_key.empty() || !options_.identity.empty(); }
  bool asks_agent() const { return options_.agent && std::getenv("SSH_AUTH_SOCK"); }
  const char* passphrase() const {
    return options_.passphrase.empty() ? nullptr : options_.passphrase.reveal().c_str();
  }
  std::string tried() const;
  Failure refused() const;
  Failure timed_out() const;
  Failure disconnected() const;

  ssh_session session_;
  const SshOptions& options_;
  std::vector<std::string> tried_;
  bool password_refused_ = false;
};

Result<void> Login::run() {
  // The answer to "none" says what the server accepts (RFC 4252, section 5.2); with a key at hand that round trip is
  // saved, as the answer to a refused key says it too.
  const int none = key_given() ? SSH_AUTH_DENIED : ssh_userauth_none(session_, nullptr);
  if (none == SSH_AUTH_SUCCESS) return {};
  if (none == SSH_AUTH_AGAIN) return timed_out();
  constexpr std::pair<Step, int> steps[] = {
      {&Login::with_private_key, SSH_AUTH_METHOD_PUBLICKEY},
      {&Login::with_identity, SSH_AUTH_METHOD_PUBLICKEY},
      {&Login::with_agent, SSH_AUTH_METHOD_PUBLICKEY},
      {&Login::with_usual_keys, SSH_AUTH_METHOD_PUBLICKEY},
      {&Login::with_password, SSH_AUTH_METHOD_PASSWORD},
      {&Login::with_keyboard_interactive, SSH_AUTH_METHOD_INTERACTIVE},
  };
  // After a partial success (RFC 4252, section 5.1) the server names what it wants next: another round.
  for (bool partial = true; partial;) {
    partial = false;
    for (const auto& [step, method] : steps) {
      const int accepted = ssh_userauth_list(session_, nullptr);
      if (accepted != 0 && (accepted & method) == 0) continue;
      const std::optional<int> answer = (this->*step)();
      if (!ssh_is_connected(session_)) return disconnected();
      if (answer == SSH_AUTH_SUCCESS) return {};
      if (answer == SSH_AUTH_AGAIN) return timed_out();
      if (answer == SSH_AUTH_PARTIAL) partial = true;
      if (partial && tried_.size() > 8) return refused();
      if (partial) break;
    }
  }
  return refused();
}

std::string Login::tried() const {
  return tried_.empty() ? "nothing, as no key, agent or password was given"
                        : fmt::format("{}", fmt::join(tried_, ", "));
}

Failure Login::disconnected() const {
  const std::string why = last_error(session_);
  // OpenSSH's words for MaxAuthTries; or the reason NO_MORE_AUTH_METHODS_AVAILABLE (RFC 4253, section 11.1).
  if (why.find("authentication failures") == why.npos && why.find("SSH_MSG_DISCONNECT: 14:") == why.npos)
    return Failure(make_error(ErrorKind::connection, "connect to", options_.display(),
                              "the server closed the connection during login: " + why));
  return Failure(make_error(ErrorKind::auth, "log in to", options_.display(),
                            fmt::format("the server ended the login after too many tries; tried: {}", tried()))
                     .with_hint("offer fewer keys: name one with --identity, set the option agent=no, or set "
                                "IdentitiesOnly in ssh_config"));
}

Failure Login::timed_out() const {
  return Failure(make_error(ErrorKind::timeout, "log in to", options_.display(),
                            fmt::format("no answer to the login within {} s; tried: {}",
                                        std::chrono::duration<double>(options_.connect_timeout).count(), tried())));
}

Failure Login::refused() const {
  std::vector<std::string_view> accepted;
  const int list = ssh_userauth_list(session_, nullptr);
  if (list & SSH_AUTH_METHOD_PUBLICKEY) accepted.push_back("publickey");
  if (list & SSH_AUTH_METHOD_PASSWORD) accepted.push_back("password");
  if (list & SSH_AUTH_METHOD_INTERACTIVE) accepted.push_back("keyboard-interactive");
  if (list & SSH_AUTH_METHOD_GSSAPI_MIC) accepted.push_back("gssapi-with-mic (use transport=ssh)");
  return Failure(make_error(
      ErrorKind::auth, "log in to", options_.display(),
      fmt::format("login refused; tried: {}; the server accepts: {}", tried(),
                  accepted.empty() ? "nothing that is known" : fmt::format("{}", fmt::join(accepted, ", ")))));
}

std::optional<int> Login::with_key(SshKey key, const std::string& name, const std::string& certificate) {
  if (!certificate.empty()) {
    ssh_key raw = nullptr;
    if (ssh_pki_import_cert_file(certificate.c_str(), &raw) != SSH_OK ||
        ssh_pki_copy_cert_to_privkey(raw, key.get()) != SSH_OK) {
      ssh_key_free(raw);
      tried_.push_back(fmt::format("certificate {} (can't be read, or is not one of this key)", certificate));
      return std::nullopt;
    }
    ssh_key_free(raw);
    tried_.push_back(fmt::format("{} with certificate {}", name, certificate));
  } else {
    tried_.push_back(name);
  }
  return ssh_userauth_publickey(session_, nullptr, key.get());
}

std::optional<int> Login::with_private_key() {
  if (options_.private_key.empty()) return std::nullopt;
  SshKey key = read_key(options_.private_key.reveal());
  if (!key) {
    tried_.push_back("the given private key (can't be read: wrong format or passphrase)");
    return std::nullopt;
  }
  return with_key(std::move(key), "the given private key", expand_home(options_.certificate));
}

// Null if it can't be read.
SshKey Login::read_key(const std::string& text) {
  ssh_key key = nullptr;
  const auto other = openssh_form(text, passphrase());
  const std::string& taken = other ? other->reveal() : text;
  return ssh_pki_import_privkey_base64(taken.c_str(), other ? nullptr : passphrase(), no_passphrase, nullptr, &key) ==
                 SSH_OK
             ? SshKey(key)
             : SshKey();
}

// Null, with the reason among what was tried, if it can't be read.
SshKey Login::read_identity(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const Secret text(std::string(std::istreambuf_iterator<char>(file), {}));
  if (SshKey key = read_key(text.reveal())) return key;
  tried_.push_back(fmt::format("{} ({})", path,
                               !file.is_open()               ? "there is no such file, or it can't be opened"
                               : options_.passphrase.empty() ? "can't be read: does it need a passphrase?"
                                                             : "can't be read: wrong passphrase or format"));
  return {};
}

std::optional<int> Login::with_identity() {
  if (options_.identity.empty()) return std::nullopt;
  const std::string path = expand_home(options_.identity);
  SshKey key = read_identity(path);
  if (!key) return std::nullopt;
  const std::string beside = path + "-cert.pub";
  std::error_code ignored;
  if (!options_.certificate.empty() || !std::filesystem::exists(beside, ignored))
    return with_key(std::move(key), path, expand_home(options_.certificate));
  // As with ssh(1): one that nobody asked for does not keep the key from being tried alone.
  const auto answer = with_key(std::move(key), path, beside);
  if (answer == SSH_AUTH_SUCCESS || answer == SSH_AUTH_PARTIAL || !ssh_is_connected(session_)) return answer;
  return with_key(read_identity(path), path, "");
}

// For attempts with several keys: libssh, left to wait on its own, would offer the next key to a server that has closed
// the connection, and wait for its answer until the timeout. SSH_AUTH_AGAIN: no answer within the connect timeout,
// whatever else the server may have sent.
template <class Attempt> int Login::answer_to(Attempt attempt) {
  const auto deadline = std::chrono::steady_clock::now() + options_.connect_timeout;
  ssh_set_blocking(session_, 0);
  int answer = attempt();
  while (answer == SSH_AUTH_AGAIN && ssh_is_connected(session_)) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now()).count();
    if (left <= 0) break;
    const bool unsent = (ssh_get_status(session_) & SSH_WRITE_PENDING) != 0;
    pollfd wait{ssh_get_fd(session_), static_cast<short>(unsent ? POLLIN | POLLOUT : POLLIN), 0};
    ::poll(&wait, 1, static_cast<int>(std::min<std::int64_t>(left, INT_MAX)));
    answer = attempt();
  }
  ssh_set_blocking(session_, 1);
  return answer;
}

std::optional<int> Login::with_agent() {
  if (!asks_agent() || !key_given()) return std::nullopt; // or the usual keys begin with the agent's
  tried_.push_back("agent");
  return answer_to([this] { return ssh_userauth_agent(session_, nullptr); });
}

std::optional<int> Login::with_usual_keys() {
  if (key_given()) return std::nullopt;
  if (asks_agent()) tried_.push_back("agent");
  tried_.push_back("the usual keys");
  return answer_to([this] { return ssh_userauth_publickey_auto(session_, nullptr, passphrase()); });
}

std::optional<int> Login::with_password() {
  if (options_.password.empty() || password_refused_) return std::nullopt;
  tried_.push_back("password");
  const int answer = ssh_userauth_password(session_, nullptr, options_.password.reveal().c_str());
  password_refused_ = answer == SSH_AUTH_DENIED;
  return answer;
}

std::optional<int> Login::with_keyboard_interactive() {
  if (options_.password.empty() || password_refused_) return std::nullopt;
  tried_.push_back("keyboard-interactive");
  int answer = ssh_userauth_kbdint(session_, nullptr, nullptr);
  for (int round = 0; answer == SSH_AUTH_INFO && round < max_prompts; ++round) {
    const int prompts = ssh_userauth_kbdint_getnprompts(session_);
    for (int i = 0; i < prompts; ++i)
      ssh_userauth_kbdint_setanswer(session_, static_cast<unsigned>(i), options_.password.reveal().c_str());
    answer = ssh_userauth_kbdint(session_, nullptr, nullptr);
  }
  return answer;
}

} // namespace

Result<void> log_in(ssh_session_struct* session, const SshOptions& options) { return Login(session, options).run(); }

} // namespace checkvalve
