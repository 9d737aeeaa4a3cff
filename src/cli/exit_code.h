// Exit codes: a contract, see docs/reference/machine.md.
#pragma once

#include "core/result.h"

namespace checkvalve::exit_code {

inline constexpr int success = 0;
inline constexpr int incomplete = 1;
inline constexpr int usage = 2;
inline constexpr int endpoint = 3;
inline constexpr int too_few_files = 4; // fewer files were selected than --min-files asks for
inline constexpr int state = 5;

inline constexpr int output = 74;       // EX_IOERR: standard output did not take what there was to say
inline constexpr int interrupted = 128; // and the signal's number, which Session::run adds

// For an error that ended a command.
inline int of(const Error& error) {
  if (error.code == ErrorCode::too_few_files) return too_few_files;
  switch (error.kind) {
  case ErrorKind::interrupted: return interrupted;
  case ErrorKind::config:
  case ErrorKind::unsupported: return usage; // the job asks for what this endpoint can't do
  case ErrorKind::state: return state;
  case ErrorKind::lease: return incomplete; // another worker is at it
  default: return endpoint;
  }
}

} // namespace checkvalve::exit_code
