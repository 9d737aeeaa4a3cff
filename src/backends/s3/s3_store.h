// What PartsUploader and RangedReader need of a bucket: PUT, multipart uploads, and GET of ranges.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backends/object_store/object_store.h"
#include "backends/object_store/ranged_reader.h"
#include "backends/s3/s3_client.h"
#include "backends/s3/s3_conditions.h"

namespace checkvalve {

class S3Store : public ObjectStore {
public:
  explicit S3Store(std::shared_ptr<S3Client> client);

  const StoreLimits& limits() const override { return limits_; }
  std::string key_of(std::string_view path) const override { return client_->key_of(path); }
  std::string options_text(const ObjectWrite& write) const override;
  Task<Result<StoredObject>> put(ObjectWrite write, ObjectBody body, ExpectedVersion expected) override;
  Task<Result<PartsSession>> begin_parts(ObjectWrite write) override;
  Task<Result<StoredPart>> put_part(PartsSession session, std::uint32_t number, std::uint64_t offset, ObjectBody body,
                                    CancellationToken cancellation) override;
  Task<Result<std::vector<StoredPart>>> list_parts(PartsSession session) override;
  Task<Result<StoredObject>> complete(PartsSession session, std::vector<StoredPart> parts, ObjectBody last,
                                      ExpectedVersion expected) override;
  Task<Result<void>> abort(PartsSession session) override;
  Task<Result<StoredObject>> look_at(std::string key) override;
  Task<bool> refuses_existing(std::string path) override { return conditions_->hold_for_writes(std::move(path)); }
  Task<Result<std::optional<std::string>>> read_small(std::string key) override;
  Task<Result<void>> write_small(std::string key, std::string text) override;
  Task<Result<void>> remove_small(std::string key) override;
  void spawn(Task<void> task) override { client_->spawn(std::move(task)); }
  void warn(std::string message) override { client_->warn_once(std::move(message)); }

  // CreateMultipartUpload with these headers.
  Task<Result<PartsSession>> begin_parts_with(std::string key, NameValues headers);
  S3Conditions& conditions() { return *conditions_; }

private:
  NameValues metadata(const ObjectWrite& write) const;

  const std::shared_ptr<S3Client> client_;
  const std::shared_ptr<S3Conditions> conditions_;
  const StoreLimits limits_;
};

class S3Ranges : public RangeSource {
public:
  explicit S3Ranges(std::shared_ptr<S3Client> client) : client_(std::move(client)) {}
  Task<Result<RangeAnswer>> open_range(Entry entry, Range range) override;
  Task<std::optional<WholeChecksum>> whole_checksum(Entry entry) override;
  Task<Result<Entry>> look_at(std::string path) override;
  bool verifies() const override { return client_->settings().checksums; }
  void warn_of_no_checksum() override;
  Retries retries() override { return client_->retries(); }
  Task<void> sleep(std::chrono::milliseconds duration) override { return client_->sleep(duration); }

private:
  const std::shared_ptr<S3Client> client_;
};

} // namespace checkvalve
