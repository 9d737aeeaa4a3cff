// checkvalve trust: shows a server's host key and adds it to known_hosts after a yes.
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

Failure refused(const std::string& peer, std::string message) {
  return Failure(make_error(ErrorKind::host_key, "trust", peer, std::move(message)));
}

// Asks on standard error, so that the answer may come through a pipe as well.
bool asks_and_agrees(const HostKey& key, const std::string& peer) {
  std::cerr << fmt::format(
      "The {} key of {} is\n  {}\nAsk the server's owner for the fingerprint. Is it this one? [y/N] ", key.type, peer,
      key.fingerprint);
  std::string answer;
  std::getline(std::cin, answer);
  return answer == "y" || answer == "Y" || answer == "yes";
}

// What is to be said after it went well. Blocks.
Result<std::string> trust(const SshOptions& options, const std::string& wanted) {
  const std::string peer = options.display();
  CV_TRY(const bool proxied, ssh_config_has_proxy(options));
  if (proxied)
    return Failure(config_error(
        peer, "ssh_config reaches this host through another one: log in once with the ssh program, which asks "
              "about each host key on the way"));
  CV_TRY(const HostKey key, fetch_host_key(options));
  if (!wanted.empty() && wanted != key.fingerprint)
    return refused(
        peer, fmt::format("the server's {} key is {}, not {}: nothing was added", key.type, key.fingerprint, wanted));
  if (key.state == HostKeyState::known)
    return fmt::format("{} is trusted already: {} {}\n", peer, key.type, key.fingerprint);
  if (key.state == HostKeyState::unknown && wanted.empty() && !asks_and_agrees(key, peer))
    return refused(
        peer, fmt::format("not confirmed: nothing was added. Without a question: --fingerprint {}", key.fingerprint));
  CV_CHECK(trust_host_key(key));
  return fmt::format("{} is trusted from now on: {} {}, in {}\n", peer, key.type, key.fingerprint,
                     key.known_hosts_file);
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
  add_one_end(*command, arguments->end, takes::trust);
  command->footer(
      "Examples:\n"
      "  checkvalve trust sftp://source.example\n"
      "  checkvalve trust --fingerprint SHA256:Wo7… --known-hosts ./known_hosts sftp://source.example:2222\n");
  command->callback([=, &chosen] { chosen = [=] { return trust_command(*command, *arguments); }; });
}

} // namespace checkvalve
