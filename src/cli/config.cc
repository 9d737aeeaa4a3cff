#include "cli/config.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>

#include "backends/registry.h"
#include "cli/read_file.h"
#include "cli/toml.h"
#include "transforms/registry.h"

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
    const std::string_view replacement = replacement_of(key.str());
    return Failure(config_error(fmt::format("{}:{}", file, key.source().begin.line),
                                fmt::format("unknown key '{}' in {}", key.str(), table),
                                !replacement.empty() ? fmt::format("use {}", replacement)
                                : nearest.empty()    ? "docs/reference/config.md lists the keys"
                                                     : fmt::format("did you mean '{}'?", nearest)));
  }
  Failure invalid(const toml::key& key, std::string message, std::string hint = "") const {
    return Failure(config_error(place(key), std::move(message), std::move(hint)));
  }
};

// What a value may be in TOML.
enum class TomlType : std::uint8_t { text, number, text_or_number, boolean, yes_or_no, date, list };

std::string_view describe(TomlType type) {
  switch (type) {
  case TomlType::text: return "a string";
  case TomlType::number: return "an integer";
  case TomlType::text_or_number: return "a string or an integer";
  case TomlType::boolean:
  case TomlType::yes_or_no: return "true or false";
  case TomlType::date: return "a date or a string";
  case TomlType::list: return "a string or an array of strings";
  }
  return "";
}

TomlType toml_type(OptionType type) {
  switch (type) {
  case OptionType::integer: return TomlType::number;
  case OptionType::size:
  case OptionType::duration: return TomlType::text_or_number;
  case OptionType::boolean: return TomlType::yes_or_no;
  case OptionType::list: return TomlType::list;
  case OptionType::text:
  case OptionType::path:
  case OptionType::secret: break;
  }
  return TomlType::text;
}

TomlType toml_type(const Setting& setting) {
  if (setting.kind == OptionKind::flag || setting.kind == OptionKind::on_off) return TomlType::boolean;
  if (setting.kind == OptionKind::list) return TomlType::list;
  if (setting.value_name == "N") return TomlType::number;
  if (setting.value_name == "SIZE" || setting.value_name == "DURATION" || setting.value_name == "RATE")
    return TomlType::text_or_number;
  return setting.value_name == "DATE" ? TomlType::date : TomlType::text;
}

// The value as a user would write it on the command line; nothing if it is of another type.
std::optional<std::string> typed_text(const toml::node& node, TomlType type) {
  const bool is_text = type != TomlType::number && type != TomlType::boolean;
  const bool is_number = type == TomlType::number || type == TomlType::text_or_number;
  if (const auto* text = node.as_string(); text && is_text) return text->get();
  if (const auto* number = node.as_integer(); number && is_number) return fmt::format("{}", number->get());
  if (const auto* boolean = node.as_boolean(); boolean && (type == TomlType::boolean || type == TomlType::yes_or_no))
    return boolean->get() ? "true" : "false";
  if (const auto* date = node.as_date(); date && type == TomlType::date)
    return fmt::format("{:04}-{:02}-{:02}", date->get().year, date->get().month, date->get().day);
  return std::nullopt;
}

// The value as messages show it.
std::string shown(const toml::node& node) {
  if (node.is_table()) return "a table";
  if (node.is_array()) return "an array";
  std::ostringstream out;
  node.visit([&](const auto& each) { out << each; });
  return out.str();
}

Failure wrong_type(const Reading& reading, const toml::key& key, TomlType type, const toml::node& node) {
  return reading.invalid(key, fmt::format("invalid value {}: expected {}", shown(node), describe(type)));
}

// "none" is a value of options like ssh_config: a file of that name is ./none.
std::string path_text(const Reading& reading, const std::string& text) {
  if (text == "none") return text;
  if (text.starts_with("~/")) {
    const char* home = std::getenv("HOME");
    if (home && *home) return home + text.substr(1);
  }
  if (text.starts_with('/')) return text;
  return (fs::path(reading.file).parent_path() / text).lexically_normal().string();
}

