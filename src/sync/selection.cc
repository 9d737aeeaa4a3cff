#include "sync/selection.h"

#include <algorithm>

namespace checkvalve {

const SelectionRule* Selection::rule_for(std::string_view path) const {
  const auto rule = std::ranges::find_if(rules, [&](const SelectionRule& each) { return each.matches(path); });
  return rule == rules.end() ? nullptr : &*rule;
}

bool Selection::takes_by(const SelectionRule* rule) const {
  return rule ? rule->include : std::ranges::none_of(rules, &SelectionRule::include);
}

bool Selection::takes_name(std::string_view path) const { return takes_by(rule_for(path)); }

Decision Selection::decide(const Entry& entry, std::int64_t now_ms) const {
  Decision decision{.rule = rule_for(entry.path)};
  if (!takes_by(decision.rule))
    decision.outcome = Selected::filtered;
  else if (entry.type == EntryType::symlink)
    decision.outcome = Selected::yes;
  else if (entry.size_bytes < min_size_bytes || (max_size_bytes && entry.size_bytes > *max_size_bytes))
    decision.outcome = Selected::filtered;
  else if (min_age && entry.mtime_ns && *entry.mtime_ns / 1'000'000 > now_ms - min_age->count())
    decision.outcome = Selected::too_recent;
  return decision;
}

bool Selection::enters(std::string_view directory) const {
  // Only rules before the first include can shut a whole directory out: an include may take files below it.
  const auto first_include = std::ranges::find_if(rules, &SelectionRule::include);
  for (auto rule = rules.begin(); rule != first_include; ++rule)
    if (rule->glob.covers(directory)) return false;
  const auto may_take = [&](const SelectionRule& rule) { return rule.include && rule.glob.may_match_below(directory); };
  return first_include == rules.end() || std::any_of(first_include, rules.end(), may_take);
}

bool Selection::reaches(std::string_view path) const {
  if (rules.empty()) return true;
  for (std::size_t slash = path.find('/'); slash != path.npos; slash = path.find('/', slash + 1))
    if (!enters(path.substr(0, slash))) return false;
  return true;
}

} // namespace checkvalve
