// The calls of the backend interfaces (backends/source.h, backends/target.h), as error messages name them.
#pragma once

#include <cstdint>
#include <string_view>

namespace checkvalve {

enum class Operation : std::uint8_t {
  connect,
  list,
  next, // Listing::next
  stat,
  open,
  read,
  reader_stat, // Reader::stat
  read_link,
  real_path,
  make_directory,
  make_link,
  begin,
  begin_direct_copy,
  advance, // DirectCopy::advance
  write,
  commit,
  reopen,
  abort,
  discard,
  remove_orphan,
  settle_set_aside,
  resumable_path,
  server_side_checksum,
};

// As after "cannot": "read", "connect to".
constexpr std::string_view to_string(Operation operation) {
  switch (operation) {
  case Operation::connect: return "connect to";
  case Operation::list:
  case Operation::next: return "list";
  case Operation::stat:
  case Operation::reader_stat: return "stat";
  case Operation::open: return "open";
  case Operation::read: return "read";
  case Operation::read_link: return "read link";
  case Operation::real_path: return "resolve";
  case Operation::make_directory: return "make directory";
  case Operation::make_link: return "make link";
  case Operation::begin: return "create";
  case Operation::begin_direct_copy:
  case Operation::advance: return "copy";
  case Operation::write: return "write";
  case Operation::commit: return "publish";
  case Operation::reopen: return "resume";
  case Operation::abort:
  case Operation::discard: return "remove the partial upload of";
  case Operation::remove_orphan: return "remove";
  case Operation::settle_set_aside: return "put back";
  case Operation::resumable_path: return "read the partial upload";
  case Operation::server_side_checksum: return "take the server-side checksum of";
  }
  return "use";
}

} // namespace checkvalve
