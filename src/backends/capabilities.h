// What an endpoint can do. Valid after connect(). Every field is read by the engine or by the conformance suite.
#pragma once

#include <cstdint>

namespace checkvalve {

struct Capabilities {
  bool directories = true;      // has directories; false: names only (object storage), make_directory does nothing
  bool recursive_list = false;  // list() with recursive=true gives the whole subtree in one stream
  bool symlinks = false;        // has symbolic links: read_link and make_link work
  bool atomic_replace = true;   // publish over an existing name is one atomic step
  bool create_if_absent = true; // publish can refuse an existing name in one atomic step
  bool keeps_mtime = true;      // a published file can be given its source's mtime
  bool keeps_mode = true;       // and its mode
  bool durable = false;         // commit makes the content survive power loss (fsync or the like)
  bool resumes_uploads = false; // begin() can go on with what an earlier attempt left (UploadHints::continues)
  bool ranged_reads = true;     // reads at any offset; false: one ascending stream
  std::int64_t mtime_precision_ns = 1'000'000'000; // mtimes are whole multiples of this
  std::int64_t min_mtime_ns = INT64_MIN; // the range of mtimes that the endpoint can express: those outside of it are
  std::int64_t max_mtime_ns = INT64_MAX; // stored as its nearest end
  std::uint32_t chunk_bytes = 256 * 1024;          // the best size of one read or write
  std::uint32_t files_in_flight = 256;             // more open files at once than this are refused or of no use
  std::uint64_t window_bytes = 8 << 20;            // bytes in flight of one large file beyond which it gets no faster
};

} // namespace checkvalve
