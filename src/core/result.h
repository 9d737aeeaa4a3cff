// Result<T>: a value or an Error. Errors are values everywhere in the engine; exceptions are for bugs and
// for memory that has run out.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace checkvalve {

enum class ErrorKind : std::uint8_t {
  not_found,       // the name does not exist
  permission,      // the endpoint refuses this name to this user
  exists,          // the name exists and must not
  not_a_directory, // a component of the path is no directory
  is_a_directory,  // the name is a directory and a file was wanted
  no_space,        // disk full or quota reached
  invalid_name,    // a name that the endpoint can't hold, or that would leave the root
  changed,         // the source file changed while it was read
  integrity,       // bytes read and bytes published differ
  unsupported,     // the endpoint can't do what the job asks
  auth,            // login refused
  host_key,        // server identity unknown or changed
  connection,      // could not connect, or the connection was lost
  timeout,         // nothing was heard for the stall timeout
  protocol,        // the peer broke the protocol
  io,              // any other failure of an operation
  config,          // wrong usage or configuration
  state,           // the state store failed
  lease,           // another worker holds, or has taken over, the batch
  interrupted,     // stopped by a signal
  transform,       // a transform refused or failed on the content
};

enum class ErrorStatus : std::uint8_t {
  permanent, // the same call would fail again
  transient, // a later try may succeed
  exhausted, // was transient; the tries are used up
};

struct Error {
  ErrorKind kind = ErrorKind::io;
  ErrorStatus status = ErrorStatus::permanent;
  std::string operation; // what was tried: "open", "rename", "connect"
  std::string path;      // what it was tried on: a path as the user knows it, or an endpoint
  std::string message;   // why it failed, and the mend where there is one

  bool transient() const { return status == ErrorStatus::transient; }
  // "open a/b.txt: permission denied"
  std::string text() const;
};

// Stable lower-case word for events, state and reports: "not_found", "permission", …
std::string_view to_string(ErrorKind kind);
std::string_view to_string(ErrorStatus status);
// The reverse of to_string; ErrorKind::io for a word that is not known.
ErrorKind error_kind_from(std::string_view word);

// Connection and timeout errors are transient, all others permanent.
Error make_error(ErrorKind kind, std::string operation, std::string path, std::string message);
Error transient_error(ErrorKind kind, std::string operation, std::string path, std::string message);
// Maps errno values: ENOENT → not_found, EACCES → permission, ENOSPC → no_space, …
Error errno_error(int error_number, std::string operation, std::string path);

template <class T> using Result = std::expected<T, Error>;
using Failure = std::unexpected<Error>;

} // namespace checkvalve

// Assigns the value of a Result-valued expression to DECL, or returns its error. The CO_ forms are for coroutines.
#define CV_CONCAT_(a, b) a##b
#define CV_CONCAT(a, b) CV_CONCAT_(a, b)
#define CV_TRY_(tmp, decl, expr, ret)                                                                                  \
  auto tmp = (expr);                                                                                                   \
  if (!tmp) ret ::checkvalve::Failure(std::move(tmp.error()));                                                         \
  decl = std::move(*tmp)
#define CV_TRY(decl, expr) CV_TRY_(CV_CONCAT(cv_try_, __LINE__), decl, expr, return)
#define CV_CO_TRY(decl, expr) CV_TRY_(CV_CONCAT(cv_try_, __LINE__), decl, expr, co_return)
// The same for Result<void>.
#define CV_CHECK(expr)                                                                                                 \
  do {                                                                                                                 \
    if (auto cv_check_ = (expr); !cv_check_) return ::checkvalve::Failure(std::move(cv_check_.error()));               \
  } while (0)
#define CV_CO_CHECK(expr)                                                                                              \
  do {                                                                                                                 \
    if (auto cv_check_ = (expr); !cv_check_) co_return ::checkvalve::Failure(std::move(cv_check_.error()));            \
  } while (0)
