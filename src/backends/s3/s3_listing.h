// Listing of keys as a tree of names (ListObjectsV2).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "backends/s3/s3_client.h"
#include "backends/source.h"

namespace checkvalve {

// The keys below a directory: all of them, or with the next level's directories as entries. A page is fetched while the
// one before is used. Keys come byte for byte: "a//b" and "../c" too, which a target may refuse. An empty object whose
// key ends with
// '/' stands for a directory.
std::unique_ptr<Listing> list_keys(std::shared_ptr<S3Client> client, std::string directory, bool recursive);

// HEAD of the object; if it does not exist, a listing of one key below it. The root is a directory.
Task<Result<Entry>> stat_key(S3Client& client, std::string path);

// The entry in an answer to GET or HEAD of the whole object.
Entry entry_of(std::string path, const HttpHead& head);

} // namespace checkvalve
