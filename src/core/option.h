// Options that a descriptor declares: of a backend, of a transform. One description serves parsing, checking, --help
// and the reference pages.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace checkvalve {

enum class OptionType : std::uint8_t { text, integer, size, duration, boolean, path, list, secret };

struct OptionSpec {
  std::string_view name;
  OptionType type = OptionType::text;
  std::string_view default_value; // as a user would write it; empty: none
  std::string_view help;          // one line
};

// Null if there is none.
const OptionSpec* find_option(std::span<const OptionSpec> specs, std::string_view name);
// What the value should look like ("a size like 64MiB"); empty if it can be read as the option's type.
std::string expected_type(const OptionSpec& spec, const std::string& value);
// "a size", "yes or no": what a reference page says of the type.
std::string_view describe(OptionType type);

// Reads checked options: the given value or the default. Keeps references to both arguments.
class OptionValues {
public:
  OptionValues(std::span<const OptionSpec> specs, const std::map<std::string, std::string>& given)
      : specs_(specs), given_(given) {}
  bool has(std::string_view name) const { return given_.contains(std::string(name)); } // given, not by default
  std::string text(std::string_view name) const;
  std::uint64_t number(std::string_view name) const; // integer or size
  std::chrono::milliseconds duration(std::string_view name) const;
  bool boolean(std::string_view name) const;
  std::vector<std::string> list(std::string_view name) const; // a JSON array of strings, or one word

private:
  std::span<const OptionSpec> specs_;
  const std::map<std::string, std::string>& given_;
};

} // namespace checkvalve
