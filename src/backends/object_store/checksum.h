// The checksums that S3 keeps of objects and parts ("Checking object integrity" of the S3 user guide).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/chunk.h"

namespace checkvalve {

enum class ChecksumKind : std::uint8_t { crc32, crc32c, crc64nvme };

// The checksum of bytes that are given in order.
class Checksum {
public:
  explicit Checksum(ChecksumKind kind) : kind_(kind) {}
  // A CRC that is known, from its base64; nothing if the text is not a value of this kind.
  static std::optional<Checksum> known(ChecksumKind kind, std::string_view base64);
  void update(std::span<const std::byte> bytes);
  // Continues with the bytes that `next` is the checksum of, `next_bytes` of them. Both are of one kind.
  void append(const Checksum& next, std::uint64_t next_bytes);
  // As headers have it: the big-endian value in base64.
  std::string base64() const;

private:
  ChecksumKind kind_;
  std::uint64_t value_ = 0;
};

// MD5 of a body (RFC 1864), for services without other checksums; "" where OpenSSL provides none (FIPS).
std::string md5_base64(std::span<const Chunk> body);

} // namespace checkvalve
