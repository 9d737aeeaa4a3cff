// Private keys in forms that libssh does not read, or reads as keys that it can't sign with.
#pragma once

#include <optional>
#include <string>

#include "core/secret.h"

namespace checkvalve {

// An OpenSSH private key file without a passphrase (OpenSSH's PROTOCOL.key) of an Ed25519 key in PKCS #8 form (RFC
// 8410; "openssl genpkey" writes it), or of a PuTTY key (putty_key.h). `passphrase` is null where there is none; nobody
// is asked for one. Nothing if the text is not such a key, or the passphrase is wrong.
std::optional<Secret> openssh_form(const std::string& text, const char* passphrase);

} // namespace checkvalve
