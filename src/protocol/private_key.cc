#include "protocol/private_key.h"

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <span>
#include <string_view>

#include "core/text.h"
#include "protocol/putty_key.h"
#include "protocol/ssh_wire.h"

namespace checkvalve {
namespace {

constexpr std::size_t key_bytes = 32; // both the private and the public one (RFC 8032, section 5.1)

int give_passphrase(char* to, int size, int, void* passphrase) {
  const auto* text = static_cast<const char*>(passphrase);
  if (!text) return -1;
  const std::size_t length = std::min(std::strlen(text), static_cast<std::size_t>(size));
  std::memcpy(to, text, length);
  return static_cast<int>(length);
}

// A file without a passphrase (OpenSSH's PROTOCOL.key).
Secret openssh_file(const SshKeyPair& pair) {
  constexpr std::size_t block_bytes = 8; // of the cipher "none"
  std::string section;                   // what a passphrase would encrypt; it begins with two equal numbers
  section.reserve(pair.private_fields.reveal().size() + 64);
  put_ssh_u32(section, 0);
  put_ssh_u32(section, 0);
  put_ssh_string(section, pair.type);
  section += pair.private_fields.reveal();
  put_ssh_string(section, ""); // comment
  for (char pad = 1; section.size() % block_bytes != 0; ++pad) section += pad;
  std::string blob("openssh-key-v1", sizeof "openssh-key-v1");
  blob.reserve(section.size() + pair.public_blob.size() + 64);
  put_ssh_string(blob, "none"); // cipher
  put_ssh_string(blob, "none"); // key derivation
  put_ssh_string(blob, "");
  put_ssh_u32(blob, 1); // keys
  put_ssh_string(blob, pair.public_blob);
  put_ssh_string(blob, section);
  std::string text = "-----BEGIN OPENSSH PRIVATE KEY-----\n" + base64(std::as_bytes(std::span(blob))) +
                     "\n-----END OPENSSH PRIVATE KEY-----\n";
  OPENSSL_cleanse(section.data(), section.size());
  OPENSSL_cleanse(blob.data(), blob.size());
  return Secret(std::move(text));
}

std::optional<SshKeyPair> read_pkcs8_ed25519(const std::string& pem, const char* passphrase) {
  const std::unique_ptr<BIO, decltype(&BIO_free)> input(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())),
                                                        BIO_free);
  const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(
      PEM_read_bio_PrivateKey(input.get(), nullptr, give_passphrase, const_cast<char*>(passphrase)), EVP_PKEY_free);
  if (!key || EVP_PKEY_id(key.get()) != EVP_PKEY_ED25519) return std::nullopt;
  std::string both(2 * key_bytes, '\0'); // the private key and the public one
  auto* bytes = reinterpret_cast<unsigned char*>(both.data());
  std::size_t secret_bytes = key_bytes;
  std::size_t shown_bytes = key_bytes;
  if (EVP_PKEY_get_raw_private_key(key.get(), bytes, &secret_bytes) != 1 ||
      EVP_PKEY_get_raw_public_key(key.get(), bytes + key_bytes, &shown_bytes) != 1)
    return std::nullopt;
  SshKeyPair pair{"ssh-ed25519", "", Secret()};
  const std::string shown = both.substr(key_bytes);
  put_ssh_string(pair.public_blob, pair.type);
  put_ssh_string(pair.public_blob, shown);
  std::string fields;
  fields.reserve(256);
  put_ssh_string(fields, shown);
  put_ssh_string(fields, both);
  pair.private_fields = Secret(std::move(fields));
  OPENSSL_cleanse(both.data(), both.size());
  return pair;
}

} // namespace

std::optional<Secret> openssh_form(const std::string& text, const char* passphrase) {
  std::optional<SshKeyPair> pair;
  if (is_putty_key(text))
    pair = read_putty_key(text, passphrase);
  else if (text.find("-----BEGIN PRIVATE KEY") != text.npos ||
           text.find("-----BEGIN ENCRYPTED PRIVATE KEY") != text.npos)
    pair = read_pkcs8_ed25519(text, passphrase);
  if (!pair) return std::nullopt;
  return openssh_file(*pair);
}

} // namespace checkvalve
