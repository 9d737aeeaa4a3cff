// Where two endpoints' roots lie to each other.
#pragma once

#include <optional>
#include <string>

#include "backends/endpoint.h"

namespace checkvalve {

// The path of the inner root relative to the outer one, "" if they are the same; nothing if it does not lie in there,
// as far as names tell: the same server may have several. Looks at symbolic links of this machine's folders (blocking).
std::optional<std::string> path_within(const Endpoint& outer, const Endpoint& inner);

} // namespace checkvalve
