// checkvalve trust: shows a server's host key and adds it to known_hosts after a yes.
#include <fmt/format.h>
#include <libssh/libssh.h>
#include <unistd.h>

#include <iostream>
#include <memory>

#include "backends/sftp/sftp_settings.h"
#include "cli/commands/commands.h"
#include "cli/commands/one_end.h"
#include "cli/exit_code.h"
#include "cli/printable.h"
#include "protocol/ssh_login.h"

namespace checkvalve {
namespace {

struct Arguments {
  OneEndArguments end;
  std::string fingerprint;
};

struct ServerIdentity {
  SshSession session; // the key exchange is done, no login
  std::string name;   // as known_hosts has it
  std::string type;
  std::string fingerprint;
  ssh_known_hosts_e known = SSH_KNOWN_HOSTS_UNKNOWN;
};

Failure refused(const std::string& peer, std::string message) {
  return Failure(make_error(ErrorKind::host_key, "trust", peer, std::move(message)));
}

// Connects as far as the server shows its key; sends nothing secret. Blocks.
Result<ServerIdentity> ask_identity(const SshOptions& options) {
  CV_TRY(const bool proxied, ssh_config_has_proxy(options));
  if (proxied)
    return Failure(config_error(options.display(), "ssh_config reaches this host through another one: log in once with the ssh "
                                                   "program, which asks about each host key on the way"));
  ServerIdentity identity;
  CV_TRY(identity.session, configure_ssh(options));
  CV_CHECK(connect_ssh(identity.session.get(), options, {}));
  ssh_key raw = nullptr;
  if (ssh_get_server_publickey(identity.session.get(), &raw) != SSH_OK)
    return Failure(make_error(ErrorKind::protocol, "trust", options.display(), "the server showed no host key"));
  const SshKey key(raw);
  identity.name = known_hosts_name(identity.session.get());
  identity.type = ssh_key_type_to_char(ssh_key_type(raw));
  identity.fingerprint = fingerprint_of(raw);
  identity.known = ssh_session_is_known_server(identity.session.get());
  return identity;
}

// Asks the terminal even if standard input is something else's.
bool asks_and_agrees(const ServerIdentity& identity) {
  std::cerr << fmt::format("The {} key of {} is\n  {}\nAsk the server's owner for the fingerprint. Is it this one? [y/N] ", identity.type,
                           identity.name, identity.fingerprint);
  std::string answer;
  std::getline(std::cin, answer);
  return answer == "y" || answer == "Y" || answer == "yes";
}

Result<std::string> trust(const SshOptions& options, const std::string& wanted) {
  CV_TRY(const ServerIdentity identity, ask_identity(options));
  if (!wanted.empty() && wanted != identity.fingerprint)
    return refused(options.display(), fmt::format("the server's {} key is {}, not {}: nothing was added", identity.type,
                                                  identity.fingerprint, wanted));
  if (identity.known == SSH_KNOWN_HOSTS_OK)
    return fmt::format("{} is trusted already: {} {}\n", identity.name, identity.type, identity.fingerprint);
  if (identity.known == SSH_KNOWN_HOSTS_CHANGED)
    return refused(options.display(),
                   fmt::format("THE SERVER'S KEY HAS CHANGED: it is {} now, and known_hosts has another. Nothing was added. If the "
                               "server's owner confirms the new key, remove the old line first: ssh-keygen -R '{}'",
                               identity.fingerprint, identity.name));
  if (wanted.empty()) {
    if (!::isatty(STDIN_FILENO))
      return refused(options.display(), fmt::format("the server's {} key is {}. There is no terminal to ask on: if the server's owner "
                                                    "confirms it, add --fingerprint {}",
                                                    identity.type, identity.fingerprint, identity.fingerprint));
    if (!asks_and_agrees(identity)) return refused(options.display(), "not confirmed: nothing was added");
  }
  if (ssh_session_update_known_hosts(identity.session.get()) != SSH_OK)
    return Failure(make_error(ErrorKind::io, "write known_hosts for", options.display(),
                              printable(ssh_get_error(identity.session.get()))));
  return fmt::format("{} is trusted from now on: {} {}\n", identity.name, identity.type, identity.fingerprint);
}

int trust_command(const CLI::App& app, const Arguments& arguments) {
  Session session("trust", arguments.end.process);
  auto job = one_end_job(app, arguments.end);
  if (!job) return session.fail(job.error());
  if (job->source.scheme != "sftp")
    return session.fail(config_error(arguments.end.url, "only sftp:// servers have host keys"));
  auto settings = read_sftp_settings(job->source, job->connect_timeout);
  if (!settings) return session.fail(settings.error());
  if (!settings->command.empty())
    return session.fail(config_error(arguments.end.url, "this endpoint is a command: it checks its server itself"));
  auto outcome = trust(settings->ssh, arguments.fingerprint);
  if (!outcome) return session.fail(outcome.error());
  session.report({{"version", 1}, {"command", "trust"}, {"message", *outcome}, {"error", nullptr}}, *outcome);
  return exit_code::success;
}

} // namespace

void add_trust_command(CLI::App& app, Action& chosen) {
  CLI::App* command = app.add_subcommand("trust", "Show a server's host key; add it to known_hosts after a yes");
  auto arguments = std::make_shared<Arguments>();
  command->add_option("--fingerprint", arguments->fingerprint, "add the key without asking, if this is its fingerprint")
      ->type_name("SHA256:…");
  add_one_end(*command, arguments->end);
  command->footer("Examples:\n"
                  "  checkvalve trust sftp://source.example\n"
                  "  checkvalve trust --fingerprint SHA256:Wo7… --known-hosts ./known_hosts sftp://source.example:2222\n");
  command->callback([=, &chosen] { chosen = [=] { return trust_command(*command, *arguments); }; });
}

} // namespace checkvalve
