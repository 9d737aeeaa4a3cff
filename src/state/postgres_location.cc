#include "state/postgres_location.h"

#include <fmt/format.h>
#include <libpq-fe.h>

#include <algorithm>
#include <map>
#include <memory>

namespace checkvalve {
namespace {

constexpr std::string_view password_advice =
    "a password in a URL shows in process lists: take it out of the URL and set CHECKVALVE_STATE_PASSWORD, give it by "
    "--secrets-fd, or put it into ~/.pgpass";

Failure refusal(std::string message) {
  return Failure(make_error(ErrorKind::config, "open state", "postgresql://…", std::move(message)));
}

// "postgresql://user:secret@host/…": found without libpq, whose messages about a URL that it can't read quote it.
// It may hold '/' or '=', which should have been percent-encoded.
bool has_password_before_host(std::string_view url) {
  const std::string_view rest = url.substr(url.find("://") + 3);
  for (const std::size_t end : {rest.find_first_of("/?"), rest.find('=')}) {
    const std::string_view head = rest.substr(0, end);
    const std::size_t at = head.rfind('@');
    if (at != head.npos && head.substr(0, at).find(':') != head.npos) return true;
  }
  return false;
}

// "a:1,b:2" of libpq's lists "a,b" and "1,2"; one port is of all hosts.
std::string hosts_and_ports(std::string_view hosts, std::string_view ports) {
  std::string out;
  for (bool first = true; first || !hosts.empty(); first = false) {
    const std::size_t host_end = std::min(hosts.find(','), hosts.size());
    const std::size_t port_end = std::min(ports.find(','), ports.size());
    const std::string_view port = ports.substr(0, port_end);
    out += fmt::format("{}{}{}{}", first ? "" : ",", hosts.substr(0, host_end), port.empty() ? "" : ":", port);
    hosts.remove_prefix(std::min(host_end + 1, hosts.size()));
    if (port_end < ports.size()) ports.remove_prefix(port_end + 1);
  }
  return out;
}

} // namespace

Result<PostgresLocation> check_postgres_url(const std::string& url) {
  if (url.find("://") == url.npos || has_password_before_host(url) || url.find("password=") != url.npos)
    return refusal(std::string(password_advice));
  char* message = nullptr;
  const std::unique_ptr<PQconninfoOption, void (*)(PQconninfoOption*)> options(PQconninfoParse(url.c_str(), &message),
                                                                               PQconninfoFree);
  const std::unique_ptr<char, void (*)(void*)> owned_message(message, PQfreemem);
  if (!options)
    return refusal(fmt::format("not a URL of a database ({}): write postgresql://user@host:port/database?option=value",
                               message ? message : "out of memory"));
  std::map<std::string, std::string> given;
  for (const PQconninfoOption* option = options.get(); option->keyword; ++option)
    if (option->val) given[option->keyword] = option->val;
  for (const char* secret : {"password", "sslpassword"})
    if (given.contains(secret)) return refusal(std::string(password_advice));
  const std::string& attributes = given["target_session_attrs"];
  return PostgresLocation{fmt::format("postgresql://{}{}{}/{}", given["user"], given["user"].empty() ? "" : "@",
                                      hosts_and_ports(given["host"], given["port"]), given["dbname"]),
                          !attributes.empty() && attributes != "any"};
}

} // namespace checkvalve
