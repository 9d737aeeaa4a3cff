// Whole files and descriptors. Streams do not tell an error from the end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace checkvalve {

inline constexpr std::size_t any_size = SIZE_MAX;

// Appends everything that is read from the descriptor. False, with errno set, at an error; with EFBIG beyond
// `most_bytes`.
bool read_all(int fd, std::string& out, std::size_t max_bytes = any_size);
// The same for a file; a directory is an error.
bool read_file(const std::string& path, std::string& out, std::size_t max_bytes = any_size);

} // namespace checkvalve
