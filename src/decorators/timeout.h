// Timeout: an operation that does not end within the stall timeout ends in a transient error of kind timeout.
//
// The inner call continues: what it still returns is dropped, and with it the file or listing that it opened.
// connect, disconnect and orphans are passed on: the first two have bounds of their own, and the third is as many
// operations as the target has directories.
#pragma once

#include <chrono>
#include <memory>

#include "backends/source.h"
#include "backends/target.h"
#include "core/loop.h"

namespace checkvalve {

std::unique_ptr<Source> with_timeout(std::shared_ptr<Source> inner, Loop& loop,
                                     std::chrono::milliseconds stall_timeout);
std::unique_ptr<Target> with_timeout(std::shared_ptr<Target> inner, Loop& loop,
                                     std::chrono::milliseconds stall_timeout);

} // namespace checkvalve
