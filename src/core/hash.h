// Digests of content. The engine's own is XXH3 (128 bit): it finds errors, it does not defend against forgery. The
// others are those of endpoints' server-side checksums.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace checkvalve {

enum class HashAlgorithm : std::uint8_t {
  xxh128,
  sha256,
  crc32c, // Castagnoli (RFC 3720, section 12.1), as S3 keeps it
};

// "xxh128", "sha256", "crc32c".
std::string_view to_string(HashAlgorithm algorithm);

// Takes the bytes in order. Not thread-safe.
class Hasher {
public:
  explicit Hasher(HashAlgorithm algorithm = HashAlgorithm::xxh128);
  ~Hasher();
  Hasher(Hasher&&) noexcept;
  Hasher& operator=(Hasher&&) noexcept;
  Hasher copy() const; // with the bytes so far; either can be continued
  void update(std::span<const std::byte> bytes);
  // The algorithm's name, ':' and lower-case hexadecimal digits, of all bytes so far: "xxh128:" and 32 digits.
  std::string digest() const;

private:
  struct State;
  std::unique_ptr<State> state_;
};

// A server-side checksum in the form of Hasher::digest(): `bytes` are the big-endian value.
std::string digest_text(HashAlgorithm algorithm, std::span<const std::byte> bytes);

} // namespace checkvalve
