// Finding and recognising what earlier attempts left at a target.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "backends/target.h"
#include "core/cancellation.h"

namespace checkvalve {

struct OrphanSearch {
  std::vector<Orphan> found;     // in no particular order
  std::vector<Error> unreadable; // directories that could not be listed to their end, so that more may be in them
  bool limited = false;          // there may be more than `limit`
};

// Lists `directory` and all below it, not through symbolic links, many directories at once, and gives the files and
// links whose names are temporaries' (temporary.h): at most `limit`, and as many errors. A directory that does not
// exist any more holds none. Only those that `wanted` takes count, if it is given. Ends early, with what was found,
// once the token is cancelled. Fails where the endpoint cannot be reached or refuses the login, or `directory` itself
// cannot be read.
Task<Result<OrphanSearch>> find_orphans(Target& target, std::string directory, std::size_t limit,
                                        CancellationToken token = {}, std::function<bool(const Orphan&)> wanted = {});

// Whether the orphan's path ends in the temporary name that it claims. Kind invalid_name if not: nothing else is ever
// removed.
Result<void> check_orphan(const Orphan& orphan);

} // namespace checkvalve
