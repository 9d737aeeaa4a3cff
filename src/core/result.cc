#include "core/result.h"

#include <array>
#include <cerrno>
#include <system_error>

namespace checkvalve {
namespace {

constexpr std::array<std::string_view, 21> kind_words = {
    "not_found", "permission",  "exists", "not_a_directory", "is_a_directory", "no_space", "invalid_name", "changed",
    "integrity", "unsupported", "auth",   "host_key",        "connection",     "timeout",  "protocol",     "io",
    "config",    "state",       "lease",  "interrupted",     "transform",
};

} // namespace

std::string Error::text() const {
  std::string out = operation;
  if (!path.empty()) {
    if (!out.empty()) out += ' ';
    out += path;
  }
  if (!out.empty()) out += ": ";
  return out + message;
}

std::string_view to_string(ErrorKind kind) { return kind_words.at(static_cast<std::size_t>(kind)); }

std::string_view to_string(ErrorStatus status) {
  switch (status) {
  case ErrorStatus::permanent: return "permanent";
  case ErrorStatus::transient: return "transient";
  case ErrorStatus::exhausted: return "exhausted";
  }
  return "permanent";
}

ErrorKind error_kind_from(std::string_view word) {
  for (std::size_t i = 0; i < kind_words.size(); ++i)
    if (kind_words[i] == word) return static_cast<ErrorKind>(i);
  return ErrorKind::io;
}

Error make_error(ErrorKind kind, std::string operation, std::string path, std::string message) {
  const bool passing = kind == ErrorKind::connection || kind == ErrorKind::timeout;
  return {kind, passing ? ErrorStatus::transient : ErrorStatus::permanent, std::move(operation), std::move(path),
          std::move(message)};
}

Error transient_error(ErrorKind kind, std::string operation, std::string path, std::string message) {
  return {kind, ErrorStatus::transient, std::move(operation), std::move(path), std::move(message)};
}

Error errno_error(int error_number, std::string operation, std::string path) {
  ErrorKind kind = ErrorKind::io;
  bool passing = false;
  switch (error_number) {
  case ENOENT: kind = ErrorKind::not_found; break;
  case EACCES:
  case EPERM:
  case EROFS: kind = ErrorKind::permission; break;
  case EEXIST: kind = ErrorKind::exists; break;
  case ENOTDIR: kind = ErrorKind::not_a_directory; break;
  case EISDIR: kind = ErrorKind::is_a_directory; break;
  case ENOSPC:
  case EDQUOT: kind = ErrorKind::no_space; break;
  case ENAMETOOLONG:
  case EILSEQ:
  case EXDEV:
  case ELOOP: kind = ErrorKind::invalid_name; break;
  case EOPNOTSUPP: kind = ErrorKind::unsupported; break;
  case ECONNREFUSED:
  case ECONNRESET:
  case EPIPE:
  case EHOSTUNREACH:
  case ENETUNREACH:
    kind = ErrorKind::connection;
    passing = true;
    break;
  case ETIMEDOUT:
    kind = ErrorKind::timeout;
    passing = true;
    break;
  case EMFILE:
  case ENFILE:
  case EAGAIN:
  case EBUSY:
  case EINTR: passing = true; break;
  default: break;
  }
  return {kind, passing ? ErrorStatus::transient : ErrorStatus::permanent, std::move(operation), std::move(path),
          std::generic_category().message(error_number)};
}

} // namespace checkvalve
