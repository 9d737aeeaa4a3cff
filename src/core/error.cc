#include "core/error.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>

namespace checkvalve {
namespace {

constexpr std::size_t kinds = static_cast<std::size_t>(ErrorKind::transform) + 1;

// The kinds in their order, then the codes in theirs.
constexpr auto codes = std::to_array<ErrorCodeDescription>({
    {"not_found", "The name does not exist.", ""},
    {"permission", "The user may not do this.", ""},
    {"exists", "The name exists and must not.", ""},
    {"not_a_directory", "A component of the path is not a directory.", ""},
    {"is_a_directory", "The name is a directory where a file was expected.", ""},
    {"no_space", "The disk is full.", "free space there and run the command again: it resumes with what is missing"},
    {"invalid_name", "The endpoint can't hold the name, or it would leave the root.",
     "rename the file at the source, or skip it with --exclude"},
    {"changed", "The source file changed while it was read.",
     "run the command again, or skip files that are being written with --min-age"},
    {"integrity", "The bytes read and the bytes published differ.", ""},
    {"unsupported", "The endpoint can't do what the job asks.", ""},
    {"auth", "The login was refused.", "check the user, the password and the key"},
    {"host_key", "The server could not be identified.", ""},
    {"connection", "The connection could not be made, or was lost.", ""},
    {"timeout", "No answer came within the stall timeout.", ""},
    {"protocol", "The server broke the protocol.", ""},
    {"io", "Another failure of an operation.", ""},
    {"config", "Wrong usage or configuration.", ""},
    {"state", "The state store failed.", ""},
    {"lease", "Another worker holds the batch.", ""},
    {"interrupted", "Cancelled by a signal.", ""},
    {"transform", "A transform refused the content or failed on it.", ""},
    {"source_root_missing", "The directory or bucket that the source's URL names does not exist.", ""},
    {"target_root_missing", "The directory or bucket that the target's URL names does not exist.", ""},
    {"source_permission", "The source refuses this name to this user.",
     "let the user read it, or skip it with --exclude"},
    {"target_permission", "The target refuses this name to this user.",
     "let the user write to the directory at the target"},
    {"read_only", "The file system can't be written to.", "mount it writable, or choose another target"},
    {"quota_exceeded", "The user's quota is used up.",
     "raise the quota and run the command again: it resumes with what is missing"},
    {"too_many_open_files", "The system or the server has too many files open.",
     "raise the limit (ulimit -n), or set the endpoint option handles to a lower number"},
    {"host_not_found", "The server's host name does not resolve.", "check the host name in the URL"},
    {"connection_refused", "Nothing accepts connections at the server's address and port.",
     "check the host and the port, and that the server runs"},
    {"connect_timeout", "The server did not answer while the connection was made.",
     "check the host, the port and firewalls; --connect-timeout allows more time"},
    {"host_key_unknown", "The server's host key is not known yet.", ""},
    {"host_key_changed", "The server's host key is another one than is known or pinned.", ""},
    {"conflict", "The target has something under the name that the job may not replace.",
     "replace it with --on-conflict overwrite, or skip it with --on-conflict skip"},
    {"target_changed", "The target's file is another one than when the plan was made.",
     "run the sync again: it makes a new plan"},
    {"lease_lost", "Another worker has taken the batch over.", "see what it does with: checkvalve status"},
    {"program_missing", "A program that is to be run was not found.", "install it, or give the path of the program"},
    {"too_few_files", "Fewer files were selected than --min-files asks for.", ""},
    {"name_collision", "The target does not keep the name apart from another one, or would store it as another one.",
     "rename the file at the source, or skip it with --exclude"},
});
static_assert(codes.size() == kinds + static_cast<std::size_t>(ErrorCode::name_collision));

} // namespace

std::string_view Error::code_word() const { return code == ErrorCode::of_kind ? to_string(kind) : to_string(code); }

std::string_view Error::advice() const {
  if (!hint.empty()) return hint;
  const std::size_t index =
      code == ErrorCode::of_kind ? static_cast<std::size_t>(kind) : kinds - 1 + static_cast<std::size_t>(code);
  return codes.at(index).hint;
}

std::string Error::text() const {
  if (operation.empty()) return path.empty() ? message : path + ": " + message;
  return "cannot " + operation + (path.empty() ? "" : " '" + path + "'") + ": " + message;
}

std::string_view to_string(ErrorKind kind) { return codes.at(static_cast<std::size_t>(kind)).word; }

std::string_view to_string(ErrorStatus status) {
  switch (status) {
  case ErrorStatus::permanent: return "permanent";
  case ErrorStatus::transient: return "transient";
  case ErrorStatus::exhausted: return "exhausted";
  }
  return "permanent";
}

std::string_view to_string(ErrorCode code) {
  return code == ErrorCode::of_kind ? "" : codes.at(kinds - 1 + static_cast<std::size_t>(code)).word;
}

std::string_view to_string(ErrorScope scope) {
  constexpr std::array<std::string_view, 4> words = {"file", "directory", "endpoint", "run"};
  return words.at(static_cast<std::size_t>(scope));
}

ErrorKind error_kind_from(std::string_view word) {
  for (std::size_t i = 0; i < kinds; ++i)
    if (codes[i].word == word) return static_cast<ErrorKind>(i);
  return ErrorKind::io;
}

ErrorCode error_code_from(std::string_view word) {
  for (std::size_t i = kinds; i < codes.size(); ++i)
    if (codes[i].word == word) return static_cast<ErrorCode>(i - kinds + 1);
  return ErrorCode::of_kind;
}

std::span<const ErrorCodeDescription> error_codes() { return codes; }

ErrorStatus default_status(ErrorKind kind) {
  return kind == ErrorKind::connection || kind == ErrorKind::timeout ? ErrorStatus::transient : ErrorStatus::permanent;
}

Error make_error(ErrorKind kind, std::string operation, std::string path, std::string message) {
  return {kind, default_status(kind), std::move(operation), std::move(path), std::move(message)};
}

Error make_error(ErrorKind kind, std::string message) { return make_error(kind, "", "", std::move(message)); }

Error transient_error(ErrorKind kind, std::string operation, std::string path, std::string message) {
  return {kind, ErrorStatus::transient, std::move(operation), std::move(path), std::move(message)};
}

Error errno_error(int error_number, std::string operation, std::string path) {
  ErrorKind kind = ErrorKind::io;
  ErrorCode code = ErrorCode::of_kind;
  bool passes = false; // although its kind does not say so
  switch (error_number) {
  case ENOENT: kind = ErrorKind::not_found; break;
  case EACCES:
  case EPERM: kind = ErrorKind::permission; break;
  case EROFS:
    kind = ErrorKind::permission;
    code = ErrorCode::read_only;
    break;
  case EEXIST: kind = ErrorKind::exists; break;
  case ENOTDIR: kind = ErrorKind::not_a_directory; break;
  case EISDIR: kind = ErrorKind::is_a_directory; break;
  case ENOSPC: kind = ErrorKind::no_space; break;
  case EDQUOT:
    kind = ErrorKind::no_space;
    code = ErrorCode::quota_exceeded;
    break;
  case ENAMETOOLONG:
  case EILSEQ:
  case EXDEV:
  case ELOOP: kind = ErrorKind::invalid_name; break;
  case EOPNOTSUPP: kind = ErrorKind::unsupported; break;
  case ECONNREFUSED:
    kind = ErrorKind::connection;
    code = ErrorCode::connection_refused;
    break;
  case ECONNRESET:
  case EPIPE:
  case EHOSTUNREACH:
  case ENETUNREACH: kind = ErrorKind::connection; break;
  case ETIMEDOUT: kind = ErrorKind::timeout; break;
  case EMFILE:
  case ENFILE:
    code = ErrorCode::too_many_open_files;
    passes = true;
    break;
  case EAGAIN:
  case EBUSY:
  case EINTR: passes = true; break;
  default: break;
  }
  Error error = make_error(kind, std::move(operation), std::move(path), std::generic_category().message(error_number));
  error.code = code;
  if (passes) error.status = ErrorStatus::transient;
  return error;
}

ErrorScope scope_of(const Error& error, ErrorScope tried) {
  const auto scope = [&error, tried] {
    switch (error.kind) {
    case ErrorKind::config:
    case ErrorKind::state:
    case ErrorKind::lease:
    case ErrorKind::interrupted: return ErrorScope::run;
    case ErrorKind::auth:
    case ErrorKind::host_key: return ErrorScope::endpoint;
    case ErrorKind::protocol: return tried == ErrorScope::file ? ErrorScope::file : ErrorScope::endpoint;
    case ErrorKind::connection:
    case ErrorKind::timeout: return error.transient() ? ErrorScope::file : ErrorScope::endpoint;
    case ErrorKind::not_a_directory: return ErrorScope::directory;
    default: break;
    }
    // A target's root is made by the first file.
    if (error.code == ErrorCode::source_root_missing) return ErrorScope::endpoint;
    return ErrorScope::file;
  }();
  return std::max(scope, tried);
}

} // namespace checkvalve
