// Selection: which files of the source a job takes.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "backends/entry.h"
#include "sync/glob.h"

namespace checkvalve {

struct SelectionRule {
  bool include = true; // an exclude rule holds for what is below a directory that it matches, too
  Glob glob;

  bool matches(std::string_view path) const { return include ? glob.matches(path) : glob.matches_or_above(path); }
};

enum class Selected : std::uint8_t { yes, filtered, too_recent };

struct Decision {
  Selected outcome = Selected::yes;
  const SelectionRule* rule = nullptr; // that decided on the name, if one did
};

struct Selection {
  // The first rule that matches decides. Without a match a file is taken if there is no include rule.
  std::vector<SelectionRule> rules;
  // A list of paths relative to the root replaces the listing of directories.
  std::optional<std::vector<std::string>> files;
  std::optional<std::chrono::milliseconds> min_age; // by mtime: skip what may still be written
  std::uint64_t min_size_bytes = 0;
  std::optional<std::uint64_t> max_size_bytes;

  std::uint64_t min_files = 0; // planning fails if fewer files are selected

  bool takes_name(std::string_view path) const;
  // By name, size and age (against `now_ms`); a symbolic link by its name.
  Decision decide(const Entry& entry, std::int64_t now_ms) const;
  // False only if no file below the directory can be taken.
  bool enters(std::string_view directory) const;
  // Whether all directories above the path are entered: for listings that give whole subtrees.
  bool reaches(std::string_view path) const;

private:
  const SelectionRule* rule_for(std::string_view path) const;
  bool takes_by(const SelectionRule* rule) const;
};

} // namespace checkvalve
