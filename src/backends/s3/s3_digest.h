// The checksum that the service keeps of an object as a whole ("Checking object integrity" of the S3 user guide).
#pragma once

#include <string>

#include "backends/s3/s3_client.h"
#include "core/hash.h"

namespace checkvalve {

// CRC-32C, if the service keeps it and refuses a wrong one: tried on a temporary object of ours, which is removed
// again. Else kind unsupported.
Task<Result<HashAlgorithm>> find_server_side_checksum(S3Client& client);

// Of an object that was written by PartsUploader, as Hasher::digest() has it.
Task<Result<std::string>> kept_digest(S3Client& client, std::string path);

} // namespace checkvalve
