#include "backends/object_store/checksum.h"

#include <isa-l/crc.h>
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <memory>

#include "core/text.h"

namespace checkvalve {
namespace {

// ISA-L's lengths are ints.
constexpr std::size_t max_bytes = 1 << 30;

// CRC-64/NVME: polynomial 0xAD93D23594C93659 (NVM Express Command Set Specification), reflected; a table for each of
// eight bytes taken at once.
constexpr std::array<std::array<std::uint64_t, 256>, 8> make_crc64_tables() {
  std::array<std::array<std::uint64_t, 256>, 8> tables{};
  for (std::uint64_t i = 0; i < 256; ++i) {
    std::uint64_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = (value & 1) != 0 ? (value >> 1) ^ 0x9A6C9329AC4BC9B5ULL : value >> 1;
    tables[0][i] = value;
  }
  for (std::size_t i = 0; i < 256; ++i)
    for (std::size_t k = 1; k < 8; ++k) tables[k][i] = (tables[k - 1][i] >> 8) ^ tables[0][tables[k - 1][i] & 255];
  return tables;
}

std::uint64_t crc64nvme(std::uint64_t value, std::span<const std::byte> bytes) {
  static constexpr auto tables = make_crc64_tables();
  std::uint64_t crc = ~value;
  while (bytes.size() >= 8) {
    std::uint64_t next = 0;
    for (std::size_t i = 0; i < 8; ++i) next |= static_cast<std::uint64_t>(bytes[i]) << (8 * i);
    crc ^= next;
    std::uint64_t out = 0;
    for (std::size_t i = 0; i < 8; ++i) out ^= tables[7 - i][(crc >> (8 * i)) & 255];
    crc = out;
    bytes = bytes.subspan(8);
  }
  for (const std::byte byte : bytes) crc = (crc >> 8) ^ tables[0][(crc ^ static_cast<std::uint64_t>(byte)) & 255];
  return ~crc;
}

// Polynomials over GF(2), reflected: the highest bit of `width` is the coefficient of x^0.
struct Field {
  int width;
  std::uint64_t polynomial;

  std::uint64_t product(std::uint64_t a, std::uint64_t b) const {
    std::uint64_t out = 0;
    for (std::uint64_t bit = 1ULL << (width - 1); bit != 0; bit >>= 1) {
      if ((a & bit) != 0) out ^= b;
      b = (b & 1) != 0 ? (b >> 1) ^ polynomial : b >> 1;
    }
    return out;
  }
  // x^(8 * bytes)
  std::uint64_t power(std::uint64_t bytes) const {
    std::uint64_t out = 1ULL << (width - 1);
    std::uint64_t square = 1ULL << (width - 9); // x^8
    for (; bytes != 0; bytes >>= 1) {
      if ((bytes & 1) != 0) out = product(square, out);
      square = product(square, square);
    }
    return out;
  }
};

Field field_of(ChecksumKind kind) {
  switch (kind) {
  case ChecksumKind::crc32: return {32, 0xEDB88320};
  case ChecksumKind::crc32c: return {32, 0x82F63B78};
  case ChecksumKind::crc64nvme: break;
  }
  return {64, 0x9A6C9329AC4BC9B5ULL};
}

} // namespace

// The initial and the final inversion cancel out, so that the CRC of what lies before is moved over the later bytes.
void Checksum::append(const Checksum& next, std::uint64_t next_bytes) {
  const Field field = field_of(kind_);
  value_ = field.product(field.power(next_bytes), value_) ^ next.value_;
}

std::optional<Checksum> Checksum::known(ChecksumKind kind, std::string_view base64) {
  const auto bytes = from_base64(base64);
  if (!bytes || bytes->size() != (kind == ChecksumKind::crc64nvme ? 8U : 4U)) return std::nullopt;
  Checksum out(kind);
  for (const std::byte byte : *bytes) out.value_ = (out.value_ << 8) | static_cast<std::uint64_t>(byte);
  return out;
}

void Checksum::update(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const std::size_t size = std::min(bytes.size(), max_bytes);
    const auto* data = reinterpret_cast<const unsigned char*>(bytes.data());
    switch (kind_) {
    case ChecksumKind::crc32: value_ = crc32_gzip_refl(static_cast<std::uint32_t>(value_), data, size); break;
    case ChecksumKind::crc32c: // ISA-L's takes and gives the value before its final inversion
      value_ = static_cast<std::uint32_t>(
          ~crc32_iscsi(const_cast<unsigned char*>(data), static_cast<int>(size), ~static_cast<std::uint32_t>(value_)));
      break;
    case ChecksumKind::crc64nvme: value_ = crc64nvme(value_, bytes.first(size)); break;
    }
    bytes = bytes.subspan(size);
  }
}

std::string Checksum::base64() const {
  std::array<std::byte, 8> big_endian{};
  const std::size_t size = kind_ == ChecksumKind::crc64nvme ? 8 : 4;
  for (std::size_t i = 0; i < size; ++i) big_endian[i] = static_cast<std::byte>(value_ >> (8 * (size - 1 - i)));
  return checkvalve::base64(std::span(big_endian).first(size));
}

std::string md5_base64(std::span<const Chunk> body) {
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  std::array<std::byte, EVP_MAX_MD_SIZE> out;
  unsigned size = 0;
  if (!EVP_DigestInit_ex(context.get(), EVP_md5(), nullptr)) return "";
  for (const Chunk& chunk : body) EVP_DigestUpdate(context.get(), chunk.data(), chunk.size());
  EVP_DigestFinal_ex(context.get(), reinterpret_cast<unsigned char*>(out.data()), &size);
  return base64(std::span(out).first(size));
}

} // namespace checkvalve
