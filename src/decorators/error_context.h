// Error context: adds to errors what the backend did not fill in, from the call that failed: the operation, the path
// and the endpoint. What is there stays: a backend may know better which step failed, and on what.
#pragma once

#include <memory>
#include <string>

#include "backends/source.h"
#include "backends/target.h"
#include "core/error.h"

namespace checkvalve {

struct ErrorContext {
  std::string endpoint;                                    // its display name
  ErrorCode root_missing = ErrorCode::source_root_missing; // the code where the endpoint's root does not exist
};

std::unique_ptr<Source> with_error_context(std::shared_ptr<Source> inner, ErrorContext context);
std::unique_ptr<Target> with_error_context(std::shared_ptr<Target> inner, ErrorContext context);

} // namespace checkvalve
