// Finding and recognising what earlier runs left at a target.
#pragma once

#include <string>
#include <vector>

#include "backends/target.h"

namespace checkvalve {

struct OrphanSearch {
  std::vector<Orphan> found;     // in no promised order
  std::vector<Error> unreadable; // directories that could not be listed to their end, so that more may be in them
};

// Lists `directory` and all below it, not through symbolic links, many directories at once, and gives the files and
// links whose names are temporaries' (temporary.h): at most `limit`, and as many errors. A directory that is gone holds
// none. Ends early, with what was found, once the token is cancelled. Fails where the endpoint is gone or refuses us,
// or `directory` itself can't be read.
Task<Result<OrphanSearch>> find_orphans(Target& target, std::string directory, std::size_t limit,
                                        CancellationToken token = {});

// Whether the orphan's path is the name of a temporary, the one that it says. Kind invalid_name: nothing else is
// ever removed.
Result<void> check_orphan(const Orphan& orphan);

} // namespace checkvalve
