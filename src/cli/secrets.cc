#include "cli/secrets.h"

#include <unistd.h>

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <nlohmann/json.hpp>

#include "cli/read_file.h"
#include "cli/settings.h"

extern char** environ;

namespace checkvalve {
namespace {

constexpr std::size_t largest_secret_bytes = 1 << 20;

// Moves the variables of one prefix out of the environment.
void take_environment(std::string_view prefix, SecretMap& secrets) {
  std::vector<std::string> names;
  for (char** entry = environ; entry && *entry; ++entry) {
    const std::string_view text(*entry);
    const auto equals = text.find('=');
    if (!text.starts_with(prefix) || equals == text.npos) continue;
    names.emplace_back(text.substr(0, equals));
    std::string key(text.substr(prefix.size(), equals - prefix.size()));
    std::transform(key.begin(), key.end(), key.begin(), [](unsigned char c) { return std::tolower(c); });
    secrets[key] = Secret(std::string(text.substr(equals + 1)));
  }
  for (const std::string& name : names) ::unsetenv(name.c_str());
}

Failure wrong(std::string message) { return Failure(config_error("--secrets-fd", std::move(message))); }

Result<void> take_secrets(const nlohmann::json& object, const std::string& where, SecretMap& secrets) {
  if (!object.is_object()) return wrong(fmt::format("invalid value of \"{}\": expected an object", where));
  for (const auto& [key, value] : object.items()) {
    if (!value.is_string()) return wrong(fmt::format("invalid value of \"{}\".\"{}\": expected a string", where, key));
    secrets[key] = Secret(value.get<std::string>());
  }
  return {};
}

} // namespace

Result<void> parse_secrets_document(const std::string& text, Secrets& secrets) {
  // Without exceptions: the parser's own messages quote the text, which holds secrets.
  const nlohmann::json document = nlohmann::json::parse(text, nullptr, false);
  if (document.is_discarded() || !document.is_object()) return wrong("invalid document: expected a JSON object");
  for (const auto& [key, value] : document.items()) {
    if (key == "source")
      CV_CHECK(take_secrets(value, key, secrets.source));
    else if (key == "target")
      CV_CHECK(take_secrets(value, key, secrets.target));
    else if (key == "state")
      CV_CHECK(take_secrets(value, key, secrets.state));
    else if (key != "endpoints")
      return wrong(fmt::format("unknown key \"{}\": expected source, target, endpoints or state", key));
    else if (!value.is_object())
      return wrong("invalid value of \"endpoints\": expected an object");
    else
      for (const auto& [name, object] : value.items())
        CV_CHECK(take_secrets(object, "endpoints." + name, secrets.endpoints[name]));
  }
  return {};
}

Result<Secrets> read_secrets(std::optional<int> fd) {
  Secrets secrets;
  take_environment("CHECKVALVE_SOURCE_", secrets.source_environment);
  take_environment("CHECKVALVE_TARGET_", secrets.target_environment);
  take_environment("CHECKVALVE_STATE_", secrets.state);
  if (!fd) return secrets;
  std::string text;
  const bool read = read_all(*fd, text, largest_secret_bytes);
  const int error = errno;
  Result<void> parsed;
  if (read) parsed = parse_secrets_document(text, secrets);
  ::explicit_bzero(text.data(), text.size());
  if (!read) return wrong(fmt::format("cannot read descriptor {}: {}", *fd, std::strerror(error)));
  if (!parsed) return Failure(std::move(parsed.error()));
  if (*fd > 2) ::close(*fd);
  return secrets;
}

Result<Secret> read_secret_file(const std::string& path, const std::string& place) {
  std::string text;
  if (!read_file(path, text, largest_secret_bytes))
    return Failure(config_error(place, fmt::format("cannot read {}: {}", path, std::strerror(errno))));
  if (text.ends_with('\n')) text.pop_back();
  if (text.ends_with('\r')) text.pop_back();
  return Secret(std::move(text));
}

} // namespace checkvalve
