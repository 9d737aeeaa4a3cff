#include "backends/sftp/sftp_trust.h"

#include <fmt/format.h>

#include "backends/sftp/sftp_settings.h"
#include "protocol/host_key.h"
#include "protocol/ssh_login.h"

namespace checkvalve {
namespace {

Failure failure(ErrorKind kind, const std::string& peer, std::string message, std::string hint = "") {
  Error error = make_error(kind, "trust", peer, std::move(message));
  error.hint = std::move(hint);
  return Failure(std::move(error));
}

} // namespace

Result<std::string> trust_sftp(const Endpoint& endpoint, const TrustRequest& request) {
  CV_TRY(const SftpSettings settings, read_sftp_settings(endpoint, request.connect_timeout));
  if (!settings.command.empty())
    return failure(ErrorKind::config, endpoint.display(),
                   "the endpoint is a command, which checks the host key itself");
  const std::string peer = settings.ssh.display();
  CV_TRY(const bool proxied, ssh_config_has_proxy(settings.ssh));
  if (proxied)
    return failure(ErrorKind::config, peer, "ssh_config uses a proxy for this host",
                   "log in once with the ssh program, which asks for each host key");
  CV_TRY(const HostKey key, fetch_host_key(settings.ssh));
  if (!request.fingerprint.empty() && request.fingerprint != key.fingerprint)
    return failure(
        ErrorKind::host_key, peer,
        fmt::format("the {} host key has the fingerprint {}, not {}", key.type, key.fingerprint, request.fingerprint));
  if (key.state == HostKeyState::known)
    return fmt::format("{} is already trusted: {} {}\n", peer, key.type, key.fingerprint);
  const std::string question = fmt::format("The {} host key of {} has the fingerprint\n  {}\nCompare it with what the "
                                           "server's administrator says. Trust it?",
                                           key.type, peer, key.fingerprint);
  if (key.state == HostKeyState::unknown && request.fingerprint.empty() && !request.confirm(question))
    return failure(ErrorKind::host_key, peer, "not confirmed",
                   fmt::format("to confirm without a question: --fingerprint {}", key.fingerprint));
  CV_CHECK(trust_host_key(key));
  return fmt::format("added the host key of {}: {} {} to {}\n", peer, key.type, key.fingerprint, key.known_hosts_file);
}

} // namespace checkvalve
