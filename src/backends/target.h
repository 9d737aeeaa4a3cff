// Target: where files go. It has no remove and no rename of published names: the only things it ever removes are its
// own temporaries, recognised by temporary.h. For threads, errors and lost connections see source.h; authors of
// backends derive from the classes of basic.h.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backends/capabilities.h"
#include "backends/entry.h"
#include "backends/source.h"
#include "backends/temporary.h"
#include "core/chunk.h"
#include "core/hash.h"
#include "core/path.h"
#include "core/result.h"
#include "core/task.h"

namespace checkvalve {

struct UploadHints {
  TemporaryName temporary;                 // under which the bytes wait until they are published
  std::optional<std::uint64_t> size_bytes; // of the whole file, where it is known
  // What CommitOptions will say, as far as it is known: some stores take it with the first byte.
  std::optional<std::int64_t> mtime_ns;
  std::optional<std::uint32_t> mode;
  bool replaces = false; // CommitOptions::replace will be other than if_absent
  // With Capabilities::resumes_uploads. `version`: the source's version, as text that differs for every other one.
  // `continues`: temporaries that earlier attempts may have left of this file. The upload resumes the first one that
  // holds bytes of this version, and all others are removed.
  std::string version;
  std::vector<TemporaryName> continues;
  // With Capabilities::resumes_temporaries: a temporary that holds this many bytes of the file, from its beginning,
  // under one of these names. The upload takes it over, under its own name, and writes behind them
  // (Upload::resumed_bytes); where it is gone or shorter, the upload begins at 0.
  struct Partial {
    std::vector<TemporaryName> names;
    std::uint64_t acknowledged_bytes = 0;
  };
  std::optional<Partial> partial;
};

enum class Replace : std::uint8_t {
  atomic,    // publish over an existing name; unsupported where that is not one step
  if_absent, // refuse an existing name with ErrorKind::exists
  allow_gap, // atomic where possible; else the old file may be gone for a moment (the user opted in)
};

struct CommitOptions {
  std::uint64_t size_bytes = 0;         // all that was written; any other size at the target is ErrorKind::integrity
  std::optional<std::int64_t> mtime_ns; // to set, where Capabilities::keeps_mtime
  std::optional<std::uint32_t> mode;    // to set, where Capabilities::keeps_mode
  Replace replace = Replace::atomic;
  bool durable = true; // make it survive power loss where Capabilities::durable
  // As Hasher::digest() has it, of the algorithm that Target::server_side_checksum() returned: the endpoint's own
  // digest of the whole file must be the same, else ErrorKind::integrity. Empty: not compared. The endpoint may have to
  // read the whole file.
  std::string content_digest;
};

struct Published {
  std::string method; // how the name came to be: "posix-rename", "link", "rename", "put", "multipart"
  std::string etag;   // the endpoint's version of the new content, where it has one
};

// One file on its way in. Nothing shows under its final name before commit() has done its last step.
class Upload {
public:
  // Dropping an upload that was neither committed nor aborted leaves its temporary behind, as a crash does.
  virtual ~Upload() = default;
  // Where writes begin: the bytes before it are there from an earlier attempt (UploadHints::partial, reopen()).
  virtual std::uint64_t resumed_bytes() const = 0;
  // Writes at an offset. Calls are made with ascending offsets without gaps; many may be under way at once. Done when
  // the target has acknowledged the bytes.
  virtual Task<Result<void>> write(std::uint64_t offset, Chunk chunk) = 0;
  // After all writes were acknowledged: size check, metadata, durability, publish. At any error the final name is
  // untouched, or (connection lost in the last step) holds the whole new file.
  virtual Task<Result<Published>> commit(CommitOptions options) = 0;
  // A whole file of one chunk (which may be empty), instead of write() and commit(): one round trip less where the
  // target takes all of it in one request. Errors as those of the two.
  virtual Task<Result<Published>> write_and_commit(Chunk content, CommitOptions options) = 0;
  // After a failure, with no call under way: makes the upload usable again. Writes continue at `acknowledged_bytes`: up
  // to there, without a gap, they succeeded. The temporary gets the name of the new attempt, so that requests which a
  // lost connection left with the server do not meet it. Any error: nothing of it can be used, and it has to be
  // aborted; unsupported: this target can't.
  virtual Task<Result<void>> reopen(std::uint64_t acknowledged_bytes, TemporaryName temporary) = 0;
  // Removes the temporary. Waits for writes under way. Succeeds if there is nothing to remove.
  virtual Task<Result<void>> abort() = 0;
};

// One file that the target copies from its source without the content passing through this program: inside a service
// that holds both sides, or in the kernel. As with an Upload, nothing shows under the final name before
// commit() has done its last step, and one that is dropped leaves its temporary behind.
class DirectCopy {
public:
  virtual ~DirectCopy() = default;
  // Copies some more and returns how many bytes of the file are there; once these are all, commit() may be called. A
  // step takes seconds at most, so that a stall is noticed and the copy can be cancelled. One call at a time.
  virtual Task<Result<std::uint64_t>> advance() = 0;
  // As Upload::commit; unsupported: nothing was done, and the content has to be uploaded.
  virtual Task<Result<Published>> commit(CommitOptions options) = 0;
  virtual Task<Result<void>> abort() = 0;
};

// A temporary of checkvalve's that an earlier attempt left at the target (backends/orphans.h finds them).
struct Orphan {
  std::string path; // of the temporary, relative to the root
  TemporaryName name;
  std::uint64_t size_bytes = 0;
  std::optional<std::int64_t> mtime_ns;
};

// What became of a published file that an interrupted overwrite set aside (backends/set_aside.h).
enum class SetAsideOutcome : std::uint8_t {
  put_back, // it has its name again, which was free
  replaced, // its replacement is complete under the name, so it is removed
  kept,     // something else has the name: both stay
};

class Target {
public:
  virtual ~Target() = default;
  // As Source::connect, but a root that does not exist is created by the first make_directory or begin.
  virtual Task<Result<void>> connect() = 0;
  virtual const Capabilities& capabilities() const = 0;
  virtual Task<Result<std::unique_ptr<Listing>>> list(std::string directory, bool recursive) = 0;
  virtual Task<Result<Entry>> stat(std::string path, bool follow) = 0;
  // Whether this target can hold a file of this name, byte for byte. Called while planning; no I/O.
  virtual Result<void> accepts(std::string_view path) const = 0;
  // Creates the directory and its parents; succeeds if it exists. `mode`: permission bits for a new one.
  virtual Task<Result<void>> make_directory(std::string path, std::optional<std::uint32_t> mode) = 0;
  // Creates the symbolic link atomically, replacing a symbolic link or, if `replace` says so, a file.
  virtual Task<Result<void>> make_link(std::string path, std::string text, TemporaryName temporary,
                                       Replace replace) = 0;
  // Starts a file: creates its temporary, exclusively, after removing one of exactly this name. The directory exists.
  virtual Task<Result<std::unique_ptr<Upload>>> begin(std::string path, UploadHints hints) = 0;
  // Starts to copy the entry of a source with this origin. The copy is of the version that entry.etag names, another
  // one is ErrorKind::changed; without an etag the caller looks at the source again before it commits. unsupported:
  // this target cannot, or not this file, and left nothing behind.
  virtual Task<Result<std::unique_ptr<DirectCopy>>> begin_direct_copy(std::shared_ptr<const Origin> origin, Entry entry,
                                                                      std::string path, UploadHints hints) = 0;
  // Removes what an earlier attempt of ours left of this path under this temporary name; succeeds if there is nothing.
  virtual Task<Result<void>> discard(std::string path, TemporaryName temporary) = 0;
  // Succeeds if it is gone already.
  virtual Task<Result<void>> remove_orphan(Orphan orphan) = 0;
  // Settles a file set aside at this path, relative to the root: puts it back, or removes it if its replacement is
  // there.
  virtual Task<Result<SetAsideOutcome>> settle_set_aside(std::string path) = 0;
  // With Capabilities::resumes_uploads: the path of the file of which the orphan holds a part that begin() can resume;
  // nothing if there is no such part.
  virtual Task<Result<std::optional<std::string>>> resumable_path(Orphan orphan) = 0;
  // The algorithm of the digests that this endpoint computes of files that it holds, without sending them
  // (CommitOptions::content_digest). unsupported: none. May try it out on a temporary.
  virtual Task<Result<HashAlgorithm>> server_side_checksum() = 0;
  virtual bool bounds_its_calls() const = 0; // as Source's
  virtual Task<void> disconnect() = 0;
};

// integrity unless the endpoint's digest is the expected one (CommitOptions::content_digest); an empty `expected` is
// not compared.
inline Result<void> check_digest(const std::string& expected, const std::string& found, std::string_view path) {
  if (expected.empty() || expected == found) return {};
  return Failure(make_error(ErrorKind::integrity, "verify", escape_bytes(path),
                            "the target holds other content than was written: its checksum is " + found +
                                ", expected " + expected));
}

} // namespace checkvalve
