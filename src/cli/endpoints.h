// Makes an Endpoint with options and secrets from what a user writes: a URL, a path or NAME:path.
#pragma once

#include <string>

#include "backends/endpoint.h"
#include "cli/config.h"
#include "cli/secrets.h"
#include "cli/settings.h"

namespace checkvalve {

struct EndpointInputs {
  const Config& config;
  const Secrets& secrets;
  const Settings& settings; // for the options given on the command line
};

// `text` without {date}. In NAME:path a relative path is below the root of the config's endpoint, an absolute one
// replaces it. Error kind config.
Result<Endpoint> resolve_endpoint(const std::string& text, Side side, const EndpointInputs& inputs);

// Adds what belongs to this machine to an endpoint of a plan: the options and secrets of the config's endpoint
// of that name, and those of the command line, the environment and the descriptor.
Result<void> complete_endpoint(Endpoint& endpoint, Side side, const EndpointInputs& inputs);

} // namespace checkvalve
