// The list of backends. To add one, write its directory, which exports a descriptor (backend.h), and name that in
// registry.cc.
#pragma once

#include "backends/backend.h"

namespace checkvalve {

// In the order in which help and reference pages show them.
std::span<const BackendDescriptor* const> backends();
// Null if there is none.
const BackendDescriptor* find_backend(std::string_view scheme);
// The message about a scheme that find_backend() does not find.
std::string unknown_scheme(std::string_view scheme);
// To which paths without a scheme belong: its roots are absolute paths of this machine, its URLs have no host.
const BackendDescriptor& plain_path_backend();
// Adds one that the program does not come with: for tests, and for programs that link this library. The descriptor must
// outlive all use. Before any other call, since nothing here locks.
void add_backend(const BackendDescriptor& descriptor);

// Looks the scheme up, checks the options and secrets, and makes one side. Does not connect. Error kind config.
Result<std::unique_ptr<Source>> make_source(BackendContext& context, const Endpoint& endpoint);
Result<std::unique_ptr<Target>> make_target(BackendContext& context, const Endpoint& endpoint);

} // namespace checkvalve
