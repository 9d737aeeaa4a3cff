// Writing of one object: PUT of what fits into a part, else a multipart upload with its parts in parallel.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backends/s3/checksum.h"
#include "backends/s3/s3_client.h"
#include "backends/target.h"

namespace checkvalve {

// The record of a multipart upload, kept as a small object under the temporary's name beside the file: written before
// the first part, removed after the end. S3 keeps uploads apart from objects, without room for a name; this way each
// of ours can be found again, and told from those of others, by a listing.
struct UploadRecord {
  std::string key;
  std::string upload_id;
};
std::string write_record(const UploadRecord& record);
std::optional<UploadRecord> read_record(std::string_view text);

// Aborts the upload that the record at `record_key` names, then removes the record. Succeeds if there is none.
Task<Result<void>> remove_upload(S3Client& client, std::string record_key);

class S3Upload : public Upload {
public:
  S3Upload(std::shared_ptr<S3Client> client, std::string path, UploadHints hints);
  ~S3Upload() override;

  // Starts the multipart upload where the size is known to need one.
  Task<Result<void>> begin();

  // A part's bytes are streamed as they come; a write is done when the connection has taken its bytes, and commit()
  // waits for the service to acknowledge them.
  Task<Result<void>> write(std::uint64_t offset, Chunk chunk) override;
  Task<Result<Published>> commit(CommitOptions options) override;
  Task<Result<void>> abort() override;

private:
  struct Part;
  Task<Result<void>> begin_multipart();
  Task<Result<void>> take(Chunk chunk, std::vector<Started<Result<void>>>& sent);
  Task<Result<void>> feed(Chunk chunk, std::vector<Started<Result<void>>>& sent);
  Task<std::optional<Error>> answered_error();
  Task<Result<void>> begin_part(std::uint64_t size);
  Task<Result<Published>> put(CommitOptions options);
  Task<Result<Published>> complete(CommitOptions options);
  Task<Result<void>> flush_rest();
  NameValues metadata(std::optional<std::int64_t> mtime_ns, std::optional<std::uint32_t> mode) const;
  Error error(ErrorKind kind, std::string message) const;

  std::shared_ptr<S3Client> client_;
  const std::string path_;
  const UploadHints hints_;
  const std::string record_key_;
  const std::uint64_t part_bytes_;
  std::uint64_t taken_bytes_ = 0; // by write()
  std::uint64_t fed_bytes_ = 0;   // into parts
  std::vector<Chunk> buffered_;   // while it is not known whether a PUT will do, or how large the last part is
  std::uint64_t buffered_bytes_ = 0;
  std::string upload_id_;
  std::shared_ptr<Part> part_;                 // that takes bytes now
  std::vector<Started<Result<S3Part>>> parts_; // whose bytes are all sent
  Semaphore turn_{1};
  std::optional<Error> failed_;
};

} // namespace checkvalve
