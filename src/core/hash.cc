#include "core/hash.h"

#define XXH_INLINE_ALL
#include <fmt/format.h>
#include <isa-l/crc.h>
#include <openssl/evp.h>
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <stdexcept>
#include <variant>

namespace checkvalve {
namespace {

struct FreeContext {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};
using Sha256 = std::unique_ptr<EVP_MD_CTX, FreeContext>;

struct Crc32c {
  std::uint32_t value = ~0U; // before the final inversion
};

using Digest = std::variant<XXH3_state_t, Sha256, Crc32c>;

void begin(Digest& digest, HashAlgorithm algorithm) {
  switch (algorithm) {
  case HashAlgorithm::xxh128: XXH3_128bits_reset(&digest.emplace<XXH3_state_t>()); return;
  case HashAlgorithm::crc32c: digest.emplace<Crc32c>(); return;
  case HashAlgorithm::sha256: break;
  }
  Sha256& context = digest.emplace<Sha256>(EVP_MD_CTX_new());
  if (!context || EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr) != 1)
    throw std::runtime_error("OpenSSL has no SHA-256");
}

std::uint32_t crc32c(std::uint32_t value, std::span<const std::byte> bytes) {
  constexpr std::size_t max_bytes = 1 << 30; // ISA-L's lengths are ints
  while (!bytes.empty()) {
    const std::size_t size = std::min(bytes.size(), max_bytes);
    // It reads only, although it takes no const.
    auto* data = const_cast<unsigned char*>(reinterpret_cast<const unsigned char*>(bytes.data()));
    value = crc32_iscsi(data, static_cast<int>(size), value);
    bytes = bytes.subspan(size);
  }
  return value;
}

} // namespace

std::string_view to_string(HashAlgorithm algorithm) {
  constexpr std::array<std::string_view, 3> names = {"xxh128", "sha256", "crc32c"};
  return names.at(static_cast<std::size_t>(algorithm));
}

struct Hasher::State {
  HashAlgorithm algorithm;
  Digest digest;
};

Hasher::Hasher(HashAlgorithm algorithm) : state_(new State{algorithm, {}}) { begin(state_->digest, algorithm); }
Hasher::~Hasher() = default;
Hasher::Hasher(Hasher&&) noexcept = default;
Hasher& Hasher::operator=(Hasher&&) noexcept = default;

Hasher Hasher::copy() const {
  Hasher same(state_->algorithm);
  if (const auto* context = std::get_if<Sha256>(&state_->digest)) {
    if (EVP_MD_CTX_copy_ex(std::get<Sha256>(same.state_->digest).get(), context->get()) != 1)
      throw std::runtime_error("OpenSSL has no SHA-256");
  } else if (const auto* xxh = std::get_if<XXH3_state_t>(&state_->digest)) {
    XXH3_copyState(&std::get<XXH3_state_t>(same.state_->digest), xxh);
  } else {
    same.state_->digest.emplace<Crc32c>(std::get<Crc32c>(state_->digest));
  }
  return same;
}

void Hasher::update(std::span<const std::byte> bytes) {
  if (auto* xxh = std::get_if<XXH3_state_t>(&state_->digest))
    XXH3_128bits_update(xxh, bytes.data(), bytes.size());
  else if (auto* crc = std::get_if<Crc32c>(&state_->digest))
    crc->value = crc32c(crc->value, bytes);
  else
    EVP_DigestUpdate(std::get<Sha256>(state_->digest).get(), bytes.data(), bytes.size());
}

std::string Hasher::digest() const {
  if (const auto* xxh = std::get_if<XXH3_state_t>(&state_->digest)) {
    const XXH128_hash_t hash = XXH3_128bits_digest(xxh);
    return fmt::format("xxh128:{:016x}{:016x}", hash.high64, hash.low64);
  }
  if (const auto* crc = std::get_if<Crc32c>(&state_->digest)) return fmt::format("crc32c:{:08x}", ~crc->value);
  // Of a copy, as more bytes may follow.
  const Sha256 copy(EVP_MD_CTX_new());
  std::array<std::byte, 32> bytes{};
  if (!copy || EVP_MD_CTX_copy_ex(copy.get(), std::get<Sha256>(state_->digest).get()) != 1 ||
      EVP_DigestFinal_ex(copy.get(), reinterpret_cast<unsigned char*>(bytes.data()), nullptr) != 1)
    throw std::runtime_error("OpenSSL has no SHA-256");
  return digest_text(HashAlgorithm::sha256, bytes);
}

std::string digest_text(HashAlgorithm algorithm, std::span<const std::byte> bytes) {
  std::string text = fmt::format("{}:", to_string(algorithm));
  for (const std::byte byte : bytes) text += fmt::format("{:02x}", static_cast<unsigned>(byte));
  return text;
}

} // namespace checkvalve
