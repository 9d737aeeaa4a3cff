// Names of temporaries at a target: recognisable by pattern, and by the run that made them.
//
//     .cv-<plan>-<attempt>-<nonce>-<file>.part        e.g. .cv-7k3m9q2x5t-1-9f02ab17-42.part
//
// plan: the plan's id (10 characters of a-z and 0-9); attempt: the generation of the batch's lease; nonce: 8 random
// hexadecimal digits drawn with the lease; file: the file's number in the plan. All temporaries of a lost attempt can
// therefore be named, and removed, without a journal.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace checkvalve {

struct TemporaryName {
  std::string plan;
  std::uint32_t attempt = 1;
  std::string nonce;
  std::uint64_t file = 0;

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
