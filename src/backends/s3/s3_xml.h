// The XML that S3 speaks: answers read, requests written.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "backends/object_store/object_store.h"
#include "core/result.h"

namespace checkvalve {

struct S3Object {
  std::string key;
  std::uint64_t size_bytes = 0;
  std::string etag;            // without quotes
  std::int64_t modified_s = 0; // since 1970 UTC; fractions are cut off, since HEAD has none
};

struct S3Page { // of ListObjectsV2
  std::vector<S3Object> objects;
  std::vector<std::string> prefixes; // with a delimiter: each ends with it
  std::string continuation;          // empty: the last page
};

struct S3Fault {
  std::string code; // "NoSuchKey", "SlowDown", …; empty: the body was no error
  std::string message;
  std::string region; // where the bucket is, in answers to requests for another region
};

// Keys are decoded as encoding-type=url wrote them (where the answer says that it did). Error kind protocol.
Result<S3Page> read_page(std::string_view xml);
S3Fault read_fault(std::string_view xml);
// The text of the first element of this name below the root, or "".
std::string read_element(std::string_view xml, const char* name);
// Body of CompleteMultipartUpload: number, ETag and, if not empty, CRC-32C of each part.
std::string write_parts(const std::vector<StoredPart>& parts);

struct S3PartPage { // of ListParts
  std::vector<StoredPart> parts;
  std::string next_marker; // empty: the last page
};
// Error kind protocol.
Result<S3PartPage> read_part_page(std::string_view xml);

// "2024-03-01T12:34:56.789Z" or "Fri, 01 Mar 2024 12:34:56 GMT" → seconds since 1970 UTC; 0 if it can't be read.
std::int64_t read_time(std::string_view text);

} // namespace checkvalve
