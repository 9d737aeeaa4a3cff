// checkvalve trust: shows a server's host key and adds it to known_hosts after confirmation.
#include <fmt/format.h>

#include <iostream>
#include <memory>

#include "backends/sftp/sftp_settings.h"
#include "cli/commands/commands.h"
#include "cli/commands/one_end.h"
#include "cli/exit_code.h"
#include "protocol/host_key.h"
#include "protocol/ssh_login.h"

namespace checkvalve {
namespace {

struct Arguments {
  OneEndArguments end;
  std::string fingerprint;
};

Failure refused(const std::string& peer, std::string message, std::string hint = "") {
  Error error = make_error(ErrorKind::host_key, "trust", peer, std::move(message));
  error.hint = std::move(hint);
  return Failure(std::move(error));
}

// Asks on standard error; the answer may come through a pipe.
bool asks_and_agrees(const HostKey& key, const std::string& peer) {
  std::cerr << fmt::format("The {} host key of {} has the fingerprint\n  {}\nCompare it with what the server's "
                           "administrator says. Trust it? "
                           "[y/N] ",
                           key.type, peer, key.fingerprint);
  std::string answer;
  std::getline(std::cin, answer);
  return answer == "y" || answer == "Y" || answer == "yes";
}

// Returns the message to print. Blocks.
Result<std::string> trust(const SshOptions& options, const std::string& wanted) {
  const std::string peer = options.display();
  CV_TRY(const bool proxied, ssh_config_has_proxy(options));
  if (proxied)
    return Failure(config_error(peer, "ssh_config uses a proxy for this host",
                                "log in once with the ssh program, which asks for each host key"));
  CV_TRY(const HostKey key, fetch_host_key(options));
  if (!wanted.empty() && wanted != key.fingerprint)
    return refused(peer,
                   fmt::format("the {} host key has the fingerprint {}, not {}", key.type, key.fingerprint, wanted));
  if (key.state == HostKeyState::known)
    return fmt::format("{} is already trusted: {} {}\n", peer, key.type, key.fingerprint);
  if (key.state == HostKeyState::unknown && wanted.empty() && !asks_and_agrees(key, peer))
    return refused(peer, "not confirmed",
                   fmt::format("to confirm without a question: --fingerprint {}", key.fingerprint));
  CV_CHECK(trust_host_key(key));
  return fmt::format("added the host key of {}: {} {} to {}\n", peer, key.type, key.fingerprint, key.known_hosts_file);
}

int trust_command(const CLI::App& app, const Arguments& arguments) {
  Session session("trust", arguments.end.process);
  auto job = one_end_job(app, arguments.end);
  if (!job) return session.fail(job.error());
  if (job->source.scheme != "sftp")
    return session.fail(config_error(arguments.end.url, "not an SFTP server: only those have host keys"));
  auto settings = read_sftp_settings(job->source, job->connect_timeout);
  if (!settings) return session.fail(settings.error());
  if (!settings->command.empty())
    return session.fail(config_error(arguments.end.url, "the endpoint is a command, which checks the host key itself"));
  auto outcome = trust(settings->ssh, arguments.fingerprint);
  if (!outcome) return session.fail(outcome.error());
  session.report({{"version", 1}, {"command", "trust"}, {"message", *outcome}, {"error", nullptr}}, *outcome);
  return exit_code::success;
}

} // namespace

void add_trust_command(CLI::App& app, Action& chosen) {
  CLI::App* command =
      app.add_subcommand("trust", "Show a server's host key and add it to known_hosts after confirmation");
  auto arguments = std::make_shared<Arguments>();
  command->add_option("--fingerprint", arguments->fingerprint, "add the key without asking if it has this fingerprint")
      ->type_name("SHA256:…");
  add_one_end(*command, arguments->end, takes::trust);
  command->footer(
      "Examples:\n"
      "  checkvalve trust sftp://source.example\n"
      "  checkvalve trust --fingerprint SHA256:Wo7… --known-hosts ./known_hosts sftp://source.example:2222\n");
  command->callback([=, &chosen] { chosen = [=] { return trust_command(*command, *arguments); }; });
}

} // namespace checkvalve
