// Which endpoints are the same place, and which lie inside another.
#pragma once

#include <optional>
#include <string>

#include "backends/backend.h"

namespace checkvalve {

// By the scheme's backend (BackendDescriptor::locate). May block on this machine's files. Error kind config.
Result<Location> locate(const Endpoint& endpoint);
// The canonical name of the endpoint (Location::identity). For people: display().
Result<std::string> identity(const Endpoint& endpoint);

// The path of the inner root relative to the outer one, "" if they are the same. Nothing if it lies elsewhere, as far
// as names show it: one server may have several names. May block as locate() does.
std::optional<std::string> path_within(const Endpoint& outer, const Endpoint& inner);

// For backends: what locate() gives where the descriptor has no hook of its own.
Location locate_by_url(const Endpoint& endpoint);

} // namespace checkvalve
