#include "cli/config.h"

#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

#include <fmt/format.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "backends/registry.h"
#include "transforms/transform.h"

namespace checkvalve {
namespace {

namespace fs = std::filesystem;

// What the functions below share: where they are.
struct Reading {
  std::string file;
  std::string table; // "[job.daily]"

  std::string place(const toml::key& key) const {
    return fmt::format("{}:{}: {}", file, key.source().begin.line, key.str());
  }
  Failure unknown(const toml::key& key, std::span<const std::string> known) const {
    const std::string nearest = nearest_word(key.str(), known);
    std::string mend = nearest.empty() ? std::string("docs/reference/config.md lists the keys")
                                       : fmt::format("did you mean '{}'?", nearest);
    return Failure(config_error(fmt::format("{}:{}", file, key.source().begin.line),
                                fmt::format("'{}' is no key of {}: {}", key.str(), table, mend)));
  }
  Failure wrong(const toml::key& key, std::string message) const {
    return Failure(config_error(place(key), std::move(message)));
  }
};

// A string, whole number or boolean as the text that a user would write on the command line.
std::optional<std::string> scalar_text(const toml::node& node) {
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* number = node.as_integer()) return fmt::format("{}", number->get());
  if (const auto* boolean = node.as_boolean()) return boolean->get() ? "true" : "false";
  if (const auto* date = node.as_date())
    return fmt::format("{:04}-{:02}-{:02}", date->get().year, date->get().month, date->get().day);
  return std::nullopt;
}

std::string path_text(const Reading& reading, const std::string& text) {
  if (text.starts_with("~/")) {
    const char* home = std::getenv("HOME");
    if (home && *home) return home + text.substr(1);
  }
  if (text.starts_with('/')) return text;
  return (fs::path(reading.file).parent_path() / text).lexically_normal().string();
}

// A setting that names a file of this machine, by what the table of settings says of its value.
bool names_file(const Setting& setting, std::string_view text) {
  if (setting.value_name == "FILE") return true;
  if (setting.value_name == "FILE|-") return text != "-";
  return setting.value_name == "PATH|URL" && text.find(':') == text.npos;
}

// A [[job.NAME.transform]] table as the command line's text: its key `name` and the transform's options.
std::optional<std::string> transform_text(const toml::table& table) {
  TransformCall call;
  for (const auto& [key, node] : table) {
    auto text = scalar_text(node);
    if (const toml::array* array = node.as_array()) {
      nlohmann::json words = nlohmann::json::array();
      for (const toml::node& element : *array) {
        if (!element.is_string()) return std::nullopt;
        words.push_back(element.as_string()->get());
      }
      text = words.dump();
    }
    if (!text) return std::nullopt;
    if (key.str() == "name")
      call.name = *text;
    else
      call.options[std::string(key.str())] = *text;
  }
  return to_string(call);
}

Result<std::vector<Assignment>> read_settings(const Reading& reading, const toml::table& table) {
  std::vector<std::string> known;
  for (const Setting& setting : all_settings())
    if (setting.for_config) known.emplace_back(setting.key);
  std::vector<Assignment> excludes; // in front: an exclude list narrows an include list
  std::vector<Assignment> others;
  for (const auto& [key, node] : table) {
    const Setting* setting = find_setting(key.str());
    if (!setting || !setting->for_config) return reading.unknown(key, known);
    std::vector<Assignment>& assignments = setting->key == "exclude" ? excludes : others;
    auto add = [&](const toml::node& one) {
      auto text = scalar_text(one);
      if (const toml::table* call = one.as_table(); call && setting->key == "transform") text = transform_text(*call);
      const bool switches = setting->kind == SettingKind::flag || setting->kind == SettingKind::on_off;
      if (!text || switches != one.is_boolean()) return false;
      if (!text->empty() && names_file(*setting, *text)) text = path_text(reading, *text);
      assignments.push_back({setting, std::move(*text), reading.place(key)});
      return true;
    };
    if (const toml::array* array = node.as_array(); array && setting->kind == SettingKind::list) {
      for (const toml::node& element : *array)
        if (!add(element)) return reading.wrong(key, "each element must be a text in quotes");
    } else if (!add(node)) {
      return reading.wrong(key, setting->kind == SettingKind::list    ? "must be a text in quotes or a list of them"
                                : setting->kind == SettingKind::value ? "must be a text in quotes or a number"
                                                                      : "must be true or false");
    }
  }
  if (others.empty()) return excludes;
  excludes.insert(excludes.end(), std::make_move_iterator(others.begin()), std::make_move_iterator(others.end()));
  return excludes;
}

Result<std::string> option_text(const Reading& reading, const toml::key& key, const toml::node& node,
                                const OptionSpec& spec) {
  if (spec.type == OptionType::list) {
    nlohmann::json words = nlohmann::json::array();
    if (const toml::array* array = node.as_array()) {
      for (const toml::node& element : *array) {
        if (!element.is_string()) return reading.wrong(key, "each element must be a text in quotes");
        words.push_back(element.as_string()->get());
      }
    } else if (node.is_string()) {
      words.push_back(node.as_string()->get());
    } else {
      return reading.wrong(key, "must be a list of texts in quotes");
    }
    return words.dump();
  }
  const auto text = scalar_text(node);
  if (!text) return reading.wrong(key, "must be a text in quotes, a number, true or false");
  return spec.type == OptionType::path ? path_text(reading, *text) : *text;
}

Result<Endpoint> read_address(const Reading& reading, const toml::table& table) {
  Endpoint endpoint;
  if (const auto* url = table.get("url")) {
    for (const char* part : {"scheme", "host", "port", "user", "root"})
      if (table.contains(part))
        return Failure(config_error(reading.file,
                                    fmt::format("{} has both 'url' and '{}': write one of them", reading.table, part)));
    if (!url->is_string()) return Failure(config_error(reading.file, reading.table + ": url must be a text in quotes"));
    auto parsed = parse_endpoint_url(url->as_string()->get());
    if (!parsed)
      return Failure(
          config_error(fmt::format("{}:{}: url", reading.file, url->source().begin.line), parsed.error().message));
    return parsed;
  }
  for (const auto& [key, node] : table) {
    std::string* text = key.str() == "scheme" ? &endpoint.scheme
                        : key.str() == "host" ? &endpoint.host
                        : key.str() == "user" ? &endpoint.user
                        : key.str() == "root" ? &endpoint.root
                                              : nullptr;
    if (text) {
      if (!node.is_string()) return reading.wrong(key, "must be a text in quotes");
      *text = node.as_string()->get();
    } else if (key.str() == "port") {
      const auto* port = node.as_integer();
      if (!port || port->get() < 1 || port->get() > 65535)
        return reading.wrong(key, "must be a number from 1 to 65535");
      endpoint.port = static_cast<std::uint16_t>(port->get());
    }
  }
  if (endpoint.scheme.empty())
    return Failure(config_error(
        reading.file, fmt::format("{} has no address: write url = \"sftp://…\", or scheme, host, …", reading.table)));
  return endpoint;
}

bool is_address_key(std::string_view key) {
  return key == "url" || key == "scheme" || key == "host" || key == "port" || key == "user" || key == "root";
}

// "password_file" and "password_env", if the backend declares the secret "password".
const OptionSpec* find_secret(const BackendDescriptor& backend, std::string_view key, std::string_view& how) {
  for (const OptionSpec& spec : backend.options)
    for (std::string_view suffix : {"", "_file", "_env"})
      if (spec.type == OptionType::secret && key.starts_with(spec.name) && key.substr(spec.name.size()) == suffix) {
        how = suffix;
        return &spec;
      }
  return nullptr;
}

Result<void> read_endpoint_key(const Reading& reading, const BackendDescriptor& backend, const toml::key& key,
                               const toml::node& node, EndpointConfig& config) {
  for (const OptionSpec& spec : backend.options)
    if (spec.type != OptionType::secret && spec.name == key.str()) {
      CV_TRY(config.endpoint.options[std::string(spec.name)], option_text(reading, key, node, spec));
      return {};
    }
  std::string_view how;
  const OptionSpec* secret = find_secret(backend, key.str(), how);
  if (!secret) {
    std::vector<std::string> known = {"url", "scheme", "host", "port", "user", "root"};
    for (const OptionSpec& spec : backend.options) {
      const std::string name(spec.name);
      if (spec.type == OptionType::secret)
        known.insert(known.end(), {name + "_file", name + "_env"});
      else
        known.push_back(name);
    }
    return reading.unknown(key, known);
  }
  if (how.empty())
    return reading.wrong(
        key,
        fmt::format("a secret does not belong in the config: write {0}_file = \"…\" or {0}_env = \"…\"", secret->name));
  if (!node.is_string()) return reading.wrong(key, "must be a text in quotes");
  SecretPlace& place = config.secrets[std::string(secret->name)];
  if (!place.place.empty())
    return reading.wrong(key, fmt::format("the secret is named twice (also by {})", place.place));
  place.place = reading.place(key);
  if (how == "_env")
    place.variable = node.as_string()->get();
  else
    place.file = path_text(reading, node.as_string()->get());
  return {};
}

Result<EndpointConfig> read_endpoint(const Reading& reading, const std::string& name, const toml::table& table) {
  EndpointConfig config;
  CV_TRY(config.endpoint, read_address(reading, table));
  config.endpoint.name = name;
  const BackendDescriptor* backend = find_backend(config.endpoint.scheme);
  if (!backend) {
    std::string known;
    for (const BackendDescriptor* each : backends())
      known += fmt::format("{}{}", known.empty() ? "" : ", ", each->scheme);
    return Failure(config_error(reading.file, fmt::format("{}: no backend is named '{}': there are {}", reading.table,
                                                          config.endpoint.scheme, known)));
  }
  for (const auto& [key, node] : table)
    if (!is_address_key(key.str())) CV_CHECK(read_endpoint_key(reading, *backend, key, node, config));
  return config;
}

} // namespace

