// ObjectStore: the calls that PartsUploader needs of an object store, and what each must give. A store keeps objects
// under keys; a session takes numbered parts of one object, and makes the object of them in one request.
//
// What PartsUploader relies on:
// - Nothing shows under the key before put() or complete() succeeds, and each of them replaces in one atomic step.
// - A part is stored when put_part() succeeds, and its checksum was verified by the store or by the implementation.
// - An error with status transient has used up the tries of the request: implementations send requests again
//   themselves, paced by RequestPacer and counted by Retries. All others are final.
// - A request whose answer was lost is found out about, not just sent again: put() and complete() that are refused
//   because they succeeded before are a success.
//
// How the services differ:
// - S3: parts in any order and at once; an ETag and a checksum for each; sessions last until they are aborted.
// - Azure Blob: blocks, named by the session and their number; abort() can't drop blocks and succeeds: they expire. The
//   list of blocks has no checksums, so that nothing is resumed.
// - Google Cloud Storage: a resumable session takes bytes in order (parts_in_flight = 1), in multiples of 256 KiB but
//   for the last part, which ends the session (last_part_completes). A request may store less than it was sent:
//   put_part() sends the rest before it returns. The session's URI lets anyone write who knows it (secret_sessions).
//   Preconditions are given when a session begins: expect a version at commit by a session for a temporary object and a
//   conditional move.
//
// Engine thread only; many calls may be under way at once. Keys are whole keys of the store; paths are relative to the
// endpoint's root.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backends/object_store/checksum.h"
#include "core/cancellation.h"
#include "core/chunk.h"
#include "core/result.h"
#include "core/task.h"

namespace checkvalve {

using ObjectBody = std::shared_ptr<const std::vector<Chunk>>;

// An object to be written, with the metadata that the store keeps of it.
struct ObjectWrite {
  std::string path;
  std::optional<std::int64_t> mtime_ns;
  std::optional<std::uint32_t> mode;
};

// What must have the key when an object is published: nothing set: anything or nothing; "": no object, else
// ErrorKind::exists; otherwise this version (StoredObject::version), else ErrorKind::changed.
using ExpectedVersion = std::optional<std::string>;

struct PartsSession {
  std::string key;             // of the object
  std::string id;              // as the store named it; one line of text
  bool whole_checksum = false; // the store keeps a checksum of the whole object, not one of the parts' checksums
};

struct StoredPart {
  std::uint32_t number = 0; // from 1
  std::uint64_t size_bytes = 0;
  std::string id;       // its name in complete(): S3's ETag, Azure's block id
  std::string checksum; // base64, of StoreLimits::checksum, as the store computed it; empty: not known
};

struct StoredObject {
  std::string version;                     // ETag or generation
  std::optional<std::uint64_t> size_bytes; // nothing: not said
  std::string checksum; // base64, of StoreLimits::checksum and the whole content, as the store computed it; or empty
};

struct StoreLimits {
  std::uint64_t part_bytes = 0;     // of each part but the last one; larger, in whole MiB, where max_parts asks for it
  std::uint64_t min_part_bytes = 0; // of all parts but the last one
  std::uint32_t max_parts = 0;
  std::uint32_t parts_in_flight = UINT32_MAX; // 1: each is sent once the one before it is stored
  bool last_part_completes = false;           // the last part goes with complete()
  bool secret_sessions = false;               // a session's id must not be recorded: none is resumed or swept
  ChecksumKind checksum = ChecksumKind::crc32c;
};

class ObjectStore {
public:
  virtual ~ObjectStore() = default;
  virtual const StoreLimits& limits() const = 0;
  virtual std::string key_of(std::string_view path) const = 0;
  // The options and metadata that begin_parts(write) gives a session, as text: one that was begun with others is not
  // resumed.
  virtual std::string options_text(const ObjectWrite& write) const = 0;

  // A whole object in one request.
  virtual Task<Result<StoredObject>> put(ObjectWrite write, ObjectBody body, ExpectedVersion expected) = 0;

  virtual Task<Result<PartsSession>> begin_parts(ObjectWrite write) = 0;
  // Stores all of a part, or replaces the one of this number. `offset`: of the part in the object. If the session does
  // not exist the error is transient: another attempt begins a new one. `cancellation` ends the request early.
  virtual Task<Result<StoredPart>> put_part(PartsSession session, std::uint32_t number, std::uint64_t offset,
                                            ObjectBody body, CancellationToken cancellation) = 0;
  // The parts that the session holds, by number. not_found: the session does not exist.
  virtual Task<Result<std::vector<StoredPart>>> list_parts(PartsSession session) = 0;
  // Publishes the object. `last`: with StoreLimits::last_part_completes, the content behind the parts; else null.
  virtual Task<Result<StoredObject>> complete(PartsSession session, std::vector<StoredPart> parts, ObjectBody last,
                                              ExpectedVersion expected) = 0;
  // Drops the session and its parts, where the store can. Succeeds if the session does not exist.
  virtual Task<Result<void>> abort(PartsSession session) = 0;

  // The object under the key, with the checksum that the store keeps of it. not_found: there is none.
  virtual Task<Result<StoredObject>> look_at(std::string key) = 0;
  // Whether put() and complete() refuse an existing object in one atomic step. May try it out beside the path.
  virtual Task<bool> refuses_existing(std::string path) = 0;

  // Small objects of ours: the records of sessions. Reading: nothing if there is no such object.
  virtual Task<Result<std::optional<std::string>>> read_small(std::string key) = 0;
  virtual Task<Result<void>> write_small(std::string key, std::string text) = 0;
  virtual Task<Result<void>> remove_small(std::string key) = 0; // succeeds if there is none

  // Runs a task that nobody awaits; the endpoint's disconnect() waits for its end.
  virtual void spawn(Task<void> task) = 0;
  virtual void warn(std::string message) = 0;
};

// The error of ExpectedVersion "" where there is an object.
Error exists_already(const std::string& path);

} // namespace checkvalve
