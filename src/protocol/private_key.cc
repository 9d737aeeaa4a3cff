#include "protocol/private_key.h"

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string_view>

#include "core/text.h"

namespace checkvalve {
namespace {

constexpr std::size_t key_bytes = 32; // both the private and the public one (RFC 8032, section 5.1)
using KeyBytes = std::array<unsigned char, key_bytes>;

int give_passphrase(char* to, int size, int, void* passphrase) {
  const auto* text = static_cast<const char*>(passphrase);
  if (!text) return -1;
  const std::size_t length = std::min(std::strlen(text), static_cast<std::size_t>(size));
  std::memcpy(to, text, length);
  return static_cast<int>(length);
}

// RFC 4251, section 5.
void put_u32(std::string& to, std::uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) to += static_cast<char>(value >> shift);
}
void put_string(std::string& to, std::string_view value) {
  put_u32(to, static_cast<std::uint32_t>(value.size()));
  to += value;
}
std::string_view text_of(const KeyBytes& key) { return {reinterpret_cast<const char*>(key.data()), key.size()}; }

std::string openssh_key(const KeyBytes& secret, const KeyBytes& shown) {
  constexpr std::string_view type = "ssh-ed25519";
  constexpr std::size_t block_bytes = 8; // of the cipher "none"
  std::string public_blob;
  put_string(public_blob, type);
  put_string(public_blob, text_of(shown));
  std::string section; // what a passphrase would encrypt; it begins with two equal numbers
  section.reserve(512);
  put_u32(section, 0);
  put_u32(section, 0);
  put_string(section, type);
  put_string(section, text_of(shown));
  put_u32(section, 2 * key_bytes);
  section += text_of(secret);
  section += text_of(shown);
  put_string(section, ""); // comment
  for (char pad = 1; section.size() % block_bytes != 0; ++pad) section += pad;
  std::string out("openssh-key-v1", sizeof "openssh-key-v1");
  out.reserve(1024);
  put_string(out, "none"); // cipher
  put_string(out, "none"); // key derivation
  put_string(out, "");
  put_u32(out, 1); // keys
  put_string(out, public_blob);
  put_string(out, section);
  OPENSSL_cleanse(section.data(), section.size());
  return out;
}

} // namespace

std::optional<Secret> openssh_form(const std::string& pem, const char* passphrase) {
  if (pem.find("-----BEGIN PRIVATE KEY") == pem.npos && pem.find("-----BEGIN ENCRYPTED PRIVATE KEY") == pem.npos)
    return std::nullopt;
  const std::unique_ptr<BIO, decltype(&BIO_free)> input(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())),
                                                        BIO_free);
  const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(
      PEM_read_bio_PrivateKey(input.get(), nullptr, give_passphrase, const_cast<char*>(passphrase)), EVP_PKEY_free);
  if (!key || EVP_PKEY_id(key.get()) != EVP_PKEY_ED25519) return std::nullopt;
  KeyBytes secret{};
  KeyBytes shown{};
  std::size_t secret_bytes = secret.size();
  std::size_t shown_bytes = shown.size();
  const bool read = EVP_PKEY_get_raw_private_key(key.get(), secret.data(), &secret_bytes) == 1 &&
                    EVP_PKEY_get_raw_public_key(key.get(), shown.data(), &shown_bytes) == 1;
  std::string blob = read ? openssh_key(secret, shown) : std::string();
  OPENSSL_cleanse(secret.data(), secret.size());
  if (!read) return std::nullopt;
  std::string text = "-----BEGIN OPENSSH PRIVATE KEY-----\n" + base64(std::as_bytes(std::span(blob))) +
                     "\n-----END OPENSSH PRIVATE KEY-----\n";
  OPENSSL_cleanse(blob.data(), blob.size());
  return Secret(std::move(text));
}

} // namespace checkvalve
