#include "sync/selection.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/path.h"

namespace checkvalve {
namespace {

constexpr std::size_t max_alternatives = 256; // of one glob's braces, multiplied out

// Position after the ']' that closes the class opened at `open`, npos if there is none.
std::size_t class_end(std::string_view glob, std::size_t open) {
  std::size_t i = open + 1;
  if (i < glob.size() && (glob[i] == '!' || glob[i] == '^')) ++i;
  if (i < glob.size() && glob[i] == ']') ++i; // a first ']' is a member
  while (i < glob.size() && glob[i] != ']') i += glob[i] == '\\' ? 2 : 1;
  return i < glob.size() ? i + 1 : glob.npos;
}

bool class_has(std::string_view members, unsigned char byte) {
  bool negated = false;
  if (!members.empty() && (members.front() == '!' || members.front() == '^')) {
    negated = true;
    members.remove_prefix(1);
  }
  bool found = false;
  for (std::size_t i = 0; i < members.size(); ++i) {
    if (members[i] == '\\' && i + 1 < members.size()) ++i;
    const auto low = static_cast<unsigned char>(members[i]);
    auto high = low;
    if (i + 2 < members.size() && members[i + 1] == '-') {
      high = static_cast<unsigned char>(members[i + 2]);
      i += 2;
    }
    found = found || (low <= byte && byte <= high);
  }
  return found != negated;
}

// Takes one byte of the path by the glob's first element, which is no star; false if it does not match.
bool take_one(std::string_view& glob, std::string_view& path) {
  if (glob.empty() || path.empty()) return false;
  std::size_t length = 1;
  if (glob.front() == '?') {
    if (path.front() == '/') return false;
  } else if (glob.front() == '[' && class_end(glob, 0) != glob.npos) {
    length = class_end(glob, 0);
    if (path.front() == '/' || !class_has(glob.substr(1, length - 2), static_cast<unsigned char>(path.front())))
      return false;
  } else {
    const bool escaped = glob.front() == '\\' && glob.size() > 1;
    length = escaped ? 2 : 1;
    if (glob[length - 1] != path.front()) return false;
  }
  glob.remove_prefix(length);
  path.remove_prefix(1);
  return true;
}

// Matches a glob without braces against a whole path. Only the last star can help after a mismatch: stars don't cross
// '/', so what stood before it has matched all that it can. Names come from other people's servers: no worse than
// quadratic in a name's length.
bool match(std::string_view glob, std::string_view path) {
  std::string_view star_glob;
  std::string_view star_path;
  bool star = false;
  while (!glob.empty() || !path.empty()) {
    if (glob.starts_with("**/")) {
      for (std::string_view rest = path;;) {
        if (match(glob.substr(3), rest)) return true;
        const std::size_t slash = rest.find('/');
        if (slash == rest.npos) return false;
        rest.remove_prefix(slash + 1);
      }
    }
    if (glob == "**") return !path.empty();
    if (glob.starts_with('*')) {
      glob.remove_prefix(std::min(glob.find_first_not_of('*'), glob.size()));
      star = true;
      star_glob = glob;
      star_path = path;
    } else if (!take_one(glob, path)) {
      if (!star || star_path.empty() || star_path.front() == '/') return false;
      star_path.remove_prefix(1);
      glob = star_glob;
      path = star_path;
    }
  }
  return true;
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

std::size_t find_brace(std::string_view glob) {
  for (std::size_t i = 0; i < glob.size(); ++i) {
    if (glob[i] == '\\')
      ++i;
    else if (glob[i] == '[' && class_end(glob, i) != glob.npos)
      i = class_end(glob, i) - 1;
    else if (glob[i] == '{')
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

bool matches_alternative(std::string_view glob, std::string_view path) {
  if (glob.starts_with('/')) return match(glob.substr(1), path);
  if (glob.find('/') == glob.npos && glob != "**") return match(glob, base_name(path));
  return match(glob, path);
}

} // namespace

bool glob_matches(std::string_view glob, std::string_view path) {
  if (find_brace(glob) == glob.npos) return matches_alternative(glob, path);
  std::vector<std::string> alternatives;
  expand(std::string(glob), alternatives);
  return std::ranges::any_of(alternatives, [&](const std::string& one) { return matches_alternative(one, path); });
}

Result<void> check_glob(std::string_view glob) {
  const auto refuse = [&](std::string why) {
    return Failure(make_error(ErrorKind::config, "read the pattern", std::string(glob), std::move(why)));
  };
  if (glob.empty()) return refuse("the pattern is empty");
  for (std::size_t i = 0; i < glob.size(); ++i) {
    if (glob[i] == '\\') {
      if (++i == glob.size()) return refuse("a backslash at the end takes no byte: write \\\\ for a backslash");
    } else if (glob[i] == '[') {
      const std::size_t end = class_end(glob, i);
      if (end == glob.npos) return refuse("'[' is not closed: write \\[ for a bracket");
      i = end - 1;
    }
  }
  std::vector<std::string> alternatives;
  if (!expand(std::string(glob), alternatives))
    return refuse(alternatives.size() > max_alternatives ? "more than 256 alternatives in braces"
                                                         : "'{' is not closed: write \\{ for a brace");
  return {};
}

bool Selection::takes_name(std::string_view path) const {
  bool any_include = false;
  for (const SelectionRule& rule : rules) {
    if (glob_matches(rule.glob, path)) return rule.include;
    any_include = any_include || rule.include;
  }
  return !any_include;
}

bool Selection::takes(const Entry& entry, std::int64_t now_ms) const {
  if (entry.size_bytes < min_size_bytes || (max_size_bytes && entry.size_bytes > *max_size_bytes)) return false;
  if (min_age && entry.mtime_ns && *entry.mtime_ns / 1'000'000 > now_ms - min_age->count()) return false;
  return takes_name(entry.path);
}

bool Selection::enters(std::string_view directory) const {
  // Only rules before the first include can shut a whole directory out: an include may take files below it.
  for (const SelectionRule& rule : rules) {
    if (rule.include) return true;
    if (glob_matches(rule.glob, directory)) return false;
    if (!rule.glob.ends_with("/**")) continue;
    // "tmp/**" is anchored by its '/', which "tmp" alone would lack.
    const std::string above = (rule.glob.starts_with('/') ? "" : "/") + rule.glob.substr(0, rule.glob.size() - 3);
    if (glob_matches(above, directory)) return false;
  }
  return true;
}

bool Selection::reaches(std::string_view path) const {
  if (rules.empty() || rules.front().include) return true;
  for (std::size_t slash = path.find('/'); slash != path.npos; slash = path.find('/', slash + 1))
    if (!enters(path.substr(0, slash))) return false;
  return true;
}

} // namespace checkvalve
