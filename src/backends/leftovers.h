// Finding leftovers by listing, for backends whose temporaries are names in directories.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "backends/target.h"

namespace checkvalve {

// Walks `directory` and all below it with target.list, not through symbolic links, and gives the files and links whose
// names are temporaries' (temporary.h), at most `limit`. A directory that is gone holds none.
Task<Result<std::vector<Leftover>>> find_leftovers(Target& target, std::string directory, std::size_t limit);

// Whether the leftover's path is the name of a temporary, the one that it says. Kind invalid_name: nothing else is
// ever removed.
Result<void> check_leftover(const Leftover& leftover);

} // namespace checkvalve
