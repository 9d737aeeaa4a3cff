// Content: the digest of a file as an endpoint has it.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "backends/source.h"
#include "core/hash.h"
#include "core/result.h"
#include "core/task.h"

namespace checkvalve {

// The digest of a file's whole content, read in order. `read_bytes` counts what was read. ErrorKind::changed: the file
// is shorter than entry.size_bytes.
Task<Result<std::string>> content_digest(Source& source, Entry entry, std::uint64_t& read_bytes);

// What is to be hashed of a file, from its beginning.
struct ContentRange {
  std::uint64_t bytes = 0;
  std::uint32_t chunk_bytes = 0;
  std::size_t reads_ahead = 8; // chunks
  HashAlgorithm algorithm = HashAlgorithm::xxh128;
};
// Reads in order, and hashes. `on_read` gets the number of bytes of each read; its failure ends the reading.
// ErrorKind::changed: the file is shorter than the range.
Task<Result<Hasher>> hash_content(Reader& reader, ContentRange range,
                                  const std::function<Result<void>(std::size_t)>& on_read);

} // namespace checkvalve
