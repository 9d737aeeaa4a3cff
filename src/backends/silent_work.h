// How long an endpoint may work on a file without a word.
#pragma once

#include <chrono>
#include <cstdint>

namespace checkvalve {

// How much longer than the stall timeout a call may stay silent in which the endpoint goes through `bytes` of a file by
// itself: making them durable, joining the parts of an upload, a copy of its own. Slower than 16 MiB/s is a stall.
constexpr std::chrono::seconds silent_work_limit(std::uint64_t bytes) {
  return std::chrono::seconds(bytes / (16 << 20));
}

} // namespace checkvalve
