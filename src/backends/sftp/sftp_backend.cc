#include "backends/sftp/sftp_backend.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "backends/location.h"
#include "backends/sftp/sftp_doctor.h"
#include "backends/sftp/sftp_settings.h"
#include "backends/sftp/sftp_source.h"
#include "backends/sftp/sftp_target.h"
#include "backends/sftp/sftp_trust.h"
#include "protocol/ssh_login.h"

namespace checkvalve {
namespace {

constexpr std::array options = {
    OptionSpec{"connections", OptionType::integer, "6",
               "most connections; more than one is opened only for large files over a long way"},
    OptionSpec{"transport", OptionType::text, "libssh",
               "libssh (in this process) or ssh (the ssh program: jump hosts, FIDO keys, GSSAPI)"},
    OptionSpec{"command", OptionType::list, "",
               "a command whose standard input and output speak SFTP, instead of SSH: [\"program\", \"argument\"]"},
    OptionSpec{"service", OptionType::text, "",
               "name of what the command reaches, by which the state knows it; without it the command's words"},
    OptionSpec{"identity", OptionType::path, "",
               "private key file; without it the agent, ssh_config's and the usual keys are tried"},
    OptionSpec{"certificate", OptionType::path, "",
               "OpenSSH certificate of the identity; without it IDENTITY-cert.pub where it exists"},
    OptionSpec{"agent", OptionType::boolean, "yes", "ask the SSH agent of SSH_AUTH_SOCK"},
    OptionSpec{"known_hosts", OptionType::path, "", "file of known host keys; without it ~/.ssh/known_hosts"},
    OptionSpec{"host_key", OptionType::text, "", "accept only this host key: \"ssh-ed25519 AAAA…\""},
    OptionSpec{"host_key_fingerprint", OptionType::text, "",
               "accept only the host key with this fingerprint: SHA256:…"},
    OptionSpec{"host_key_check", OptionType::boolean, "yes",
               "no: accept any host key; anyone on the way can then read and change all"},
    OptionSpec{"ssh_config", OptionType::path, "",
               "ssh_config file, or none; without it ~/.ssh/config and the system's"},
    OptionSpec{"ciphers", OptionType::text, "",
               "ciphers, comma-separated, best first; without it AES-GCM first where the CPU has AES"},
    OptionSpec{"chunk", OptionType::size, "0",
               "bytes of one read or write; 0: the server's limit, or 32 KiB if it names none"},
    OptionSpec{"requests", OptionType::integer, "2048", "most requests in flight on one connection"},
    OptionSpec{"handles", OptionType::integer, "0",
               "most open files on one connection; 0: the server's limit, or 256 if it names none"},
    OptionSpec{
        "inplace", OptionType::boolean, "no",
        "write files under their final names, for servers that forbid renames or take each file as it is closed; "
        "readers can see incomplete files"},
    OptionSpec{"parallel_writes", OptionType::text, "auto",
               "whether several connections may write one large file at once: auto (if the server is OpenSSH), yes or "
               "no"},
    OptionSpec{"follow_outside", OptionType::boolean, "no",
               "let symbolic links to directories of a target lead out of its root"},
    OptionSpec{"password", OptionType::secret, "", "password, also the answer to keyboard-interactive prompts"},
    OptionSpec{"passphrase", OptionType::secret, "", "passphrase of the identity or of private_key"},
    OptionSpec{"private_key", OptionType::secret, "", "text of a private key file, instead of identity"},
};

Failure bad(const Endpoint& endpoint, std::string message) {
  return Failure(make_error(ErrorKind::config, "read options of", endpoint.display(), std::move(message)));
}

Result<std::unique_ptr<Source>> make_sftp_source(BackendContext& context, const Endpoint& endpoint) {
  CV_TRY(SftpSettings settings, read_sftp_settings(endpoint, context.connect_timeout));
  return std::make_unique<SftpSource>(context, std::move(settings));
}

Result<std::unique_ptr<Target>> make_sftp_target(BackendContext& context, const Endpoint& endpoint) {
  CV_TRY(SftpSettings settings, read_sftp_settings(endpoint, context.connect_timeout));
  return std::make_unique<SftpTarget>(context, std::move(settings));
}

// "/~" and "/~/x" are relative to the login directory, as in curl's and git's URLs; "/%7E" is a name.
Result<void> read_sftp_url(Endpoint& endpoint, std::string_view raw_path) {
  if (endpoint.host.empty())
    return Failure(make_error(ErrorKind::config, "read URL", "", "missing host: expected sftp://HOST/PATH"));
  CV_TRY(const std::string path, decode_url_path(raw_path));
  if (raw_path.empty() || raw_path == "/~" || raw_path.starts_with("/~/")) {
    const std::string below_home = tidy_path(std::string_view(path).substr(std::min<std::size_t>(2, path.size())));
    endpoint.root = below_home == "/" ? "~" : "~" + below_home;
  } else {
    endpoint.root = tidy_path(path);
  }
  return {};
}

// The words with blanks between them; those within a word are escaped, so that no two commands are the same text.
std::string joined(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words) {
    if (!out.empty()) out += ' ';
    for (const char c : word) {
      if (c == ' ' || c == '\\') out += '\\';
      out += c;
    }
  }
  return out;
}

// A login may have a root of its own, so it is part of the identity, but not of the service: /a and /a/b of two logins
// may lie inside each other. Each login has a home of its own. What stands behind a command is known by the command, or
// by the name that the user gives it.
Result<Location> locate_sftp(const Endpoint& endpoint) {
  Endpoint named = endpoint;
  if (named.root.empty()) named.root = "~";
  Location out = locate_by_url(named);
  const OptionReader reader(sftp_backend, endpoint);
  std::string behind;
  if (const auto command = reader.list("command"); !command.empty()) {
    behind = reader.text("service");
    if (behind.empty()) behind = joined(command);
    behind = "#" + behind;
  }
  if (named.root == "~" || named.root.starts_with("~/")) out.service += "#" + endpoint.user;
  out.service += behind;
  out.identity += behind;
  return out;
}

} // namespace

