#include "sync/temporary_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <string>

namespace checkvalve {
namespace {

const char* temporary_directory() {
  const char* directory = std::getenv("TMPDIR");
  return directory && *directory ? directory : "/tmp";
}

} // namespace

Failure temporary_file_failure(const char* verb) {
  Error error = errno_error(errno, std::string(verb) + " a temporary file in", temporary_directory());
  error.kind = ErrorKind::state;
  error.hint = "planning keeps sorted lists there: make room, or name another directory with TMPDIR";
  return Failure(std::move(error));
}

int make_temporary_file() {
  const char* directory = temporary_directory();
  int descriptor = ::open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (descriptor < 0) {
    std::string pattern = std::string(directory) + "/checkvalve-XXXXXX";
    descriptor = ::mkostemp(pattern.data(), O_CLOEXEC);
    if (descriptor >= 0) ::unlink(pattern.c_str());
  }
  return descriptor;
}

} // namespace checkvalve
