// checkvalve trust: shows a server's host key and adds it to known_hosts after confirmation.
#include <fmt/format.h>

#include <iostream>
#include <memory>

#include "backends/registry.h"
#include "cli/commands/commands.h"
#include "cli/commands/one_end.h"
#include "cli/exit_code.h"

namespace checkvalve {
namespace {

struct Arguments {
  OneEndArguments end;
  std::string fingerprint;
};

// Asks on standard error, so that the answer may come through a pipe.
bool confirm(const std::string& question) {
  std::cerr << question << " [y/N] ";
  std::string answer;
  std::getline(std::cin, answer);
  return answer == "y" || answer == "Y" || answer == "yes";
}

int trust_command(const Command& command, const Arguments& arguments) {
  Session session("trust", arguments.end.process);
  auto job = one_end_job(command, arguments.end);
  if (!job) return session.fail(job.error());
  const BackendDescriptor* backend = find_backend(job->source.scheme);
  if (!backend || !backend->trust)
    return session.fail(
        config_error(arguments.end.url, fmt::format("{}:// servers have no host keys", job->source.scheme)));
  if (auto checked = check_options(*backend, job->source); !checked) return session.fail(checked.error());
  auto outcome = backend->trust(job->source, {arguments.fingerprint, confirm, job->connect_timeout});
  if (!outcome) return session.fail(outcome.error());
  session.report({{"version", 1}, {"command", "trust"}, {"message", *outcome}, {"error", nullptr}}, *outcome);
  return exit_code::success;
}

} // namespace

void add_trust_command(CommandLine& line) {
  Command& command = line.add("trust", "Show a server's host key and add it to known_hosts after confirmation");
  auto arguments = std::make_shared<Arguments>();
  command.option({.names = "--fingerprint",
                  .value_name = "SHA256:…",
                  .help = "add the key without asking if it has this fingerprint"},
                 arguments->fingerprint);
  add_one_end(command, arguments->end, takes::trust);
  command.examples(
      {"checkvalve trust sftp://source.example",
       "checkvalve trust --fingerprint SHA256:Wo7… --known-hosts ./known_hosts sftp://source.example:2222"});
  command.action([&command, arguments] { return trust_command(command, *arguments); });
}

} // namespace checkvalve
