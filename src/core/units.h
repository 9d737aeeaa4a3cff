// Numbers as people write and read them.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/result.h"

namespace checkvalve {

// "64MiB", "64M", "1.5 GiB", "500kB", "4096": bytes. K, M, G, T and KiB… are powers of 1024; kB, MB, GB, TB of 1000.
Result<std::uint64_t> parse_size(std::string_view text);
// "30s", "5m", "1h30m", "2d", "250ms"; a bare number is seconds.
Result<std::chrono::milliseconds> parse_duration(std::string_view text);
// A size per second, with or without "/s": "10MiB/s", "500kB". 0 or "off" means no limit.
Result<std::uint64_t> parse_rate(std::string_view text);

std::string format_size(std::uint64_t bytes);                    // "1.2 GiB"
std::string format_duration(std::chrono::milliseconds duration); // "1h 2m", "3.4s", "250ms"
std::string format_count(std::uint64_t count);                   // "12,345"

// Milliseconds since 1970-01-01 UTC of the system clock.
std::int64_t now_ms();
// "2024-03-01T12:34:56Z"
std::string format_time(std::int64_t time_ms);

} // namespace checkvalve
