// Globs: a line with the pattern, then the path.
#include "sync/glob.h"

#include "core/path.h"
#include "fuzz/target.h"

using namespace checkvalve;

CV_FUZZ_TARGET(glob) {
  const std::string_view pattern = input.line();
  const std::string_view path = input.rest();
  if (const auto glob = Glob::parse(pattern)) {
    const bool matches = glob->matches(path);
    if (matches) fuzz::require(glob->matches_or_above(path), "matches, but neither it nor a directory above");
    const auto slash = path.rfind('/');
    if (matches && slash != path.npos && slash > 0)
      fuzz::require(glob->may_match_below(path.substr(0, slash)), "matches below a directory that was given up");
  }
  if (path.empty() || !check_tree_path(path)) return;
  const auto literal = Glob::parse(Glob::literal(path));
  fuzz::require(literal.has_value() && literal->matches(path), "a path's own glob does not match it");
}
