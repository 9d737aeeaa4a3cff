// Names of temporaries at a target: recognisable by pattern, and by the run that made them.
//
//     .cv-<plan>-<generation>-<nonce>-<file>[-<attempt>][.<probe>].part    e.g. .cv-7k3m9q2x5t-1-9f02ab17-42-2.part
//
// plan: the plan's id (10 characters of a-z and 0-9); generation: of the batch's lease; nonce: 8 random hexadecimal
// digits drawn with the lease; file: the file's number in the plan; attempt: the file's attempt under this lease,
// absent for the first. All temporaries of a lost lease can therefore be named, and removed, without a journal. No two
// attempts share a name: a server may carry out a request of a lost connection at any later time, and must not meet
// what another attempt has written. probe: any bytes, in an empty file that shows what the target makes of such names.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace checkvalve {

struct TemporaryName {
  std::string plan;
  std::uint32_t generation = 1;
  std::string nonce;
  std::uint64_t file = 0;
  std::uint32_t attempt = 1;
  std::string probe = {};

  std::string text() const;
  // The name beside `path`: "a/b.txt" → "a/.cv-….part".
  std::string beside(std::string_view path) const;
  bool operator==(const TemporaryName&) const = default;
};

// Reads a base name; nothing if it is not one of ours.
std::optional<TemporaryName> parse_temporary(std::string_view base_name);

// A fresh plan id, and a fresh nonce, from the system's random source.
std::string random_plan_id();
std::string random_nonce();

} // namespace checkvalve
