// Source: where files come from. No call changes anything: whoever holds a Source cannot write.
//
// These interfaces are pure, so that a decorator that forgets a call does not compile. Backends derive from the classes
// of basic.h, which have defaults.
//
// All calls are made on the engine's thread, many may be under way at once, and none blocks the thread. A call fails
// with an Error whose `status` says whether a retry may help; lost connections are reopened by the next call. Dropping
// a Reader or a Listing gives its resources back without waiting.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "backends/capabilities.h"
#include "backends/entry.h"
#include "core/chunk.h"
#include "core/result.h"
#include "core/task.h"

namespace checkvalve {

// One file, open for reading.
class Reader {
public:
  virtual ~Reader() = default;
  // Up to `size` bytes at `offset`, fewer only at the end of the file, none beyond it. Many reads may be under way.
  // `size` is at most Capabilities::chunk_bytes. Without ranged_reads, offsets ascend without gaps.
  virtual Task<Result<Chunk>> read(std::uint64_t offset, std::uint32_t size) = 0;
  // Looks at the file again, by its name: what would a new open find? Shows a file that changed while it was read.
  virtual Task<Result<Entry>> stat() = 0;
  // A whole file of at most Capabilities::chunk_bytes, instead of read() and stat(): fewer round trips where the source
  // can be asked for all of it at once. No other call follows.
  struct Whole {
    Chunk content;       // fewer than `size` bytes where the file became shorter
    Result<Entry> after; // what stat() found after the last byte was read
  };
  virtual Task<Result<Whole>> read_whole(std::uint32_t size) = 0;
};

// The entries of a directory (or subtree), in no particular order, without "." and "..".
class Listing {
public:
  virtual ~Listing() = default;
  // The next entries; an empty page is the end. A hostile or broken name ends up in take_refused() instead.
  virtual Task<Result<std::vector<Entry>>> next() = 0;
  // Names seen since the last call that cannot be used, with the reason. Bounded: at most 1,000 are kept.
  virtual std::vector<Error> take_refused() = 0;
};

// Where a source's files are, for a Target that can copy from there without their content passing through this program
// (Target::begin_direct_copy). Opaque to all but the backend that made it.
class Origin {
public:
  virtual ~Origin() = default;
};

class Source {
public:
  virtual ~Source() = default;
  // Connects, logs in and checks that the root can be reached. Errors: auth, host_key, connection, not_found, …
  virtual Task<Result<void>> connect() = 0;
  virtual const Capabilities& capabilities() const = 0;
  // Lists `directory` ("" is the root). Recursive only where capabilities().recursive_list is set. Entries carry paths
  // relative to the root. Symbolic links are reported as symlinks, not followed.
  virtual Task<Result<std::unique_ptr<Listing>>> list(std::string directory, bool recursive) = 0;
  // follow: what a symbolic link points to instead of the link.
  virtual Task<Result<Entry>> stat(std::string path, bool follow) = 0;
  virtual Task<Result<std::unique_ptr<Reader>>> open(Entry entry) = 0;
  // The text of a symbolic link. unsupported without Capabilities::symlinks.
  virtual Task<Result<std::string>> read_link(std::string path) = 0;
  // The one name of a directory, however many symbolic links lead to it: absolute, as the endpoint has it. Detects
  // loops. unsupported without Capabilities::symlinks.
  virtual Task<Result<std::string>> real_path(std::string path) = 0;
  // Null: content is read by open() only. Valid after connect().
  virtual std::shared_ptr<const Origin> origin() const = 0;
  // Whether every call ends within the stall timeout (BackendContext), or as soon as the server has done what takes
  // longer, so that the timeout decorator is not needed.
  virtual bool bounds_its_calls() const = 0;
  // Closes connections; waits for goodbyes at most a second.
  virtual Task<void> disconnect() = 0;
};

} // namespace checkvalve
