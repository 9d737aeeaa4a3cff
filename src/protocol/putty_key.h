// PuTTY's private key files (.ppk), versions 2 and 3.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/secret.h"

namespace checkvalve {

// A key pair as SSH has it.
struct SshKeyPair {
  std::string type;        // "ssh-ed25519", …
  std::string public_blob; // RFC 4253, section 6.6
  Secret private_fields;   // as OpenSSH's PROTOCOL.key has them behind the type, without the comment
};

bool is_putty_key(std::string_view text);

// By the PuTTY manual, appendix "PPK file format". `passphrase` may be null. Nothing if the text is damaged, the
// passphrase is wrong or missing, or the key's type is not RSA, ECDSA or Ed25519.
std::optional<SshKeyPair> read_putty_key(std::string_view text, const char* passphrase);

} // namespace checkvalve