constinit const BackendDescriptor sftp_backend = {.scheme = "sftp",
                                                  .summary = "files of a server that speaks SFTP",
                                                  .options = options,
                                                  .make_source = make_sftp_source,
                                                  .make_target = make_sftp_target,
                                                  .default_root = "~",
                                                  .read_url = read_sftp_url,
                                                  .locate = locate_sftp,
                                                  .examine = doctor_sftp,
                                                  .trust = trust_sftp};

Result<SftpSettings> read_sftp_settings(const Endpoint& endpoint, std::chrono::milliseconds connect_timeout) {
  const OptionReader reader(sftp_backend, endpoint);
  SftpSettings s;
  s.command = reader.list("command");
  const std::string transport = reader.text("transport");
  if (transport != "libssh" && transport != "ssh")
    return bad(endpoint, "transport must be libssh or ssh, not '" + transport + "'");
  s.ssh_program = transport == "ssh";
  if (endpoint.host.empty() && s.command.empty())
    return bad(endpoint, "an sftp URL needs a host: sftp://user@host/path");
  if (endpoint.host.starts_with('-')) return bad(endpoint, "a host name must not begin with '-'");
  s.root = endpoint.root.empty() ? "~" : endpoint.root;
  if (!s.root.starts_with('/') && s.root != "~" && !s.root.starts_with("~/"))
    return bad(endpoint, "the path must be absolute, or begin with ~/ for the login directory");

  s.inplace = reader.boolean("inplace");
  s.follow_outside = reader.boolean("follow_outside");
  const std::string parallel = reader.text("parallel_writes");
  if (parallel == "yes" || parallel == "no")
    s.parallel_writes = parallel == "yes";
  else if (parallel != "auto")
    return bad(endpoint, "invalid value '" + parallel + "' of parallel_writes: expected auto, yes or no");

  s.ssh.host = endpoint.host;
  s.ssh.port = endpoint.port;
  s.ssh.user = endpoint.user;
  s.ssh.ssh_config = expand_home(reader.text("ssh_config"));
  s.ssh.known_hosts = reader.text("known_hosts");
  s.ssh.host_key = reader.text("host_key");
  s.ssh.host_key_fingerprint = reader.text("host_key_fingerprint");
  s.ssh.check_host_key = reader.boolean("host_key_check");
  s.ssh.identity = reader.text("identity");
  s.ssh.certificate = reader.text("certificate");
  s.ssh.agent = reader.boolean("agent");
  s.ssh.ciphers = reader.text("ciphers");
  s.ssh.password = reader.secret("password");
  s.ssh.passphrase = reader.secret("passphrase");
  s.ssh.private_key = reader.secret("private_key");
  s.ssh.connect_timeout = connect_timeout;
  // libssh takes one that is not there for an empty one, and would go another way than the one that it describes.
  const std::string& config = s.ssh.ssh_config;
  if (!config.empty() && config != "none" && ::access(config.c_str(), R_OK) != 0)
    return bad(endpoint, fmt::format("can't read the ssh_config {}: {}", config, std::strerror(errno)));
  if (!s.ssh.host_key_fingerprint.empty() && !s.ssh.host_key_fingerprint.starts_with("SHA256:"))
    return bad(endpoint, "host_key_fingerprint must begin with SHA256: (ssh-keygen -lf prints it)");

  constexpr std::uint64_t max_connections = 64;
  constexpr std::uint64_t largest_chunk_bytes = 1024 * 1024;
  constexpr std::uint64_t max_requests = 65'536;
  const auto connections = reader.number("connections");
  if (connections < 1 || connections > max_connections) return bad(endpoint, "connections must be from 1 to 64");
  const auto chunk = reader.number("chunk");
  if (chunk > largest_chunk_bytes) return bad(endpoint, "chunk must be at most 1 MiB");
  const auto requests = reader.number("requests");
  if (requests < 1 || requests > max_requests) return bad(endpoint, "requests must be from 1 to 65536");
  s.connections = static_cast<std::uint32_t>(connections);
  s.chunk_bytes = static_cast<std::uint32_t>(chunk);
  s.requests_in_flight = static_cast<std::uint32_t>(requests);
  s.open_handles = static_cast<std::uint32_t>(std::min(reader.number("handles"), max_requests));
  s.display = endpoint.display();
  return s;
}

} // namespace checkvalve
