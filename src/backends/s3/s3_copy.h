// Copies inside a service: CopyObject, and above copy_cutoff UploadPartCopy.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backends/object_store/upload_record.h"
#include "backends/s3/s3_store.h"
#include "backends/target.h"

namespace checkvalve {

// Where a source's objects are, for targets at the same service.
struct S3Origin : Origin {
  explicit S3Origin(std::shared_ptr<S3Client> reader) : client(std::move(reader)) {}
  const std::shared_ptr<S3Client> client;
};

// Value of x-amz-copy-source for a key of the settings' bucket.
std::string copy_source(const S3Settings& settings, const std::string& key);

// The results of earlier copies of one Target: a service that refused the first one is not asked again.
struct S3CopyExperience {
  bool any_made = false;
  bool any_refused = false;
  std::optional<std::uint64_t> failed_bytes; // of the smallest large object that it could not copy in one request
};

// The copy keeps the object's own metadata and type; storage class, encryption and ACL are the target's options.
class S3Copy : public DirectCopy {
public:
  S3Copy(std::shared_ptr<S3Client> client, std::shared_ptr<S3Store> store, std::shared_ptr<S3CopyExperience> experience,
         const S3Origin& origin, Entry entry, std::string path, const UploadHints& hints);

  // Removes the uploads of earlier attempts, and begins the multipart upload of a large object.
  Task<Result<void>> begin(std::vector<TemporaryName> left_over);
  Task<Result<std::uint64_t>> advance() override;
  Task<Result<Published>> commit(CommitOptions options) override;
  Task<Result<void>> abort() override;

private:
  // Outlives a copy that is dropped.
  static Task<Result<StoredPart>> copy_part(std::shared_ptr<S3Client> client, S3Request request, StoredPart part);
  S3Request part_request(std::uint32_t number, std::uint64_t offset, std::uint64_t size) const;
  Task<Result<NameValues>> source_headers();
  Task<Result<Published>> copy_whole(bool only_new);
  Task<Result<Published>> complete(bool only_new);
  bool goes_in_parts() const;
  Task<Result<void>> check_published(const std::string& etag);
  S3Request copy_request(std::string operation) const;
  Error refusal(Error error) const;

  std::shared_ptr<S3Client> client_;
  std::shared_ptr<S3Store> store_;
  std::shared_ptr<S3CopyExperience> experience_;
  const std::shared_ptr<S3Client> source_;
  const Entry entry_;
  const std::string path_;
  const std::string record_key_;
  UploadRecord record_; // session.id is empty while no multipart upload is under way
  std::deque<JoinHandle<Result<StoredPart>>> coming_;
  std::vector<StoredPart> parts_;
  std::uint64_t asked_bytes_ = 0;
  std::uint64_t done_bytes_ = 0;
};

} // namespace checkvalve
