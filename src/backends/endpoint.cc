#include "backends/endpoint.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <optional>
#include <system_error>

#include "backends/registry.h"
#include "core/path.h"
#include "core/percent.h"

namespace checkvalve {
namespace {

bool is_alnum(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); }

// The URL for a message: what may hold a password is omitted.
std::string shown(std::string_view url) {
  const std::size_t start = url.find("://");
  const std::size_t at = url.rfind('@');
  if (start == url.npos || at == url.npos || at < start + 3) return escape_bytes(url);
  const std::string_view user = url.substr(start + 3, at - start - 3);
  if (user.find(':') == user.npos) return escape_bytes(url);
  return escape_bytes(fmt::format("{}…@{}", url.substr(0, start + 3), url.substr(at + 1)));
}

Failure unreadable(std::string_view url, std::string message) {
  return Failure(make_error(ErrorKind::config, "read URL", shown(url), std::move(message)));
}

// Leaves what may stand in a path (RFC 3986, 3.3) and valid UTF-8, which people read, and encodes the rest.
std::string encode(std::string_view bytes, std::string_view also_plain) {
  const bool utf8 = is_valid_utf8(bytes);
  std::string out;
  for (char c : bytes) {
    const bool plain = is_alnum(c) || also_plain.find(c) != also_plain.npos || (utf8 && (c & 0x80) != 0);
    if (plain)
      out += c;
    else
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

std::string encode_path(std::string_view path) { return encode(path, "-._~!$&'()*+,;=:@/"); }

// The length of a scheme (RFC 3986, 3.1) that "://" follows; 0: the text is a path.
std::size_t scheme_length(std::string_view url) {
  const std::size_t end = url.find("://");
  if (end == url.npos || end == 0) return 0;
  for (std::size_t i = 0; i < end; ++i)
    if (!is_alnum(url[i]) && (i == 0 || std::string_view("+-.").find(url[i]) == std::string_view::npos)) return 0;
  return end;
}

Result<std::string> read_ipv6(std::string_view url, std::string_view text) {
  // RFC 6874: the zone stands behind "%25"; a bare '%' is common and unmistakable.
  const std::size_t percent = text.find('%');
  const std::string address(text.substr(0, percent));
  std::string_view zone = percent == text.npos ? std::string_view() : text.substr(percent + 1);
  if (zone.starts_with("25")) zone.remove_prefix(2);
  in6_addr parsed{};
  const bool zone_ok =
      std::all_of(zone.begin(), zone.end(), [](char c) { return is_alnum(c) || c == '-' || c == '_' || c == '.'; });
  if (inet_pton(AF_INET6, address.c_str(), &parsed) != 1 || !zone_ok || (percent != text.npos && zone.empty()))
    return unreadable(url, "expected an IPv6 address in []");
  return zone.empty() ? address : address + "%" + std::string(zone);
}

// The part between "://" and the next '/': [user@]host[:port] (RFC 3986, 3.2).
Result<void> read_authority(std::string_view url, std::string_view authority, Endpoint& endpoint) {
  if (const std::size_t at = authority.rfind('@'); at != authority.npos) {
    const std::string_view user = authority.substr(0, at);
    authority.remove_prefix(at + 1);
    if (user.find(':') != user.npos)
      return unreadable(url,
                        "a password in a URL would show in process lists and logs: put it into "
                        "CHECKVALVE_SOURCE_PASSWORD or CHECKVALVE_TARGET_PASSWORD, a password_file or --secrets-fd");
    const auto decoded = percent_decoded(user);
    if (!decoded || decoded->empty() || decoded->front() == '-' || !is_valid_utf8(*decoded))
      return unreadable(url, "invalid user name before '@': write special characters as %NN");
    endpoint.user = *decoded;
  }
  std::string_view port;
  if (authority.starts_with('[')) {
    const std::size_t end = authority.find(']');
    if (end == authority.npos) return unreadable(url, "missing ']' after an IPv6 address");
    CV_TRY(endpoint.host, read_ipv6(url, authority.substr(1, end - 1)));
    port = authority.substr(end + 1);
    if (!port.empty() && port.front() != ':')
      return unreadable(url, "only :PORT may follow the ']' of an IPv6 address");
  } else {
    const std::size_t colon = authority.find(':');
    endpoint.host = authority.substr(0, colon);
    if (colon != authority.npos) port = authority.substr(colon);
  }
  const bool host_ok = is_valid_utf8(endpoint.host) && !endpoint.host.starts_with('-') && // never a program's option
                       std::none_of(endpoint.host.begin(), endpoint.host.end(), [](char c) {
                         return static_cast<unsigned char>(c) <= ' ' || c == 0x7F ||
                                std::string_view("\\<>\"'`|;&$?#{}").find(c) != std::string_view::npos;
                       });
  if (!host_ok) return unreadable(url, "invalid character in the host name");
  if (!port.empty()) port.remove_prefix(1);
  if (port.empty()) return {};
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), endpoint.port);
  if (error != std::errc() || end != port.data() + port.size() || endpoint.port == 0)
    return unreadable(url, "invalid port after ':': expected a number from 1 to 65535; write an IPv6 address in []");
  return {};
}

Result<Endpoint> plain_path(std::string_view path) {
  Endpoint endpoint;
  endpoint.scheme = plain_path_backend().scheme;
  if (path.empty()) return unreadable(path, "empty path: write . for the current directory");
  if (path.find('\0') != path.npos) return unreadable(path, "a path must not contain a NUL byte");
  if (path.front() == '/') {
    endpoint.root = tidy_path(path);
    return endpoint;
  }
  std::error_code error;
  const std::filesystem::path here = std::filesystem::current_path(error);
  if (error)
    return unreadable(path, "cannot find the current directory: " + error.message() + "; write an absolute path");
  endpoint.root = tidy_path(join_path(here.string(), path));
  return endpoint;
}

// Where the backend has no hook of its own.
Result<void> read_url(Endpoint& endpoint, std::string_view raw_path) {
  if (endpoint.host.empty())
    return Failure(make_error(ErrorKind::config, "read URL", "",
                              fmt::format("missing host: expected {}://HOST/PATH", endpoint.scheme)));
  CV_TRY(endpoint.root, decode_url_path(raw_path));
  return {};
}

} // namespace

