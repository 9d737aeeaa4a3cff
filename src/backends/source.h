// Source: where files come from. It has no call that changes anything: whoever holds a Source can't write.
//
// All calls are made on the engine thread, many may be under way at once, and none blocks the thread. A call fails
// with an Error whose `status` says whether a new try may help; lost connections are remade by the next call. Dropping
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
  // Looks at the file again, by its name: what would a new open find? Tells a file that changed while it was read.
  virtual Task<Result<Entry>> stat() = 0;
  // A whole file of at most Capabilities::chunk_bytes, instead of read() and stat(): round trips less where the source
  // can be asked for all of it at once. No other call follows.
  struct Whole {
    Chunk content;       // fewer than `size` bytes where the file became shorter
    Result<Entry> after; // what stat() found after the last byte was read
  };
  virtual Task<Result<Whole>> read_whole(std::uint32_t size);
};

inline Task<Result<Reader::Whole>> Reader::read_whole(std::uint32_t size) {
  Chunk content;
  if (size != 0) {
    CV_CO_TRY(content, co_await read(0, size));
  }
  co_return Whole{std::move(content), co_await stat()};
}

// The entries of a directory (or subtree), in no promised order, without "." and "..".
class Listing {
public:
  virtual ~Listing() = default;
  // The next entries; an empty page is the end. A hostile or broken name ends up in refused() instead.
  virtual Task<Result<std::vector<Entry>>> next() = 0;
  // Names seen so far that can't be used, with the reason. Bounded: at most 1,000 are kept.
  virtual std::vector<Error> take_refused() { return {}; }
};

// Where a source's files are, for a Target that can take them from there by itself (Target::begin_direct_copy). What it
// holds is the business of the backend that made it.
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
  // Lists `directory` ("" is the root). Recursive only where capabilities().recursive_list says so. Entries carry
  // paths relative to the root. Symbolic links are told as such, not followed.
  virtual Task<Result<std::unique_ptr<Listing>>> list(std::string directory, bool recursive) = 0;
  // follow: what a symbolic link points to instead of the link.
  virtual Task<Result<Entry>> stat(std::string path, bool follow) = 0;
  virtual Task<Result<std::unique_ptr<Reader>>> open(Entry entry) = 0;
  // The text of a symbolic link. unsupported without Capabilities::symlinks.
  virtual Task<Result<std::string>> read_link(std::string path) = 0;
  // One name for a directory however many symbolic links lead to it: absolute, as the endpoint has it. Tells loops.
  // unsupported without Capabilities::symlinks.
  virtual Task<Result<std::string>> real_path(std::string path) = 0;
  // Null: the content comes by open() only. Valid after connect().
  virtual std::shared_ptr<const Origin> origin() const { return nullptr; }
  // Whether every call ends within the stall timeout by itself (BackendContext), or as soon as the server has done what
  // takes longer, so that nothing else needs to watch it.
  virtual bool bounds_its_calls() const { return false; }
  // Closes connections; waits for goodbyes at most a second.
  virtual Task<void> disconnect() = 0;
};

} // namespace checkvalve
