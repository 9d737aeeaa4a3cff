// Writing of one object: PUT of what fits into a part, else a multipart upload with its parts in parallel.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backends/basic.h"
#include "backends/s3/checksum.h"
#include "backends/s3/s3_client.h"
#include "backends/s3/s3_conditions.h"
#include "backends/s3/s3_multipart.h"
#include "backends/target.h"

namespace checkvalve {

class S3Upload : public BasicUpload {
public:
  S3Upload(std::shared_ptr<S3Client> client, std::shared_ptr<S3Conditions> conditions, std::string path,
           UploadHints hints);
  ~S3Upload() override;

  // Starts the multipart upload where the size is known to need one, or resumes one of hints.continues.
  Task<Result<void>> begin();
  std::uint64_t resumed_bytes() const override { return resumed_bytes_; }

  // A part's bytes are streamed as they come; a write is done when the connection has taken its bytes, and commit()
  // waits for the service to acknowledge them.
  Task<Result<void>> write(std::uint64_t offset, Chunk chunk) override;
  Task<Result<Published>> commit(CommitOptions options) override;
  Task<Result<void>> abort() override;

private:
  struct Part;
  struct Piece { // of a part, handed to its connection
    std::shared_ptr<Part> part;
    JoinHandle<Result<void>> sent;
  };
  Task<Result<void>> begin_anew();
  Task<Result<bool>> go_on_with(std::string record_key);
  Task<Result<void>> take(Chunk chunk, std::vector<Piece>& sent);
  Task<Result<void>> feed(Chunk chunk, std::vector<Piece>& sent);
  Task<std::optional<Error>> answered_error(std::shared_ptr<Part> part);
  Task<Result<void>> begin_part(std::uint64_t size);
  Task<Result<Published>> put(CommitOptions options, bool only_new);
  Task<Result<Published>> complete(bool only_new);
  std::uint32_t next_part_number() const { return static_cast<std::uint32_t>(done_parts_.size() + parts_.size() + 1); }
  Task<Result<void>> flush_rest();
  NameValues metadata(std::optional<std::int64_t> mtime_ns, std::optional<std::uint32_t> mode) const;
  Task<Result<bool>> claims_new_name(Replace replace);
  Error error(ErrorKind kind, std::string message) const;

  std::shared_ptr<S3Client> client_;
  std::shared_ptr<S3Conditions> conditions_;
  const std::string path_;
  const UploadHints hints_;
  const std::string record_key_;
  UploadRecord record_; // upload_id is empty while no multipart upload is under way
  std::uint64_t resumed_bytes_ = 0;
  std::uint64_t taken_bytes_ = 0; // by write()
  std::uint64_t fed_bytes_ = 0;   // into parts
  std::vector<Chunk> buffered_;   // while it is not known whether a PUT will do, or how large the last part is
  std::uint64_t buffered_bytes_ = 0;
  std::vector<S3Part> done_parts_;                // of an earlier attempt
  std::shared_ptr<Part> part_;                    // that takes bytes now
  std::vector<JoinHandle<Result<S3Part>>> parts_; // whose bytes are all sent
  Semaphore turn_{1};
  std::optional<Error> failed_;
};

} // namespace checkvalve