Result<Config> parse_config(std::string_view text, const std::string& file) {
  Config config;
  config.file = file;
  const toml::parse_result parsed = toml::parse(text, file);
  if (!parsed) {
    const toml::parse_error& error = parsed.error();
    return Failure(config_error(fmt::format("{}:{}:{}", file, error.source().begin.line, error.source().begin.column),
                                fmt::format("this is no TOML: {}", error.description())));
  }
  Reading reading{file, "the config"};
  const std::vector<std::string> known = {"airflow", "defaults", "endpoint", "job"};
  for (const auto& [key, node] : parsed.table()) {
    if (key.str() == "airflow") continue; // when and where jobs run: read by the Airflow provider
    if (std::find(known.begin(), known.end(), key.str()) == known.end()) return reading.unknown(key, known);
    const toml::table* table = node.as_table();
    if (!table)
      return reading.wrong(key,
                           fmt::format("must be a table: [{}{}]", key.str(), key.str() == "defaults" ? "" : ".NAME"));
    if (key.str() == "defaults") {
      CV_TRY(config.defaults, read_settings(Reading{file, "[defaults]"}, *table));
      continue;
    }
    for (const auto& [name, inner] : *table) {
      const Reading inside{file, fmt::format("[{}.{}]", key.str(), name.str())};
      const std::string own(name.str());
      if (!inner.is_table()) return reading.wrong(name, fmt::format("must be a table: {}", inside.table));
      if (key.str() == "job") {
        CV_TRY(config.jobs[own], read_settings(inside, *inner.as_table()));
      } else {
        CV_TRY(config.endpoints[own], read_endpoint(inside, own, *inner.as_table()));
      }
    }
  }
  return config;
}

Result<Config> load_config(const std::optional<std::string>& named) {
  std::vector<std::string> places;
  if (named) {
    places.push_back(*named);
  } else {
    places.emplace_back("checkvalve.toml");
    const char* xdg = std::getenv("XDG_CONFIG_HOME");
    const char* home = std::getenv("HOME");
    if (xdg && *xdg)
      places.push_back(std::string(xdg) + "/checkvalve/config.toml");
    else if (home && *home)
      places.push_back(std::string(home) + "/.config/checkvalve/config.toml");
  }
  for (const std::string& place : places) {
    std::error_code ignored;
    if (!named && !fs::exists(place, ignored)) continue;
    errno = 0;
    std::ifstream file(place, std::ios::binary);
    std::ostringstream text;
    if (!file || fs::is_directory(place, ignored) || !(text << file.rdbuf(), !file.bad()))
      return Failure(config_error(
          place, fmt::format("can't read the config: {}", errno ? std::strerror(errno) : "is a directory")));
    return parse_config(text.str(), place);
  }
  return Config{};
}

} // namespace checkvalve
