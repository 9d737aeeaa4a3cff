#include "protocol/putty_key.h"

#include <argon2.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <initializer_list>
#include <map>
#include <memory>
#include <span>

#include "core/text.h"
#include "protocol/sftp_packet.h"
#include "protocol/ssh_wire.h"

namespace checkvalve {
namespace {

constexpr std::string_view file_mark = "PuTTY-User-Key-File-";
constexpr std::size_t max_file_bytes = 64 << 10;
constexpr std::uint32_t max_lines = 1'000;                 // of a blob
constexpr std::uint32_t max_argon2_memory_kib = 256 << 10; // PuTTY uses 8 MiB unless it is asked for more
constexpr std::uint32_t max_argon2_passes = 100'000;

// What a passphrase gives: a key and an initialisation vector for AES-256-CBC, and the key of the MAC.
struct DerivedKeys {
  std::array<unsigned char, 32> cipher{};
  std::array<unsigned char, 16> vector{};
  std::string mac;
  ~DerivedKeys() {
    OPENSSL_cleanse(cipher.data(), cipher.size());
    OPENSSL_cleanse(mac.data(), mac.size());
  }
};

struct PuttyFile {
  int version = 0;
  std::map<std::string, std::string, std::less<>> headers; // "Encryption", … and the key's type as "Type"
  std::string public_blob;
  std::string private_blob; // perhaps encrypted

  std::string_view header(std::string_view name) const {
    const auto found = headers.find(name);
    return found == headers.end() ? std::string_view() : found->second;
  }
  std::optional<std::uint32_t> number(std::string_view name, std::uint32_t max) const {
    const std::string_view text = header(name);
    std::uint32_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || value > max) return std::nullopt;
    return value;
  }
  bool encrypted() const { return header("Encryption") == "aes256-cbc"; }
};

class Lines {
public:
  explicit Lines(std::string_view text) : rest_(text) {}
  bool at_end() const { return rest_.empty(); }
  std::string_view next() {
    const std::size_t end = rest_.find('\n');
    std::string_view line = rest_.substr(0, end);
    rest_ = end == rest_.npos ? std::string_view() : rest_.substr(end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    return line;
  }

private:
  std::string_view rest_;
};

std::string as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
const unsigned char* raw(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }

std::optional<std::string> from_hex(std::string_view hex) {
  std::string out;
  if (hex.size() % 2 != 0) return std::nullopt;
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    unsigned value = 0;
    const auto [end, error] = std::from_chars(hex.data() + i, hex.data() + i + 2, value, 16);
    if (error != std::errc() || end != hex.data() + i + 2) return std::nullopt;
    out += static_cast<char>(value);
  }
  return out;
}

std::optional<PuttyFile> parse(std::string_view text) {
  if (text.size() > max_file_bytes) return std::nullopt;
  PuttyFile file;
  Lines lines(text);
  while (!lines.at_end()) {
    const std::string_view line = lines.next();
    const std::size_t colon = line.find(": ");
    if (colon == line.npos) continue;
    std::string name(line.substr(0, colon));
    const std::string_view value = line.substr(colon + 2);
    if (name.starts_with(file_mark)) {
      file.version = name.substr(file_mark.size()) == "2" ? 2 : name.substr(file_mark.size()) == "3" ? 3 : 0;
      name = "Type";
    }
    file.headers[name] = value;
    if (name != "Public-Lines" && name != "Private-Lines") continue;
    const auto count = file.number(name, max_lines);
    if (!count) return std::nullopt;
    std::string encoded;
    for (std::uint32_t i = 0; i < *count; ++i) encoded += lines.next();
    const auto blob = from_base64(encoded);
    OPENSSL_cleanse(encoded.data(), encoded.size());
    if (!blob) return std::nullopt;
    (name == "Public-Lines" ? file.public_blob : file.private_blob) = as_text(*blob);
  }
  const std::string_view encryption = file.header("Encryption");
  if (file.version == 0 || (encryption != "none" && encryption != "aes256-cbc")) return std::nullopt;
  return file;
}

std::string digest(const EVP_MD* algorithm, std::initializer_list<std::string_view> parts) {
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  std::string out(EVP_MAX_MD_SIZE, '\0');
  unsigned size = 0;
  EVP_DigestInit_ex(context.get(), algorithm, nullptr);
  for (const std::string_view part : parts) EVP_DigestUpdate(context.get(), part.data(), part.size());
  EVP_DigestFinal_ex(context.get(), reinterpret_cast<unsigned char*>(out.data()), &size);
  out.resize(size);
  return out;
}

// Version 2: SHA-1 of a counter and the passphrase; no initialisation vector.
void derive_2(const PuttyFile& file, std::string_view passphrase, DerivedKeys& keys) {
  using namespace std::string_view_literals;
  keys.mac = digest(EVP_sha1(), {"putty-private-key-file-mac-key", file.encrypted() ? passphrase : ""});
  const std::string first = digest(EVP_sha1(), {"\0\0\0\0"sv, passphrase});
  const std::string second = digest(EVP_sha1(), {"\0\0\0\1"sv, passphrase});
  const std::string both = first + second;
  std::copy_n(both.begin(), keys.cipher.size(), keys.cipher.begin());
}

// Version 3: Argon2 (RFC 9106). Of a key that is not encrypted the MAC's key is empty.
bool derive_3(const PuttyFile& file, std::string_view passphrase, DerivedKeys& keys) {
  if (!file.encrypted()) return true;
  const std::map<std::string_view, argon2_type> types = {
      {"Argon2id", Argon2_id}, {"Argon2i", Argon2_i}, {"Argon2d", Argon2_d}};
  const auto type = types.find(file.header("Key-Derivation"));
  const auto memory_kib = file.number("Argon2-Memory", max_argon2_memory_kib);
  const auto passes = file.number("Argon2-Passes", max_argon2_passes);
  const auto lanes = file.number("Argon2-Parallelism", 16);
  const auto salt = from_hex(file.header("Argon2-Salt"));
  if (type == types.end() || !memory_kib || !passes || !lanes || !salt) return false;
  std::array<char, 80> out{};
  if (argon2_hash(*passes, *memory_kib, *lanes, passphrase.data(), passphrase.size(), salt->data(), salt->size(),
                  out.data(), out.size(), nullptr, 0, type->second, ARGON2_VERSION_13) != ARGON2_OK)
    return false;
  std::copy_n(out.begin(), 32, keys.cipher.begin());
  std::copy_n(out.begin() + 32, 16, keys.vector.begin());
  keys.mac.assign(out.begin() + 48, out.end());
  OPENSSL_cleanse(out.data(), out.size());
  return true;
}

bool decrypt(std::string& blob, const DerivedKeys& keys) {
  const std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)> context(EVP_CIPHER_CTX_new(),
                                                                                EVP_CIPHER_CTX_free);
  std::string plain(blob.size() + 16, '\0');
  int size = 0;
  if (EVP_DecryptInit_ex(context.get(), EVP_aes_256_cbc(), nullptr, keys.cipher.data(), keys.vector.data()) != 1 ||
      EVP_CIPHER_CTX_set_padding(context.get(), 0) != 1 ||
      EVP_DecryptUpdate(context.get(), reinterpret_cast<unsigned char*>(plain.data()), &size, raw(blob),
                        static_cast<int>(blob.size())) != 1 ||
      static_cast<std::size_t>(size) != blob.size())
    return false;
  plain.resize(blob.size());
  OPENSSL_cleanse(blob.data(), blob.size());
  blob = std::move(plain);
  return true;
}

