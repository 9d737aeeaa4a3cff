// Content: the digest of a file as an endpoint has it.
#pragma once

#include <cstdint>
#include <string>

#include "backends/source.h"
#include "core/result.h"
#include "core/task.h"

namespace checkvalve {

// The digest of a file's whole content, read in order. `read_bytes` counts what was read. ErrorKind::changed: the file
// is shorter than entry.size_bytes.
Task<Result<std::string>> content_digest(Source& source, Entry entry, std::uint64_t& read_bytes);

} // namespace checkvalve
