// Regular expressions of options, on RE2: time linear in the text, whatever the expression.
#pragma once

#include <re2/re2.h>

#include <memory>
#include <string>
#include <string_view>

#include "core/result.h"

namespace checkvalve {

// Null for an empty text. Kind config for what RE2 can't read; `option` is named in the message.
Result<std::shared_ptr<const re2::RE2>> compile_regex(std::string_view option, const std::string& text);
// Checks that a replacement ("\1") fits the expression.
Result<void> check_rewrite(const re2::RE2& regex, const std::string& rewrite);

inline re2::StringPiece piece(std::string_view text) { return {text.data(), text.size()}; }

// Memory that one expression may take (RE2::Options::max_mem), for all files together.
inline constexpr std::int64_t regex_memory_bytes = 8 << 20;

} // namespace checkvalve
