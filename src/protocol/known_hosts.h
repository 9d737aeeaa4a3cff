// Host keys as known_hosts files record them: sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT", read as OpenSSH's client does.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"

namespace checkvalve {

enum class KnownHostVerdict : std::uint8_t {
  known,
  unknown,    // no line names the server
  changed,    // a line has another key of this type for the server
  other_type, // lines have keys for the server, none of this type
  authority,  // only @cert-authority lines name the server: it must show a certificate
  revoked,    // a @revoked line has this key
};

// Immutable once read; any thread.
class KnownHosts {
public:
  // The files' lines together; a file that does not exist has none. Blocks. ErrorKind::host_key if one can't be read.
  static Result<KnownHosts> read(const std::vector<std::string>& paths);
  // Adds the lines of a file's text. Lines that are not valid are passed over, as OpenSSH does.
  void add(std::string_view text);

  // `key` is the public key in base64, `type` its name in RFC 4253's registry: "ssh-ed25519". A server at a port other
  // than 22 is looked up as "[host]:port", then as "host", where only the very key counts.
  KnownHostVerdict judge(std::string_view host, unsigned port, std::string_view type, std::string_view key) const;
  // The types of the keys that are recorded for the server and not revoked, without repetitions.
  std::vector<std::string> types(std::string_view host, unsigned port) const;

private:
  enum class Marker : std::uint8_t { none, revoked, authority };
  struct Line {
    Marker marker = Marker::none;
    std::string hosts; // patterns with commas between, or one hashed name
    std::string type;
    std::string key;
  };

  std::vector<Line> lines_;
};

} // namespace checkvalve
