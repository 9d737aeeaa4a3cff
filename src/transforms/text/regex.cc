#include "transforms/text/regex.h"

#include <fmt/format.h>

#include "transforms/transform.h"

namespace checkvalve {

Result<std::shared_ptr<const re2::RE2>> compile_regex(std::string_view option, const std::string& text) {
  if (text.empty()) return nullptr;
  re2::RE2::Options options;
  options.set_log_errors(false);
  options.set_max_mem(regex_memory_bytes);
  auto regex = std::make_shared<const re2::RE2>(text, options);
  if (!regex->ok())
    return option_failure(fmt::format("{}: invalid regular expression '{}': {}", option, text, regex->error()));
  return regex;
}

Result<void> check_rewrite(const re2::RE2& regex, const std::string& rewrite) {
  std::string why;
  if (!regex.CheckRewriteString(rewrite, &why))
    return option_failure(fmt::format("replacement '{}': {}", rewrite, why));
  return {};
}

} // namespace checkvalve