Result<Endpoint> parse_endpoint_url(std::string_view url) {
  const std::size_t scheme_end = scheme_length(url);
  if (scheme_end == 0) return plain_path(url);

  Endpoint endpoint;
  for (char c : url.substr(0, scheme_end))
    endpoint.scheme += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  const std::string_view rest = url.substr(scheme_end + 3);
  const std::size_t slash = std::min(rest.find('/'), rest.size());
  CV_CHECK(read_authority(url, rest.substr(0, slash), endpoint));
  const std::string_view raw_path = rest.substr(slash);

  const BackendDescriptor* backend = find_backend(endpoint.scheme);
  const auto read = backend && backend->read_url ? backend->read_url(endpoint, raw_path) : read_url(endpoint, raw_path);
  if (!read) return unreadable(url, read.error().message);
  return endpoint;
}

Result<std::string> decode_url_path(std::string_view raw_path) {
  auto path = percent_decoded(raw_path);
  if (!path)
    return Failure(make_error(ErrorKind::config, "read URL", escape_bytes(raw_path),
                              "a '%' must be followed by two hexadecimal digits other than 00; write %25 for '%'"));
  return std::move(*path);
}

std::string tidy_path(std::string_view path) {
  std::string out;
  std::size_t begin = 0;
  while (begin <= path.size()) {
    std::size_t end = path.find('/', begin);
    if (end == path.npos) end = path.size();
    const std::string_view component = path.substr(begin, end - begin);
    if (!component.empty() && component != ".") out.append("/").append(component);
    begin = end + 1;
  }
  return out.empty() ? "/" : out;
}

std::string Endpoint::display() const {
  std::string out = scheme + "://";
  if (!user.empty()) out += encode(user, "-._~!$&'()*+,;=") + "@";
  if (host.find(':') == host.npos) {
    out += host;
  } else {
    const std::size_t percent = host.find('%');
    out += "[" + host.substr(0, percent) + (percent == host.npos ? "" : "%25" + host.substr(percent + 1)) + "]";
  }
  if (port != 0) out += fmt::format(":{}", port);
  // Some backends read a "~" behind the host as the login directory: this one is a name.
  const bool looks_like_home = root == "/~" || root.starts_with("/~/");
  if (looks_like_home) return out + "/%7E" + encode_path(std::string_view(root).substr(2));
  if (!root.empty() && !root.starts_with('/')) out += '/';
  return out + encode_path(root);
}

std::string Endpoint::display(std::string_view path) const {
  Endpoint below;
  below.scheme = scheme;
  below.user = user;
  below.host = host;
  below.port = port;
  below.root = join_path(root, path);
  return below.display();
}

} // namespace checkvalve