// Whether an endpoint is written as a path of this machine, and not as a URL, NAME:path or, by mistake, as for scp.
bool is_plain_path(std::string_view text) { return text.substr(0, text.find('/')).find(':') == text.npos; }

// Whether a setting names a file or directory of this machine, by the type of its value.
bool names_file(const Setting& setting, std::string_view text) {
  if (setting.value_name == "URL|NAME:path") return is_plain_path(text);
  if (setting.value_name == "FILE") return true;
  if (setting.value_name == "FILE|-") return text != "-";
  return setting.value_name == "PATH|URL" && text.find(':') == text.npos;
}

// A list as a JSON array.
Result<std::string> list_text(const Reading& reading, const toml::key& key, const toml::node& node) {
  nlohmann::json words = nlohmann::json::array();
  if (const auto* text = node.as_string()) {
    words.push_back(text->get());
  } else if (const toml::array* array = node.as_array()) {
    for (const toml::node& element : *array) {
      if (!element.is_string())
        return reading.invalid(key, fmt::format("invalid element {}: expected a string", shown(element)));
      words.push_back(element.as_string()->get());
    }
  } else {
    return wrong_type(reading, key, TomlType::list, node);
  }
  return words.dump();
}

Result<std::string> option_text(const Reading& reading, const toml::key& key, const toml::node& node,
                                const OptionSpec& spec) {
  if (spec.type == OptionType::list) return list_text(reading, key, node);
  const auto text = typed_text(node, toml_type(spec.type));
  if (!text) return wrong_type(reading, key, toml_type(spec.type), node);
  return spec.type == OptionType::path ? path_text(reading, *text) : *text;
}

// A [[job.NAME.transform]] table as the command line writes it: its key `name` and the transform's options. Unknown
// names are reported when the setting is applied.
Result<std::string> transform_text(const Reading& reading, const toml::table& table) {
  TransformCall call;
  const toml::node* name = table.get("name");
  if (!name || !name->is_string())
    return Failure(config_error(fmt::format("{}:{}: transform", reading.file, table.source().begin.line),
                                "missing name", "for example name = \"gzip\""));
  call.name = name->as_string()->get();
  const TransformDescriptor* descriptor = find_transform(call.name);
  for (const auto& [key, node] : table) {
    if (key.str() == "name") continue;
    const OptionSpec* spec = descriptor ? find_option(descriptor->options, key.str()) : nullptr;
    if (key.str() == rename_option.name) spec = &rename_option;
    std::string& text = call.options[std::string(key.str())];
    if (spec) {
      CV_TRY(text, option_text(reading, key, node, *spec));
    } else {
      text = shown(node);
    }
  }
  return to_string(call);
}

Result<std::vector<Assignment>> read_settings(const Reading& reading, const toml::table& table) {
  std::vector<std::string> known;
  for (const Setting& setting : all_settings())
    if (setting.in_config) known.emplace_back(setting.name);
  std::vector<Assignment> excludes; // in front: an exclude list narrows an include list
  std::vector<Assignment> others;
  for (const auto& [key, node] : table) {
    const Setting* setting = find_setting(key.str());
    if (!setting || !setting->in_config) return reading.unknown(key, known);
    std::vector<Assignment>& assignments = setting->name == "exclude" ? excludes : others;
    auto add = [&](const toml::node& one, TomlType type) -> Result<void> {
      std::optional<std::string> text = typed_text(one, type);
      if (const toml::table* call = one.as_table(); call && setting->name == "transform") {
        CV_TRY(text, transform_text(reading, *call));
      }
      if (!text) return wrong_type(reading, key, type, one);
      if (!text->empty() && names_file(*setting, *text)) text = path_text(reading, *text);
      assignments.push_back({setting, std::move(*text), reading.place(key)});
      return {};
    };
    const TomlType type = toml_type(*setting);
    if (const toml::array* array = node.as_array(); array && type == TomlType::list) {
      for (const toml::node& element : *array) CV_CHECK(add(element, TomlType::text));
    } else {
      CV_CHECK(add(node, type));
    }
  }
  if (others.empty()) return excludes;
  excludes.insert(excludes.end(), std::make_move_iterator(others.begin()), std::make_move_iterator(others.end()));
  return excludes;
}

