#include "protocol/known_hosts.h"

#include <fmt/core.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <span>

#include "core/text.h"

namespace checkvalve {
namespace {

constexpr unsigned default_port = 22;
constexpr std::string_view blanks = " \t\r";

std::string_view take_word(std::string_view& line) {
  line.remove_prefix(std::min(line.find_first_not_of(blanks), line.size()));
  const std::string_view word = line.substr(0, line.find_first_of(blanks));
  line.remove_prefix(word.size());
  return word;
}

// '*' and '?' as in ssh_config(5), PATTERNS. Only the last '*' has to be tried again: quadratic at worst.
bool matches_pattern(std::string_view pattern, std::string_view name) {
  std::size_t p = 0;
  std::size_t n = 0;
  std::size_t star = pattern.npos;
  std::size_t after = 0;
  while (n < name.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      after = n;
    } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == name[n])) {
      ++p;
      ++n;
    } else if (star != pattern.npos) {
      p = star + 1;
      n = ++after;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == pattern.npos;
}

// "|1|SALT|HASH": HMAC-SHA1 of the name with the salt as the key, both in base64.
bool matches_hashed(std::string_view hashed, std::string_view name) {
  const std::size_t bar = hashed.find('|', 3);
  if (!hashed.starts_with("|1|") || bar == hashed.npos) return false;
  const auto salt = from_base64(hashed.substr(3, bar - 3));
  std::array<std::byte, EVP_MAX_MD_SIZE> hash{};
  unsigned size = 0;
  if (!salt || !HMAC(EVP_sha1(), salt->data(), static_cast<int>(salt->size()),
                     reinterpret_cast<const unsigned char*>(name.data()), name.size(),
                     reinterpret_cast<unsigned char*>(hash.data()), &size))
    return false;
  return hashed.substr(bar + 1) == base64(std::span(hash).first(size));
}

bool names(std::string_view hosts, std::string_view name) {
  if (hosts.starts_with('|')) return matches_hashed(hosts, name);
  bool found = false;
  while (!hosts.empty()) {
    std::string_view pattern = hosts.substr(0, hosts.find(','));
    hosts.remove_prefix(std::min(pattern.size() + 1, hosts.size()));
    const bool negated = pattern.starts_with('!');
    if (negated) pattern.remove_prefix(1);
    if (!matches_pattern(lower_ascii(pattern), name)) continue;
    if (negated) return false;
    found = true;
  }
  return found;
}

// "[host]:port", or "host" for the default port.
std::string recorded_name(std::string_view host, unsigned port) {
  return port == default_port ? lower_ascii(host) : fmt::format("[{}]:{}", lower_ascii(host), port);
}

} // namespace

Result<KnownHosts> KnownHosts::read(const std::vector<std::string>& paths) {
  KnownHosts known;
  for (const std::string& path : paths) {
    const std::unique_ptr<std::FILE, decltype(&std::fclose)> file(std::fopen(path.c_str(), "rbe"), &std::fclose);
    if (!file && (errno == ENOENT || errno == ENOTDIR)) continue;
    std::string text;
    std::array<char, 16384> buffer;
    while (file) {
      const std::size_t got = std::fread(buffer.data(), 1, buffer.size(), file.get());
      text.append(buffer.data(), got);
      if (got < buffer.size()) break;
    }
    if (!file || std::ferror(file.get()) != 0)
      return Failure(make_error(ErrorKind::host_key, "read", path, std::strerror(errno)));
    known.add(text);
  }
  return known;
}

void KnownHosts::add(std::string_view text) {
  while (!text.empty()) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    Line out;
    std::string_view word = take_word(line);
    if (word.empty() || word.starts_with('#')) continue;
    if (word.starts_with('@')) {
      if (word != "@revoked" && word != "@cert-authority") continue;
      out.marker = word == "@revoked" ? Marker::revoked : Marker::authority;
      word = take_word(line);
    }
    out.hosts = word;
    out.type = take_word(line);
    out.key = take_word(line);
    if (!out.key.empty()) lines_.push_back(std::move(out));
  }
}

KnownHostVerdict KnownHosts::judge(std::string_view host, unsigned port, std::string_view type,
                                   std::string_view key) const {
  using enum KnownHostVerdict;
  const std::string name = recorded_name(host, port);
  const std::string without_port = recorded_name(host, default_port);
  const auto is_key = [&](const Line& line) { return line.type == type && line.key == key; };
  KnownHostVerdict verdict = unknown;
  bool known_without_port = false;
  const auto raise_to = [&](KnownHostVerdict found) {
    constexpr KnownHostVerdict weakest_first[] = {unknown, authority, other_type, changed, known};
    if (std::ranges::find(weakest_first, found) > std::ranges::find(weakest_first, verdict)) verdict = found;
  };
  for (const Line& line : lines_) {
    const bool by_name = names(line.hosts, name);
    const bool by_host = !by_name && port != default_port && names(line.hosts, without_port);
    if (line.marker == Marker::revoked) {
      if ((by_name || by_host) && is_key(line)) return revoked;
    } else if (line.marker == Marker::authority) {
      if (by_name) raise_to(authority);
    } else if (by_name) {
      raise_to(is_key(line) ? known : line.type == type ? changed : other_type);
    } else if (by_host && is_key(line)) {
      known_without_port = true;
    }
  }
  return verdict == unknown && known_without_port ? known : verdict;
}

std::vector<std::string> KnownHosts::types(std::string_view host, unsigned port) const {
  std::vector<std::string> found;
  for (const std::string& name : {recorded_name(host, port), recorded_name(host, default_port)}) {
    for (const Line& line : lines_)
      if (line.marker == Marker::none && names(line.hosts, name) && std::ranges::find(found, line.type) == found.end())
        found.push_back(line.type);
    if (!found.empty()) break;
  }
  return found;
}

} // namespace checkvalve
