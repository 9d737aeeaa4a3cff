// Signing of requests: AWS Signature Version 4, as S3 has it ("Authenticating Requests: Using the Authorization
// Header" of the S3 API reference): the path is encoded once and never normalised.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/secret.h"

namespace checkvalve {

struct AwsCredentials {
  std::string access_key_id; // empty: requests go out unsigned
  Secret secret_access_key;
  Secret session_token;        // of temporary credentials, else empty
  std::int64_t expires_ms = 0; // since 1970 UTC; 0: never
};

struct SigningScope {
  std::string region;
  std::string service = "s3";
  std::int64_t time_ms = 0; // since 1970 UTC
};

using NameValues = std::vector<std::pair<std::string, std::string>>;

// What is signed of a request. The path is percent-encoded, the query is not.
struct SignedParts {
  std::string method;
  std::string host; // as the Host header has it: with the port unless it is the scheme's
  std::string encoded_path;
  NameValues query;
  NameValues headers;       // names in lower case; host, x-amz-date, … are added
  std::string payload_hash; // hexadecimal SHA-256, or "UNSIGNED-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
};

// What requests are signed with: derived from the secret key, the same for a day (UTC). Keeps the one of the last call,
// as deriving it takes twice as long as a signature.
class SigningKey {
public:
  const Secret& of(const Secret& secret_access_key, const std::string& date, const SigningScope& scope);

private:
  Secret made_of_;
  std::string made_for_;
  Secret key_;
};

// The headers to add: authorization, x-amz-date, x-amz-content-sha256 (S3 only) and, with temporary credentials,
// x-amz-security-token.
NameValues sign(const SignedParts& parts, const AwsCredentials& credentials, const SigningScope& scope,
                SigningKey& key);

// "a=b&c=d", sorted and percent-encoded, as it is signed and sent.
std::string canonical_query(const NameValues& query);

std::string sha256_hex(std::string_view bytes);

// "20130524T000000Z"
std::string amz_date(std::int64_t time_ms);

} // namespace checkvalve
