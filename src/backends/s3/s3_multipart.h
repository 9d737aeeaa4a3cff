// Multipart uploads: their requests, and the record that each of ours has.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "backends/s3/s3_client.h"

namespace checkvalve {

// The record of a multipart upload, kept as a small object under the temporary's name beside the file: written before
// the first part, removed after the end. S3 keeps uploads apart from objects, without room for a name; this way each
// of ours can be found again, distinguished from those of others, by a listing, and resumed.
struct UploadRecord {
  std::string key;
  std::string upload_id;
  std::uint64_t part_bytes = 0; // of each part but the last one; 0: can't be resumed
  std::string version;          // of the source; see UploadHints
  bool whole_checksum = false;  // the service keeps one of the whole object; else one of the parts' checksums
};
std::string write_record(const UploadRecord& record);
std::optional<UploadRecord> read_record(std::string_view text);

// Nothing if there is none, or it is no record.
Task<Result<std::optional<UploadRecord>>> fetch_record(S3Client& client, std::string record_key);
Task<Result<void>> put_record(S3Client& client, std::string record_key, UploadRecord record);
// Succeeds if there is none.
Task<Result<void>> remove_record(S3Client& client, std::string record_key);
// Aborts the upload that the record names, then removes the record. Succeeds if there is none.
Task<Result<void>> remove_upload(S3Client& client, std::string record_key);

// CreateMultipartUpload, with its record. Sets record.upload_id.
Task<Result<void>> begin_multipart(S3Client& client, std::string record_key, UploadRecord& record, NameValues headers);

// Parts that the service holds, by number (ListParts).
Task<Result<std::vector<S3Part>>> list_parts(S3Client& client, UploadRecord record);

// CompleteMultipartUpload, and the record's end. Gives the object's ETag. `only_new`: with If-None-Match; a name that
// is taken is ErrorKind::changed. An upload that is gone since an answer was lost on the way is known by its result,
// where the parts have checksums.
Task<Result<std::string>> complete_multipart(std::shared_ptr<S3Client> client, std::string record_key,
                                             UploadRecord record, std::vector<S3Part> parts, bool only_new);

} // namespace checkvalve
