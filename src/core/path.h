// Names of files relative to an endpoint's root: bytes, not text, with '/' between components.
#pragma once

#include <string>
#include <string_view>

#include "core/result.h"

namespace checkvalve {

// Accepts "a/b c.txt"; refuses what a file tree can't hold or what would leave the root: an empty name, a leading or
// trailing '/', empty components, "." and "..", NUL bytes, components over 255 bytes. Error kind invalid_name.
Result<void> check_tree_path(std::string_view path);

// One name as a listing gives it: no '/', not ".", "..", empty, no NUL. Error kind invalid_name.
Result<void> check_name(std::string_view name);

// "a" + "b" → "a/b"; an empty side adds nothing; "/" + "a" → "/a". `directory` may end with '/'.
std::string join_path(std::string_view directory, std::string_view name);
// "a/b/c.txt" → "a/b"; "c.txt" → "".
std::string_view parent_path(std::string_view path);
// "a/b/c.txt" → "c.txt".
std::string_view base_name(std::string_view path);

// Bytes as valid UTF-8 for people and JSON: control characters and bytes that are not UTF-8 become \xNN, a backslash
// becomes \\. Reversible with unescape_bytes.
std::string escape_bytes(std::string_view bytes);
Result<std::string> unescape_bytes(std::string_view text);
bool is_valid_utf8(std::string_view bytes);

} // namespace checkvalve
