// NameIndex: finds, among all names of a plan, those that some target could take for one: that differ only in case or
// in Unicode form from another one in the same directory, or are not UTF-8.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "sync/hash_spool.h"

namespace checkvalve {

// The form that names have in common which differ in case or Unicode form only: ASCII in lower case; the rest in full
// case folding and canonical decomposition (Unicode standard, D145), with U+FFFD for each byte that is not UTF-8.
std::string folded_name(std::string_view name);
// Whether both have the same canonical decomposition. Names that are not UTF-8 have only themselves.
bool same_unicode_form(std::string_view a, std::string_view b);

// Keeps two hashes of each name in bounded memory: ordinary names cost little more. Not thread-safe; blocks for file
// I/O.
class NameIndex {
public:
  NameIndex();

  // A path of the target that a candidate would get; its directories are names, too.
  Result<void> add_candidate(std::string_view path);
  // One that the target lists.
  Result<void> add_listed(std::string_view path) { return add(path, false); }

  // Ends the adding.
  Result<void> finish();
  bool any_suspects() const { return !suspects_.empty(); }
  // A name that is not UTF-8 was listed: the target keeps such names.
  bool lists_other_bytes() const { return lists_other_bytes_; }
  // Whether the path's last component may be one of several names for one. True for a few others as well.
  bool is_suspect(std::string_view path);

private:
  struct Hashed {
    HashPair hashes; // of the directory with the folded name, and with the name
    bool utf8 = true;
  };
  Hashed hashed(std::string_view path);
  Result<void> add(std::string_view path, bool candidate);
  void suspect(std::uint64_t folded);

  const std::uint64_t seed_;       // of this run, so that nobody can prepare names with equal hashes
  std::optional<HashSpool> names_; // until finish()
  std::vector<bool> suspects_;     // by some bits of the first hash; empty: none
  bool lists_other_bytes_ = false;
  std::string directory_;                         // of the last candidate
  std::array<std::uint64_t, 1024> directories_{}; // hashes of directories that were added lately
  std::string folded_;
};

} // namespace checkvalve
