// ObjectStore: the calls that PartsUploader needs of a store. S3's multipart uploads, GCS's resumable sessions and
// Azure's block lists fit: a session takes numbered parts, can be asked for the parts that it holds, and is completed
// or aborted in one request.
//
// All calls are made on the engine thread; many may be under way at once. An implementation retries each request in
// place (RequestPacer, Retries): an error with status transient has used up these tries. Keys are whole keys of the
// store; paths are relative to the endpoint's root.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/cancellation.h"
#include "core/chunk.h"
#include "core/result.h"
#include "core/task.h"

namespace checkvalve {

using ObjectBody = std::shared_ptr<const std::vector<Chunk>>;

// An object to be written, with what the store keeps beside its content.
struct ObjectWrite {
  std::string path;
  std::optional<std::int64_t> mtime_ns;
  std::optional<std::uint32_t> mode;
};

struct PartsSession {
  std::string key;             // of the object
  std::string id;              // as the store named it; one line of text
  bool whole_checksum = false; // the store keeps a checksum of the whole object, not one of the parts' checksums
};

struct StoredPart {
  std::uint32_t number = 0; // from 1
  std::uint64_t size_bytes = 0;
  std::string id;     // what completes the session names it by: S3's ETag, Azure's block id
  std::string crc32c; // base64, as computed by the store; empty: not known
};

// What the store says of an object that it holds.
struct StoredObject {
  std::string version; // ETag or generation
  std::optional<std::uint64_t> size_bytes;
  std::string crc32c; // base64, of the whole content, as the store computed it; empty: not known
};

struct StoreLimits {
  std::uint64_t part_bytes = 0;     // of each part but the last one, unless the object needs larger ones
  std::uint64_t min_part_bytes = 0; // of all parts but the last one
  std::uint32_t max_parts = 0;
};

class ObjectStore {
public:
  virtual ~ObjectStore() = default;
  virtual const StoreLimits& limits() const = 0;
  virtual std::string key_of(std::string_view path) const = 0;
  // The options and metadata with which `write` would be begun, as text: a session begun with other ones is not
  // resumed.
  virtual std::string options_text(const ObjectWrite& write) const = 0;

  // A whole object in one request. `only_new`: an existing name is ErrorKind::exists.
  virtual Task<Result<StoredObject>> put(ObjectWrite write, ObjectBody body, bool only_new) = 0;

  virtual Task<Result<PartsSession>> begin_parts(ObjectWrite write) = 0;
  // Stores a part, or replaces the one of this number. The part's checksum is verified before it is a success. A
  // session that is gone is transient: another attempt begins a new one. `cancellation` ends the request early.
  virtual Task<Result<StoredPart>> put_part(PartsSession session, std::uint32_t number, ObjectBody body,
                                            CancellationToken cancellation) = 0;
  // Parts that the session holds, by number. not_found: there is no such session.
  virtual Task<Result<std::vector<StoredPart>>> list_parts(PartsSession session) = 0;
  virtual Task<Result<StoredObject>> complete(PartsSession session, std::vector<StoredPart> parts, bool only_new) = 0;
  // Drops the session and its parts. Succeeds if there is no such session.
  virtual Task<Result<void>> abort(PartsSession session) = 0;

  // A look at an object, with the checksum that the store keeps of it.
  virtual Task<Result<StoredObject>> look_at(std::string key) = 0;
  // Whether `only_new` is one atomic step at this store.
  virtual Task<bool> refuses_existing(std::string path) = 0;

  // Small objects of ours: the records of sessions. Reading: nothing if there is no such object.
  virtual Task<Result<std::optional<std::string>>> read_small(std::string key) = 0;
  virtual Task<Result<void>> write_small(std::string key, std::string text) = 0;
  virtual Task<Result<void>> remove_small(std::string key) = 0; // succeeds if there is none

  // Runs a task whose end nobody awaits; the endpoint's disconnect() waits for it.
  virtual void spawn(Task<void> task) = 0;
  virtual void warn(std::string message) = 0;
};

// The key is taken: `only_new` was refused.
Error exists_already(const std::string& path);

} // namespace checkvalve
