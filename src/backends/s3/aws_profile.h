// The environment variables and shared files by which AWS's tools are set up ("AWS SDKs and Tools Reference Guide").
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "core/result.h"

namespace checkvalve {

// A section of ~/.aws/config or ~/.aws/credentials.
using AwsSection = std::map<std::string, std::string>;

struct AwsEnvironment {
  std::function<std::string(const std::string& name)> variable; // the process's environment; "" where not set
  std::string profile = "default";
  bool profile_is_option = false;             // it then comes before the environment's keys
  std::map<std::string, AwsSection> profiles; // both files; the credentials file wins
  std::map<std::string, AwsSection> sso_sessions;

  // A setting of the chosen profile, or "".
  std::string of_profile(const std::string& key) const;
  const AwsSection* find_profile(const std::string& name) const;
};

// `profile`: "" for AWS_PROFILE or "default". Files that are not there count as empty. Error kind config.
Result<AwsEnvironment> read_aws_environment(std::string profile);

// Sections by their header as it stands: "profile x", "default", "sso-session y". Nested settings (indented lines) are
// passed over. Error kind config, naming `file` and the line.
Result<std::map<std::string, AwsSection>> parse_aws_file(std::string_view text, const std::string& file);

} // namespace checkvalve
