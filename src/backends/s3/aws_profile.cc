#include "backends/s3/aws_profile.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>

#include "core/path.h"

namespace checkvalve {
namespace {

std::string process_variable(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  return value ? value : "";
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t' || text.back() == '\r')) text.remove_suffix(1);
  return text;
}

// "value # remark": a remark needs a space before its sign.
std::string_view without_remark(std::string_view value) {
  for (std::string_view mark : {" #", " ;", "\t#", "\t;"})
    if (const std::size_t at = value.find(mark); at != value.npos) value = value.substr(0, at);
  return trimmed(value);
}

std::string file_of(const AwsEnvironment& environment, const std::string& variable, const std::string& name) {
  const std::string given = environment.variable(variable);
  return given.empty() ? join_path(environment.variable("HOME"), ".aws/" + name) : given;
}

Result<std::map<std::string, AwsSection>> read_file(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in) return std::map<std::string, AwsSection>{};
  return parse_aws_file(std::string(std::istreambuf_iterator<char>(in), {}), file);
}

} // namespace

Result<std::map<std::string, AwsSection>> parse_aws_file(std::string_view text, const std::string& file) {
  std::map<std::string, AwsSection> sections;
  AwsSection* section = nullptr;
  for (int number = 1; !text.empty(); ++number) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view raw = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const std::string_view line = trimmed(raw);
    if (line.empty() || line.front() == '#' || line.front() == ';') continue;
    if (line.front() == '[') {
      const std::size_t close = line.find(']');
      if (close == line.npos)
        return Failure(
            make_error(ErrorKind::config, "read", file, fmt::format("line {}: a section lacks its ']'", number)));
      section = &sections[std::string(trimmed(line.substr(1, close - 1)))];
      continue;
    }
    if (raw.front() == ' ' || raw.front() == '\t') continue;
    const std::size_t equals = line.find('=');
    if (equals == line.npos || !section)
      return Failure(make_error(ErrorKind::config, "read", file,
                                fmt::format("line {}: NAME = VALUE below a [section] was expected", number)));
    (*section)[std::string(trimmed(line.substr(0, equals)))] = without_remark(trimmed(line.substr(equals + 1)));
  }
  return sections;
}

const AwsSection* AwsEnvironment::find_profile(const std::string& name) const {
  const auto found = profiles.find(name);
  return found == profiles.end() ? nullptr : &found->second;
}

std::string AwsEnvironment::of_profile(const std::string& key) const {
  const AwsSection* section = find_profile(profile);
  if (!section) return "";
  const auto found = section->find(key);
  return found == section->end() ? "" : found->second;
}

Result<AwsEnvironment> read_aws_environment(std::string profile) {
  AwsEnvironment environment;
  environment.variable = process_variable;
  environment.profile_is_option = !profile.empty();
  if (profile.empty()) profile = environment.variable("AWS_PROFILE");
  const bool named = !profile.empty(); // it must then exist
  if (!profile.empty()) environment.profile = std::move(profile);

  const std::string config_file = file_of(environment, "AWS_CONFIG_FILE", "config");
  const std::string credentials_file = file_of(environment, "AWS_SHARED_CREDENTIALS_FILE", "credentials");
  CV_TRY(const auto config, read_file(config_file));
  CV_TRY(const auto credentials, read_file(credentials_file));
  for (const auto& [name, section] : config) {
    if (name == "default")
      environment.profiles[name] = section;
    else if (name.starts_with("profile "))
      environment.profiles[std::string(trimmed(std::string_view(name).substr(8)))] = section;
    else if (name.starts_with("sso-session "))
      environment.sso_sessions[std::string(trimmed(std::string_view(name).substr(12)))] = section;
  }
  for (const auto& [name, section] : credentials)
    for (const auto& [key, value] : section) environment.profiles[name][key] = value;
  if (named && !environment.find_profile(environment.profile))
    return Failure(make_error(ErrorKind::config, "use profile", environment.profile,
                              fmt::format("is neither in {} nor in {}", config_file, credentials_file)));
  return environment;
}

} // namespace checkvalve
