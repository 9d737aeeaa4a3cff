// Error: why an operation failed, for people (text, hint) and for programs (kind, code, status, scope).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace checkvalve {

// What kind of failure it was. Decided where the failure is seen first: at a protocol's edge, after a system call.
enum class ErrorKind : std::uint8_t {
  not_found,       // the name does not exist
  permission,      // the endpoint refuses this name to this user
  exists,          // the name exists and must not
  not_a_directory, // a component of the path is not a directory
  is_a_directory,  // the name is a directory where a file was expected
  no_space,        // disk full or quota reached
  invalid_name,    // a name that the endpoint can't hold, or that would leave the root
  changed,         // the source file changed while it was read
  integrity,       // bytes read and bytes published differ
  unsupported,     // the endpoint can't do what the job asks
  auth,            // login refused
  host_key,        // server identity unknown or changed
  connection,      // could not connect, or the connection was lost
  timeout,         // no answer within the stall timeout
  protocol,        // the peer broke the protocol
  io,              // any other failure of an operation
  config,          // wrong usage or configuration
  state,           // the state store failed
  lease,           // another worker holds, or has taken over, the batch
  interrupted,     // cancelled by a signal
  transform,       // a transform refused or failed on the content
};

enum class ErrorStatus : std::uint8_t {
  permanent, // the same call would fail again
  transient, // a later try may succeed
  exhausted, // was transient; the retries are used up
};

// What programs need to tell from other errors of the same kind. Their words and meaning: error_codes().
enum class ErrorCode : std::uint8_t {
  of_kind, // the kind's word is the code
  source_root_missing,
  target_root_missing,
  source_permission,
  target_permission,
  read_only,
  quota_exceeded,
  too_many_open_files,
  host_not_found,
  connection_refused,
  connect_timeout,
  host_key_unknown,
  host_key_changed,
  conflict,
  target_changed,
  lease_lost,
  program_missing,
  too_few_files,
  name_collision,
};

// What an error ends. Ordered: the wider scope compares greater.
enum class ErrorScope : std::uint8_t {
  file,      // other files may succeed
  directory, // nothing below the directory can be reached
  endpoint,  // nothing at the endpoint can be reached: the run ends
  run,       // the run can't continue, whatever the endpoints do
};

struct Error {
  ErrorKind kind = ErrorKind::io;
  ErrorStatus status = ErrorStatus::permanent;
  std::string operation; // what was tried, as after "cannot": "open", "rename", "connect to"
  std::string path;      // what it was tried on: a path as the user knows it, or an endpoint
  std::string message;   // why it failed
  std::string hint = {}; // what to do about it, in one line; a command that can be pasted where there is one
  ErrorCode code = ErrorCode::of_kind;
  std::string endpoint = {}; // display name of the endpoint that failed, where one did

  bool transient() const { return status == ErrorStatus::transient; }
  // The stable word for programs: that of the code, or of the kind.
  std::string_view code_word() const;
  // "cannot open 'a/b.txt': permission denied". Without the hint.
  std::string text() const;
  // The hint, or else what its code generally asks for; may be empty.
  std::string_view advice() const;

  Error with_hint(std::string line) && {
    hint = std::move(line);
    return std::move(*this);
  }
  Error with_code(ErrorCode value) && {
    code = value;
    return std::move(*this);
  }
  Error with_status(ErrorStatus value) && {
    status = value;
    return std::move(*this);
  }
};

// Stable snake_case words for events, state and reports: "not_found", "permission", …
std::string_view to_string(ErrorKind kind);
std::string_view to_string(ErrorStatus status);
std::string_view to_string(ErrorCode code); // "" for of_kind
std::string_view to_string(ErrorScope scope);
// The reverse of to_string; ErrorKind::io and ErrorCode::of_kind for an unknown word.
ErrorKind error_kind_from(std::string_view word);
ErrorCode error_code_from(std::string_view word);

// All that code_word() can return, with a line about each: first the kinds, then the specific codes. A specific code is
// set in one place of the code.
struct ErrorCodeDescription {
  std::string_view word;
  std::string_view description;
  std::string_view hint; // for an error that has none of its own; may be empty
};
std::span<const ErrorCodeDescription> error_codes();

// What is assumed of a kind unless more is known: connection and timeout errors are transient, all others permanent.
ErrorStatus default_status(ErrorKind kind);

// With the kind's default status.
Error make_error(ErrorKind kind, std::string operation, std::string path, std::string message);
// For calls of the backend interfaces, whose callers add operation, path and endpoint (decorators/error_context.h).
Error make_error(ErrorKind kind, std::string message);
Error transient_error(ErrorKind kind, std::string operation, std::string path, std::string message);
// Maps errno values: ENOENT → not_found, EACCES → permission, ENOSPC → no_space, …
Error errno_error(int error_number, std::string operation, std::string path);

// What the error ends, at least `tried`: the scope of what was tried (a listing: directory; a connect: endpoint). Lost
// connections and timeouts end the endpoint unless they are transient: a body that broke off can be read again, but
// when calls were repeated in vain nothing is reached any more. A peer that breaks the protocol over one file may serve
// others; its listings are not to be trusted.
ErrorScope scope_of(const Error& error, ErrorScope tried = ErrorScope::file);

} // namespace checkvalve
