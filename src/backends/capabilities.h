// What an endpoint can do. Valid after connect(). The engine, `checkvalve doctor` or the conformance suite reads each.
#pragma once

#include <cstdint>

namespace checkvalve {

struct Capabilities {
  // Namespace.
  bool directories = true;     // directories exist by themselves; false: names only, and make_directory does nothing
  bool recursive_list = false; // list() with recursive = true returns the whole subtree in one stream
  bool symlinks = false;       // read_link, real_path and make_link work
  bool exact_names = false;    // names that differ in any byte are kept apart, and as given; false: has to be tried out

  // Publishing.
  bool atomic_replace = true;       // publishing over an existing name is one atomic step
  bool create_if_absent = true;     // publishing can refuse an existing name in one atomic step
  bool keeps_mtime = true;          // listings show the mtime that a published file was given
  bool keeps_mode = true;           // and its permission bits
  bool durable = false;             // a published file survives power loss (fsync or the like)
  bool resumes_uploads = false;     // begin() finds out itself what it can continue (UploadHints::continues)
  bool resumes_temporaries = false; // begin() can continue a temporary at a known offset (UploadHints::partial)

  // Reading and comparing.
  bool ranged_reads = true;                        // reads at any offset; false: one ascending stream
  std::int64_t mtime_precision_ns = 1'000'000'000; // mtimes are whole multiples of this many nanoseconds; at least 1
  // The range of mtimes that the endpoint can express: those outside of it are stored as its nearest end.
  std::int64_t min_mtime_ns = INT64_MIN;
  std::int64_t max_mtime_ns = INT64_MAX;

  // Sizes, for speed and memory.
  std::uint32_t chunk_bytes = 256 * 1024; // max size of one read or write, and the best one
  std::uint32_t files_in_flight = 256;    // max files that are open at once, for reading or writing; at least 1
  std::uint64_t window_bytes = 8 << 20;   // bytes of one large file in flight; more make it no faster
  std::uint64_t memory_bytes = 0;         // of file content that the endpoint itself holds, over all files
};

} // namespace checkvalve
