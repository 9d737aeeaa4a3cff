// The code of the error of a program that could not be started.
#pragma once

#include <cerrno>

#include "core/error.h"

namespace checkvalve {

// `error_number`: of execve(2), posix_spawn(3) or the like.
inline ErrorCode program_code(int error_number) {
  return error_number == ENOENT ? ErrorCode::program_missing : ErrorCode::of_kind;
}

} // namespace checkvalve