// The MAC shows a wrong passphrase, and damage.
bool genuine(const PuttyFile& file, const DerivedKeys& keys) {
  std::string text;
  for (const std::string_view part : {file.header("Type"), file.header("Encryption"), file.header("Comment"),
                                      std::string_view(file.public_blob), std::string_view(file.private_blob)})
    put_ssh_string(text, part);
  std::array<unsigned char, EVP_MAX_MD_SIZE> mac{};
  unsigned size = 0;
  HMAC(file.version == 2 ? EVP_sha1() : EVP_sha256(), keys.mac.data(), static_cast<int>(keys.mac.size()), raw(text),
       text.size(), mac.data(), &size);
  OPENSSL_cleanse(text.data(), text.size());
  const auto expected = from_hex(file.header("Private-MAC"));
  return expected && expected->size() == size && CRYPTO_memcmp(expected->data(), mac.data(), size) == 0;
}

// From PuTTY's order of the private numbers to OpenSSH's, which has the public ones among them.
std::optional<std::string> private_fields(std::string_view type, std::string_view public_blob,
                                          std::string_view private_blob) {
  PacketReader shown(std::as_bytes(std::span(public_blob)));
  PacketReader secret(std::as_bytes(std::span(private_blob)));
  std::string out;
  out.reserve(public_blob.size() + private_blob.size() + 64);
  if (shown.string() != type) return std::nullopt;
  if (type == "ssh-rsa") {
    const std::string_view e = shown.string();
    const std::string_view n = shown.string();
    const std::string_view d = secret.string();
    const std::string_view p = secret.string();
    const std::string_view q = secret.string();
    const std::string_view inverse = secret.string(); // of q modulo p
    for (const std::string_view number : {n, e, d, inverse, p, q}) put_ssh_string(out, number);
  } else if (type == "ssh-ed25519") {
    const std::string_view point = shown.string();
    const std::string_view seed = secret.string();
    put_ssh_string(out, point);
    put_ssh_string(out, std::string(seed).append(point));
  } else if (type.starts_with("ecdsa-sha2-")) {
    put_ssh_string(out, shown.string()); // the curve
    put_ssh_string(out, shown.string());
    put_ssh_string(out, secret.string());
  } else {
    return std::nullopt;
  }
  if (shown.failed() || secret.failed()) return std::nullopt;
  return out;
}

} // namespace

bool is_putty_key(std::string_view text) { return text.starts_with(file_mark); }

std::optional<SshKeyPair> read_putty_key(std::string_view text, const char* passphrase) {
  auto file = parse(text);
  if (!file || (file->encrypted() && !passphrase)) return std::nullopt;
  DerivedKeys keys;
  const std::string_view phrase = passphrase ? passphrase : "";
  if (file->version == 2)
    derive_2(*file, phrase, keys);
  else if (!derive_3(*file, phrase, keys))
    return std::nullopt;
  if (file->encrypted() && !decrypt(file->private_blob, keys)) return std::nullopt;
  std::optional<SshKeyPair> pair;
  if (genuine(*file, keys))
    if (auto fields = private_fields(file->header("Type"), file->public_blob, file->private_blob))
      pair = SshKeyPair{std::string(file->header("Type")), std::move(file->public_blob), Secret(std::move(*fields))};
  OPENSSL_cleanse(file->private_blob.data(), file->private_blob.size());
  return pair;
}

} // namespace checkvalve
