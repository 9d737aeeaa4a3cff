// Globs: patterns over paths that are relative to a root.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "core/result.h"

namespace re2 {
class RE2;
}

namespace checkvalve {

// '*' matches any run within a name, '?' one character (one byte where the name is not UTF-8), "[a-z]", "[!a-z]" and
// "[[:digit:]]" a class of ASCII characters, "{a,b}" alternatives; '\' takes the next byte literally. A component "**"
// matches any directories or none, a final "/**" everything below; elsewhere "**" is '*'. A final '/' limits the
// pattern to directories: it matches what is below them. A glob without '/' (apart from a final one) matches a name at
// any depth; with one it matches the whole path, and a leading '/' only anchors it ("/*.txt").
//
// Matching takes linear time: names come from other people's servers. Immutable; copies share the compiled form.
class Glob {
public:
  // ErrorKind::config for an empty or malformed glob, and for one that no path can match ("a//b", "../x").
  static Result<Glob> parse(std::string_view text);
  // The glob that matches this path below the root and nothing else.
  static std::string literal(std::string_view path);

  const std::string& text() const { return text_; }
  bool matches(std::string_view path) const;
  // Whether it matches the path or a directory above it.
  bool matches_or_above(std::string_view path) const;
  // Whether it matches the directory, or one above it, and so everything below. Exact.
  bool covers(std::string_view directory) const;
  // False only if no path below the directory can match.
  bool may_match_below(std::string_view directory) const;

private:
  Glob() = default;

  std::string text_;
  std::string prefix_; // all paths that match begin with it
  std::shared_ptr<const re2::RE2> exact_;
  std::shared_ptr<const re2::RE2> subtree_; // also what is below a match; a directory is given with a '/' at its end
};

} // namespace checkvalve
