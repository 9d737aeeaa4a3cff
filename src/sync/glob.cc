#include "sync/glob.h"

#include <fmt/format.h>
#include <re2/re2.h>

#include <bitset>
#include <cctype>
#include <optional>
#include <utility>
#include <vector>

namespace checkvalve {
namespace {

using Bytes = std::bitset<256>;

constexpr std::size_t max_alternatives = 256; // of one glob's braces, multiplied out
constexpr std::string_view multibyte =
    "[\\xc2-\\xdf][\\x80-\\xbf]|[\\xe0-\\xef][\\x80-\\xbf]{2}|[\\xf0-\\xf4][\\x80-\\xbf]{3}|[\\x80-\\xff]";

Failure refuse(std::string_view glob, std::string why, std::string hint = {}) {
  return Failure(
      make_error(ErrorKind::config, "read the pattern", std::string(glob), std::move(why)).with_hint(std::move(hint)));
}

struct NamedClass {
  std::string_view name;
  int (*has)(int);
};
constexpr NamedClass named_classes[] = {{"alnum", std::isalnum}, {"alpha", std::isalpha}, {"blank", std::isblank},
                                        {"digit", std::isdigit}, {"lower", std::islower}, {"punct", std::ispunct},
                                        {"space", std::isspace}, {"upper", std::isupper}, {"xdigit", std::isxdigit}};

// A class of a glob, "[…]".
struct Class {
  std::string_view rest; // the glob after the ']'
  Bytes members;         // ASCII without '/'
  bool negated = false;
  std::string error;
};

// The class at the beginning of `glob`, nothing if it is not closed.
std::optional<Class> read_class(std::string_view glob) {
  Class out;
  std::size_t i = 1;
  if (i < glob.size() && (glob[i] == '!' || glob[i] == '^')) {
    out.negated = true;
    ++i;
  }
  // A backslash takes the next byte literally.
  const auto take = [&]() -> unsigned char {
    if (glob[i] == '\\' && i + 1 < glob.size()) ++i;
    return static_cast<unsigned char>(glob[i++]);
  };
  for (bool first = true; i < glob.size() && (first || glob[i] != ']'); first = false) {
    if (glob.substr(i, 2) == "[:") {
      const std::size_t end = glob.find(":]", i + 2);
      const NamedClass* found = nullptr;
      for (const NamedClass& each : named_classes)
        if (end != glob.npos && glob.substr(i + 2, end - i - 2) == each.name) found = &each;
      if (found) {
        for (int byte = 0; byte < 128; ++byte)
          if (found->has(byte)) out.members.set(static_cast<std::size_t>(byte));
        i = end + 2;
        continue;
      }
    }
    const unsigned char low = take();
    unsigned char high = low;
    if (i + 1 < glob.size() && glob[i] == '-' && glob[i + 1] != ']') {
      ++i;
      high = take();
    }
    if (low > high && out.error.empty())
      out.error = fmt::format("the range '{}-{}' is reversed", static_cast<char>(low), static_cast<char>(high));
    if (high >= 128 && out.error.empty()) out.error = "a class takes ASCII characters only";
    for (unsigned byte = low; byte <= high && byte < 128; ++byte) out.members.set(byte);
  }
  if (i >= glob.size()) return std::nullopt;
  out.members.reset('/');
  out.rest = glob.substr(i + 1);
  return out;
}

std::string pattern_of(const Class& of) {
  std::string ranges;
  for (unsigned byte = 0; byte < 128; ++byte)
    if (byte != '/' && of.members.test(byte) != of.negated) ranges += fmt::format("\\x{:02x}", byte);
  if (!of.negated) return "[" + ranges + "]";
  return ranges.empty() ? fmt::format("(?:{})", multibyte) : fmt::format("(?:[{}]|{})", ranges, multibyte);
}

// Position of the '{' that opens the first alternatives, npos without any.
std::size_t find_brace(std::string_view glob) {
  for (std::size_t i = 0; i < glob.size(); ++i) {
    if (glob[i] == '\\') {
      ++i;
    } else if (glob[i] == '[') {
      if (const auto found = read_class(glob.substr(i))) i = glob.size() - found->rest.size() - 1;
    } else if (glob[i] == '{') {
      return i;
    }
  }
  return glob.npos;
}

// Position of the '}' that closes the '{' at `open`; `commas` receives the top-level commas between.
std::size_t brace_end(std::string_view glob, std::size_t open, std::vector<std::size_t>& commas) {
  int depth = 0;
  for (std::size_t i = open; i < glob.size(); ++i) {
    if (glob[i] == '\\')
      ++i;
    else if (glob[i] == '{')
      ++depth;
    else if (glob[i] == ',' && depth == 1)
      commas.push_back(i);
    else if (glob[i] == '}' && --depth == 0)
      return i;
  }
  return glob.npos;
}

// Multiplies braces out; false if there are too many alternatives or a brace is not closed.
bool expand(std::string glob, std::vector<std::string>& out) {
  const std::size_t open = find_brace(glob);
  if (open == glob.npos) {
    out.push_back(std::move(glob));
    return out.size() <= max_alternatives;
  }
  std::vector<std::size_t> cuts{open};
  const std::size_t close = brace_end(glob, open, cuts);
  if (close == glob.npos) return false;
  cuts.push_back(close);
  for (std::size_t i = 0; i + 1 < cuts.size(); ++i) {
    const std::string part = glob.substr(cuts[i] + 1, cuts[i + 1] - cuts[i] - 1);
    if (!expand(glob.substr(0, open) + part + glob.substr(close + 1), out)) return false;
  }
  return true;
}

// One alternative of a glob as a regular expression, without what it says of paths below a match.
struct Alternative {
  std::string pattern;
  std::string prefix;       // of all paths that match
  bool directories = false; // ends with '/' or "/**": matches only what is below
};

Result<Alternative> translate(std::string_view whole, std::string_view glob) {
  Alternative out;
  std::string_view rest = glob;
  if (rest.ends_with("/**")) {
    out.directories = true;
    rest.remove_suffix(3);
  } else if (rest.ends_with('/') && !rest.ends_with("\\/")) {
    out.directories = true;
    rest.remove_suffix(1);
  }
  // A '/' in "tmp/**" anchors it, as one in front does; the one at the end of "tmp/" does not.
  const bool anchored = rest.find('/') != rest.npos || glob.ends_with("/**");
  if (rest.starts_with('/')) rest.remove_prefix(1);
  if (rest.empty() && out.directories) { // "/**": everything
    out.directories = false;
    rest = "**";
  }
  for (std::string_view left = rest;;) {
    const std::size_t slash = left.find('/');
    const std::string_view name = left.substr(0, slash);
    if (name.empty() || name == "." || name == "..")
      return refuse(
          whole,
          fmt::format("no path matches: it has {}", name.empty() ? "an empty name" : "'" + std::string(name) + "'"),
          "patterns are relative to the root of the source: '/a.txt', 'dir/*.csv'");
    if (slash == left.npos) break;
    left.remove_prefix(slash + 1);
  }
  bool literal = anchored;
  if (!anchored) out.pattern = "(?:.*/)?";
  bool at_name = true; // at the beginning of a component
  while (!rest.empty()) {
    if (at_name && rest.starts_with("**/")) {
      out.pattern += "(?:.*/)?";
      rest.remove_prefix(3);
      literal = false;
      continue;
    }
    const char next = rest.front();
    if (at_name && rest == "**") {
      out.pattern += ".+";
      rest = {};
      literal = false;
    } else if (next == '*') {
      out.pattern += "[^/]*";
      rest.remove_prefix(std::min(rest.find_first_not_of('*'), rest.size()));
      literal = false;
    } else if (next == '?') {
      out.pattern += fmt::format("(?:[\\x00-\\x2e\\x30-\\x7f]|{})", multibyte);
      rest.remove_prefix(1);
      literal = false;
    } else if (next == '[') {
      const auto found = read_class(rest);
      if (!found) return refuse(whole, "'[' is not closed", "write \\[ for a bracket");
      if (!found->error.empty()) return refuse(whole, found->error, "list characters as alternatives: {a,b}");
      if (found->members.none() && !found->negated) return refuse(whole, "no character is in its class");
      out.pattern += pattern_of(*found);
      rest = found->rest;
      literal = false;
    } else {
      if (next == '\\') rest.remove_prefix(1);
      if (rest.empty()) return refuse(whole, "a backslash at the end takes no character", "write \\\\ for a backslash");
      out.pattern += fmt::format("\\x{:02x}", static_cast<unsigned char>(rest.front()));
      if (literal) out.prefix += rest.front();
      rest.remove_prefix(1);
    }
    at_name = next == '/';
  }
  return out;
}

std::shared_ptr<const re2::RE2> compile(const std::string& pattern) {
  re2::RE2::Options options;
  options.set_encoding(re2::RE2::Options::EncodingLatin1); // names are bytes
  options.set_dot_nl(true);
  options.set_never_capture(true);
  options.set_log_errors(false);
  options.set_max_mem(std::int64_t{64} << 20);
  return std::make_shared<const re2::RE2>(pattern, options);
}

std::string common_prefix(const std::string& a, const std::string& b) {
  return a.substr(0, static_cast<std::size_t>(std::ranges::mismatch(a, b).in1 - a.begin()));
}

} // namespace

Result<Glob> Glob::parse(std::string_view text) {
  if (text.empty()) return refuse(text, "the pattern is empty");
  std::vector<std::string> alternatives;
  if (!expand(std::string(text), alternatives)) {
    if (alternatives.size() > max_alternatives) return refuse(text, "more than 256 alternatives in braces");
    return refuse(text, "'{' is not closed", "write \\{ for a brace");
  }
  std::optional<std::string> prefix;
  std::string exact;
  std::string subtree;
  for (const std::string& each : alternatives) {
    CV_TRY(const Alternative one, translate(text, each));
    prefix = prefix ? common_prefix(*prefix, one.prefix) : one.prefix;
    const std::string_view separator = exact.empty() ? "" : "|";
    exact += fmt::format("{}{}{}", separator, one.pattern, one.directories ? "/.+" : "");
    subtree += fmt::format("{}{}{}", separator, one.pattern, one.directories ? "/.*" : "(?:/.*)?");
  }
  Glob glob;
  glob.text_ = text;
  glob.prefix_ = std::move(*prefix);
  glob.exact_ = compile(exact);
  glob.subtree_ = compile(subtree);
  if (!glob.exact_->ok() || !glob.subtree_->ok()) return refuse(text, "the pattern is too long");
  return glob;
}

std::string Glob::literal(std::string_view path) {
  std::string out = "/";
  for (const char byte : path) {
    if (std::string_view("*?[{\\").contains(byte)) out += '\\';
    out += byte;
  }
  return out;
}

bool Glob::matches(std::string_view path) const { return re2::RE2::FullMatch(path, *exact_); }

bool Glob::matches_or_above(std::string_view path) const { return re2::RE2::FullMatch(path, *subtree_); }

bool Glob::covers(std::string_view directory) const { return matches_or_above(std::string(directory) + '/'); }

bool Glob::may_match_below(std::string_view directory) const {
  const std::string below = std::string(directory) + '/';
  return below.starts_with(prefix_) || std::string_view(prefix_).starts_with(below);
}

} // namespace checkvalve
