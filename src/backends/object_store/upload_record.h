// The record of an upload in parts, kept as a small object under the upload's temporary name beside the file: written
// before the first part, removed after the end. Stores keep such uploads apart from objects, without room for a name;
// by its record each of ours is found again by a listing, distinguished from those of others, and resumed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "backends/object_store/object_store.h"

namespace checkvalve {

struct UploadRecord {
  PartsSession session;
  std::uint64_t part_bytes = 0; // of each part but the last one; 0: can't be resumed
  std::string version;          // of the source; see UploadHints
  std::string options;          // ObjectStore::options_text
};
std::string write_record(const UploadRecord& record);
// Nothing if the text is not a record.
std::optional<UploadRecord> read_record(std::string_view text);

// Nothing if the object does not exist or is not a record.
Task<Result<std::optional<UploadRecord>>> fetch_record(ObjectStore& store, std::string record_key);
// Aborts the upload that the record names, then removes the record. Succeeds if the record does not exist.
Task<Result<void>> remove_upload(ObjectStore& store, std::string record_key);
// Aborts this upload, and removes the record if it is this upload's: another attempt may have written its own under the
// same name since.
Task<Result<void>> remove_own_upload(ObjectStore& store, std::string record_key, PartsSession session);
// Begins an upload by `begun`, and writes its record; at an error neither is left behind. Sets record.session.
Task<Result<void>> begin_upload(ObjectStore& store, std::string record_key, Task<Result<PartsSession>> begun,
                                UploadRecord& record);
// Removes the record of an upload that was completed; warns where that fails.
Task<void> remove_record(ObjectStore& store, std::string record_key);

} // namespace checkvalve
