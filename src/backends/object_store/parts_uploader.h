// PartsUploader: an Upload to any ObjectStore. Content that fits into a part is one request; more becomes a session of
// parts, which are sent concurrently. Each part is kept in memory until the store has it, so that it alone is retried.
//
// A write is done when PartMemory, which all uploads of the target share, has room for its bytes.
//
// The version of a source may be a size and a time only, which other content may have, too. So a resumed upload reads
// the source from its first byte, and skips sending the parts that the session holds with the same checksum.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backends/basic.h"
#include "backends/object_store/checksum.h"
#include "backends/object_store/object_store.h"
#include "backends/object_store/part_memory.h"
#include "backends/object_store/upload_record.h"

namespace checkvalve {

class PartsUploader : public BasicUpload {
public:
  PartsUploader(const std::shared_ptr<ObjectStore>& store, std::shared_ptr<PartMemory> memory, std::string path,
                UploadHints hints);
  ~PartsUploader() override;

  // Begins the session where the size is known to need one, or resumes one of hints.continues, and removes the others.
  Task<Result<void>> begin();
  Task<Result<void>> write(std::uint64_t offset, Chunk chunk) override;
  // Checks the size of the published object, and its checksum where the store keeps one.
  Task<Result<Published>> commit(CommitOptions options) override;
  Task<Result<void>> abort() override;

private:
  struct Part;
  struct Shared;
  static Task<void> send(std::shared_ptr<Shared> shared, std::shared_ptr<Part> part);
  Task<Result<bool>> resume(std::string record_key);
  Task<Result<void>> begin_session();
  Task<Result<void>> take(Chunk chunk);
  void append(Chunk chunk);
  void dispatch();
  Task<Result<StoredObject>> complete(ExpectedVersion expected);
  Task<Result<ExpectedVersion>> expected(Replace replace);
  Task<Result<std::string>> check(const StoredObject& said, const std::string& content_digest);
  bool goes_in_parts() const;
  std::uint64_t part_size(std::uint64_t begin) const;
  Error error(ErrorKind kind, std::string message) const;

  const std::string path_;
  const UploadHints hints_;
  const std::string record_key_;
  ObjectWrite write_;
  UploadRecord record_; // session.id is empty while there is no session
  const std::shared_ptr<Shared> shared_;
  std::uint64_t taken_bytes_ = 0; // by write()
  std::shared_ptr<Part> filling_;
  std::map<std::uint32_t, StoredPart> held_; // by the session, of an earlier attempt: sent again unless the bytes match
  std::vector<std::shared_ptr<Part>> parts_; // of this attempt, in order, complete
  Checksum whole_;
  Semaphore turn_{1};
};

} // namespace checkvalve
