// The parts of the S3 backend that need no server: signing, checksums, XML, profile files, upload records.
#include <gtest/gtest.h>

#include "backends/object_store/checksum.h"
#include "backends/object_store/upload_record.h"
#include "backends/s3/aws_profile.h"
#include "backends/s3/s3_xml.h"
#include "backends/s3/sigv4.h"
#include "support/run.h"

namespace checkvalve {
namespace {

// The examples of "Signature Calculations for the Authorization Header: Transferring Payload in a Single Chunk" in the
// S3 API reference, with AWS's published example key.
constexpr const char* example_id = "AKIAIOSFODNN7EXAMPLE";
constexpr const char* example_secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
constexpr std::int64_t example_time_ms = 1'369'353'600'000; // 2013-05-24T00:00:00Z

std::string signature(SignedParts parts) {
  parts.host = "examplebucket.s3.amazonaws.com";
  const AwsCredentials credentials{example_id, Secret(example_secret), Secret(), 0};
  SigningKey key;
  for (const auto& [name, value] : sign(parts, credentials, {"us-east-1", "s3", example_time_ms}, key))
    if (name == "authorization") return value.substr(value.find("Signature=") + 10);
  return "";
}

TEST(SigV4, SignsAsTheReferenceDoes) {
  const std::string empty = sha256_hex("");
  EXPECT_EQ(signature({"GET", "", "/test.txt", {}, {{"range", "bytes=0-9"}}, empty}),
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
  EXPECT_EQ(signature({"PUT",
                       "",
                       "/test%24file.text",
                       {},
                       {{"date", "Fri, 24 May 2013 00:00:00 GMT"}, {"x-amz-storage-class", "REDUCED_REDUNDANCY"}},
                       sha256_hex("Welcome to Amazon S3.")}),
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
  EXPECT_EQ(signature({"GET", "", "/", {{"lifecycle", ""}}, {}, empty}),
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
  EXPECT_EQ(signature({"GET", "", "/", {{"prefix", "J"}, {"max-keys", "2"}}, {}, empty}),
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

TEST(SigV4, SendsTheTokenOfTemporaryCredentials) {
  const AwsCredentials credentials{"id", Secret("secret"), Secret("token"), 0};
  bool sent = false;
  SigningKey key;
  for (const auto& [name, value] :
       sign({"GET", "host", "/", {}, {}, "UNSIGNED-PAYLOAD"}, credentials, {"r", "s3", 0}, key))
    if (name == "x-amz-security-token") sent = value == "token";
  EXPECT_TRUE(sent);
}

TEST(SigV4, AKeyServesItsDayRegionServiceAndSecretOnly) {
  const SignedParts parts{"GET", "host", "/", {}, {}, "UNSIGNED-PAYLOAD"};
  constexpr std::int64_t day_ms = 24 * 3'600'000;
  SigningKey kept;
  for (const SigningScope& scope : {SigningScope{"a", "s3", 0}, SigningScope{"a", "s3", 0}, SigningScope{"b", "s3", 0},
                                    SigningScope{"b", "sts", 0}, SigningScope{"b", "sts", day_ms}})
    for (const char* secret : {"one", "two"}) {
      const AwsCredentials credentials{"id", Secret(secret), Secret(), 0};
      SigningKey fresh;
      EXPECT_EQ(sign(parts, credentials, scope, kept), sign(parts, credentials, scope, fresh));
    }
}

std::string checksum_of(ChecksumKind kind, std::string_view first, std::string_view second) {
  Checksum checksum(kind);
  checksum.update(std::as_bytes(std::span(first)));
  checksum.update(std::as_bytes(std::span(second)));
  return checksum.base64();
}

TEST(Checksums, OfPartsMakeThatOfTheWhole) {
  const std::string text = "some text that comes in three parts, the last of which is the longest of all of them";
  for (const ChecksumKind kind : {ChecksumKind::crc32, ChecksumKind::crc32c, ChecksumKind::crc64nvme}) {
    Checksum whole(kind);
    for (const auto& [begin, size] :
         {std::pair<std::size_t, std::size_t>{0, 7}, {7, 0}, {7, 1}, {8, text.size() - 8}}) {
      Checksum part(kind);
      part.update(std::as_bytes(std::span(text).subspan(begin, size)));
      const auto known = Checksum::known(kind, part.base64());
      ASSERT_TRUE(known.has_value());
      whole.append(*known, size);
    }
    EXPECT_EQ(whole.base64(), checksum_of(kind, text, ""));
  }
  EXPECT_FALSE(Checksum::known(ChecksumKind::crc32c, "AAAAAAAAAAA=").has_value());
  EXPECT_FALSE(Checksum::known(ChecksumKind::crc32c, "no base64").has_value());
}

// The check values of the catalogue of parametrised CRC algorithms, for "123456789".
TEST(Checksum, AreThoseOfTheCatalogue) {
  for (std::size_t cut : {0U, 1U, 5U, 9U}) {
    const std::string_view digits = "123456789";
    EXPECT_EQ(checksum_of(ChecksumKind::crc32, digits.substr(0, cut), digits.substr(cut)), "y/Q5Jg==");  // CBF43926
    EXPECT_EQ(checksum_of(ChecksumKind::crc32c, digits.substr(0, cut), digits.substr(cut)), "4waSgw=="); // E3069283
    EXPECT_EQ(checksum_of(ChecksumKind::crc64nvme, digits.substr(0, cut), digits.substr(cut)),
              "rosUhgp5mIg="); // AE8B14860A799888
  }
}

TEST(S3Xml, ReadsAPage) {
  auto page = read_page(R"(<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
    <EncodingType>url</EncodingType><IsTruncated>true</IsTruncated><NextContinuationToken>to+ken=</NextContinuationToken>
    <Contents><Key>a%20b%2Bc%0A/%C3%BC</Key><LastModified>2024-03-01T12:34:56.789Z</LastModified><ETag>&quot;abc-2&quot;</ETag>
    <Size>5000000000</Size></Contents><CommonPrefixes><Prefix>x+y/</Prefix></CommonPrefixes></ListBucketResult>)");
  ASSERT_OK(page);
  ASSERT_EQ(page->objects.size(), 1U);
  EXPECT_EQ(page->objects[0].key, "a b+c\n/\xC3\xBC");
  EXPECT_EQ(page->objects[0].size_bytes, 5'000'000'000U);
  EXPECT_EQ(page->objects[0].etag, "abc-2");
  EXPECT_EQ(page->objects[0].modified_s, 1'709'296'496);
  EXPECT_EQ(page->prefixes, (std::vector<std::string>{"x y/"}));
  EXPECT_EQ(page->continuation, "to+ken=");
}

TEST(S3Xml, RefusesWhatIsNoListing) {
  EXPECT_FAILS(read_page("<html>a proxy's login page</html>"), ErrorKind::protocol);
  EXPECT_FAILS(read_page("not even XML"), ErrorKind::protocol);
  // Without its continuation the rest of the listing would be lost in silence.
  EXPECT_FAILS(read_page("<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>"), ErrorKind::protocol);
}

TEST(S3Xml, ReadsFaultsAndTimes) {
  const S3Fault fault = read_fault("<Error><Code>SlowDown</Code><Message>Reduce your rate.</Message></Error>");
  EXPECT_EQ(fault.code, "SlowDown");
  EXPECT_EQ(fault.message, "Reduce your rate.");
  EXPECT_EQ(read_fault("<CompleteMultipartUploadResult/>").code, "");
  EXPECT_EQ(read_time("Fri, 01 Mar 2024 12:34:56 GMT"), 1'709'296'496);
  EXPECT_EQ(read_time("yesterday"), 0);
}

TEST(AwsProfile, ReadsSections) {
  auto sections = parse_aws_file(
      "# remark\n[default]\nregion = eu-west-1 # near\n\n[profile x y]\ns3 =\n  nested = 1\nrole_arn=a=b\n", "config");
  ASSERT_OK(sections);
  EXPECT_EQ((*sections)["default"]["region"], "eu-west-1");
  EXPECT_EQ((*sections)["profile x y"]["role_arn"], "a=b");
  EXPECT_FALSE((*sections)["profile x y"].contains("nested"));
  auto broken = parse_aws_file("[default]\nno equals sign\n", "the file");
  EXPECT_FAILS(broken, ErrorKind::config);
  EXPECT_NE(broken.error().text().find("line 2"), std::string::npos) << broken.error().text();
}

TEST(UploadRecord, ReadsWhatWasWritten) {
  const UploadRecord record{{"a b\n\\\xff/c", "id-1", true}, 8 << 20, "12 345 \"etag\"\n", "x-amz-acl=private\n"};
  const auto back = read_record(write_record(record));
  ASSERT_TRUE(back.has_value());
  EXPECT_EQ(back->session.key, record.session.key);
  EXPECT_EQ(back->session.id, record.session.id);
  EXPECT_TRUE(back->session.whole_checksum);
  EXPECT_EQ(back->part_bytes, record.part_bytes);
  EXPECT_EQ(back->version, record.version);
  EXPECT_EQ(back->options, record.options);
}

TEST(UploadRecord, ReadsRecordsWithoutOptions) {
  const auto record = read_record("checkvalve multipart upload\nid-1\na/b\n8388608\nversion\nparts\n");
  ASSERT_TRUE(record.has_value());
  EXPECT_EQ(record->session.id, "id-1");
  EXPECT_EQ(record->options, "");
}

TEST(UploadRecord, RefusesOtherFiles) {
  EXPECT_FALSE(read_record("some user's file\nwith lines\nof text\n").has_value());
  EXPECT_FALSE(read_record("").has_value());
}

} // namespace
} // namespace checkvalve
