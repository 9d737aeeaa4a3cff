// The settings of an S3 endpoint, read from its options, the environment and the profile files.
#pragma once

#include <cstdint>
#include <string>

#include "backends/backend.h"
#include "backends/s3/aws_profile.h"
#include "backends/s3/s3_backend.h"
#include "backends/s3/sigv4.h"
#include "protocol/http/http_client.h"

namespace checkvalve {

// Whether the service honours If-None-Match: * on writes and copies.
enum class ConditionalWrites : std::uint8_t { no, yes, unknown };

struct S3Settings {
  std::string bucket;
  std::string prefix;      // of every key; empty, or with a '/' at its end
  std::string base_url;    // scheme, host and port: "https://BUCKET.s3.eu-west-1.amazonaws.com"
  std::string service_url; // the same without a bucket: one for all buckets that the service can copy between
  std::string signed_host; // as the Host header has it
  bool is_aws = false;     // no endpoint URL was given
  bool path_style = false;
  std::string region;
  bool anonymous = false;
  bool verbatim_keys = false; // the server keeps "a//b", "/a", "." and ".." as they are
  ConditionalWrites conditional_writes = ConditionalWrites::unknown;
  bool checksums = true; // writes carry a CRC-32C, and reads are verified
  std::uint64_t part_bytes = 0;
  std::uint64_t copy_part_bytes = 0;  // of copies inside the service
  std::uint64_t copy_whole_bytes = 0; // up to which these are one request
  std::uint32_t max_parts = 0;
  std::uint32_t connections = 0;
  NameValues create_headers;  // of PUT and CreateMultipartUpload: storage class, encryption, ACL
  NameValues request_headers; // of every request: who pays
  HttpSettings http;
  AwsEnvironment aws;
  AwsCredentials fixed; // given with the endpoint; empty: the chain finds some
};

// Error kind config. Reads the profile files.
Result<S3Settings> read_s3_settings(const BackendContext& context, const Endpoint& endpoint);

} // namespace checkvalve