Result<Endpoint> read_address(const Reading& reading, const toml::table& table) {
  Endpoint endpoint;
  if (const auto* url = table.get("url")) {
    for (const char* part : {"scheme", "host", "port", "user", "root"})
      if (table.contains(part))
        return Failure(config_error(reading.file, fmt::format("{} has both 'url' and '{}'", reading.table, part)));
    if (!url->is_string())
      return Failure(config_error(reading.file, reading.table + ": invalid url: expected a string"));
    const std::string& text = url->as_string()->get();
    auto parsed = parse_endpoint_url(is_plain_path(text) ? path_text(reading, text) : text);
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
      if (!node.is_string()) return reading.invalid(key, "invalid value: expected a string");
      *text = node.as_string()->get();
    } else if (key.str() == "port") {
      const auto* port = node.as_integer();
      if (!port || port->get() < 1 || port->get() > 65535)
        return reading.invalid(key, "invalid value: expected an integer from 1 to 65535");
      endpoint.port = static_cast<std::uint16_t>(port->get());
    }
  }
  if (endpoint.scheme == plain_path_backend().scheme && !endpoint.root.empty())
    endpoint.root = path_text(reading, endpoint.root);
  if (endpoint.scheme.empty())
    return Failure(config_error(reading.file, fmt::format("{} has no address", reading.table),
                                "write url = \"sftp://…\", or scheme, host, …"));
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
    return reading.invalid(
        key, "secrets are not allowed in the config",
        fmt::format("name a file or an environment variable: {0}_file = \"…\" or {0}_env = \"…\"", secret->name));
  if (!node.is_string()) return reading.invalid(key, "invalid value: expected a string");
  SecretPlace& place = config.secrets[std::string(secret->name)];
  if (!place.place.empty()) return reading.invalid(key, fmt::format("duplicate secret (see {})", place.place));
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
  if (!backend)
    return Failure(
        config_error(reading.file, fmt::format("{}: {}", reading.table, unknown_scheme(config.endpoint.scheme))));
  for (const auto& [key, node] : table)
    if (!is_address_key(key.str())) CV_CHECK(read_endpoint_key(reading, *backend, key, node, config));
  return config;
}

} // namespace

bool has_default(const Config& config, std::string_view key) {
  return std::ranges::any_of(config.defaults, [&](const Assignment& each) { return each.setting->name == key; });
}

Result<Config> parse_config(std::string_view text, const std::string& file) {
  Config config;
  config.file = file;
  const toml::parse_result parsed = toml::parse(text, file);
  if (!parsed) {
    const toml::parse_error& error = parsed.error();
    return Failure(config_error(fmt::format("{}:{}:{}", file, error.source().begin.line, error.source().begin.column),
                                fmt::format("invalid TOML: {}", error.description())));
  }
  Reading reading{file, "the config"};
  const std::vector<std::string> known = {"airflow", "defaults", "endpoint", "job"};
  for (const auto& [key, node] : parsed.table()) {
    if (key.str() == "airflow") continue; // for the Airflow provider
    if (std::find(known.begin(), known.end(), key.str()) == known.end()) return reading.unknown(key, known);
    const toml::table* table = node.as_table();
    if (!table)
      return reading.invalid(
          key, fmt::format("expected a table: [{}{}]", key.str(), key.str() == "defaults" ? "" : ".NAME"));
    if (key.str() == "defaults") {
      CV_TRY(config.defaults, read_settings(Reading{file, "[defaults]"}, *table));
      continue;
    }
    for (const auto& [name, inner] : *table) {
      const Reading inside{file, fmt::format("[{}.{}]", key.str(), name.str())};
      const std::string own(name.str());
      if (!inner.is_table()) return reading.invalid(name, fmt::format("expected a table: {}", inside.table));
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
    std::string text;
    if (!read_file(place, text))
      return Failure(config_error(place, fmt::format("cannot read the config: {}", std::strerror(errno))));
    return parse_config(text, place);
  }
  return Config{};
}

} // namespace checkvalve
