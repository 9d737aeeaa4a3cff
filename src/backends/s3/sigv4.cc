#include "backends/s3/sigv4.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <ctime>

#include "protocol/http/http_message.h"

namespace checkvalve {
namespace {

std::string hex(std::string_view bytes) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string out;
  for (const char c : bytes) {
    out += digits[static_cast<std::uint8_t>(c) >> 4];
    out += digits[static_cast<std::uint8_t>(c) & 15];
  }
  return out;
}

// Fetched once: OpenSSL 3 looks EVP_sha256() up at each use, under a lock (crypto(7), "Performance").
const EVP_MD* sha256() {
  static const EVP_MD* const fetched = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  return fetched;
}

std::string hmac(std::string_view key, std::string_view text) {
  unsigned char out[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  HMAC(sha256(), key.data(), static_cast<int>(key.size()), reinterpret_cast<const unsigned char*>(text.data()),
       text.size(), out, &size);
  return {reinterpret_cast<const char*>(out), size};
}

// Drops leading and trailing spaces, and replaces runs of spaces by one.
std::string canonical_value(std::string_view value) {
  std::string out;
  for (const char c : value)
    if (c != ' ' || (!out.empty() && out.back() != ' ')) out += c;
  while (!out.empty() && out.back() == ' ') out.pop_back();
  return out;
}

} // namespace

std::string sha256_hex(std::string_view bytes) {
  unsigned char out[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  EVP_Digest(bytes.data(), bytes.size(), out, &size, sha256(), nullptr);
  return hex({reinterpret_cast<const char*>(out), size});
}

std::string amz_date(std::int64_t time_ms) {
  const std::time_t seconds = time_ms / 1000;
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y%m%dT%H%M%SZ", &parts);
  return text;
}

std::string canonical_query(const NameValues& query) {
  NameValues encoded;
  for (const auto& [name, value] : query)
    encoded.emplace_back(percent_encode(name, false), percent_encode(value, false));
  std::ranges::sort(encoded);
  std::string out;
  for (const auto& [name, value] : encoded) {
    if (!out.empty()) out += '&';
    out.append(name).append("=").append(value);
  }
  return out;
}

const Secret& SigningKey::of(const Secret& secret_access_key, const std::string& date, const SigningScope& scope) {
  std::string wanted = date + "/" + scope.region + "/" + scope.service;
  if (wanted == made_for_ && secret_access_key.reveal() == made_of_.reveal()) return key_;
  const Secret first("AWS4" + secret_access_key.reveal());
  const Secret of_date(hmac(first.reveal(), date));
  const Secret of_region(hmac(of_date.reveal(), scope.region));
  const Secret of_service(hmac(of_region.reveal(), scope.service));
  key_ = Secret(hmac(of_service.reveal(), "aws4_request"));
  made_of_ = secret_access_key;
  made_for_ = std::move(wanted);
  return key_;
}

NameValues sign(const SignedParts& parts, const AwsCredentials& credentials, const SigningScope& scope,
                SigningKey& key) {
  const std::string time = amz_date(scope.time_ms);
  const std::string date = time.substr(0, 8);
  NameValues added{{"x-amz-date", time}};
  if (scope.service == "s3") added.emplace_back("x-amz-content-sha256", parts.payload_hash);
  if (!credentials.session_token.empty())
    added.emplace_back("x-amz-security-token", credentials.session_token.reveal());

  NameValues all = parts.headers;
  all.insert(all.end(), added.begin(), added.end());
  all.emplace_back("host", parts.host);
  std::ranges::sort(all);
  std::string canonical_headers;
  std::string names;
  for (const auto& [name, value] : all) {
    canonical_headers.append(name).append(":").append(canonical_value(value)).append("\n");
    if (!names.empty()) names += ';';
    names += name;
  }
  const std::string canonical_request = parts.method + "\n" + parts.encoded_path + "\n" + canonical_query(parts.query) +
                                        "\n" + canonical_headers + "\n" + names + "\n" + parts.payload_hash;
  const std::string area = date + "/" + scope.region + "/" + scope.service + "/aws4_request";
  const std::string to_sign = "AWS4-HMAC-SHA256\n" + time + "\n" + area + "\n" + sha256_hex(canonical_request);
  const Secret& day_key = key.of(credentials.secret_access_key, date, scope);
  added.emplace_back("authorization", "AWS4-HMAC-SHA256 Credential=" + credentials.access_key_id + "/" + area +
                                          ",SignedHeaders=" + names +
                                          ",Signature=" + hex(hmac(day_key.reveal(), to_sign)));
  return added;
}

} // namespace checkvalve
