// The names that an entry of the source gets at the target.
#pragma once

#include <string>

#include "backends/entry.h"
#include "core/result.h"
#include "transforms/chain.h"

namespace checkvalve {

// Calls `use(name)`, which gives a Result<void>, for the entry's own name, and then for those of the files that the
// chain makes beside it. Not at all where the chain can't rename the entry, which the comparison refuses.
template <class Use> Result<void> for_each_target_name(const Chain& chain, const Entry& entry, Use use) {
  if (chain.empty() || entry.type != EntryType::file) return use(entry.path);
  const auto name = chain.renamed(entry.path);
  if (!name) return {};
  CV_CHECK(use(*name));
  for (const std::string& suffix : chain.side_suffixes()) CV_CHECK(use(*name + suffix));
  return {};
}

} // namespace checkvalve
