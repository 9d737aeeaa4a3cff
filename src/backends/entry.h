// Entry: one name in a listing, or found by a stat.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace checkvalve {

enum class EntryType : std::uint8_t { file, directory, symlink, other };

struct Entry {
  std::string path; // relative to the endpoint's root, bytes as the endpoint has them; "" is the root itself
  EntryType type = EntryType::file;
  std::uint64_t size_bytes = 0;
  std::optional<std::int64_t> mtime_ns; // since 1970-01-01 UTC; precision: Capabilities::mtime_precision_ns
  std::optional<std::uint32_t> mode;    // permission bits, 0 to 07777
  std::string etag;                     // opaque version of the content where the endpoint has one, else empty
};

} // namespace checkvalve
