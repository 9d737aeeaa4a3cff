#include "cli/read_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace checkvalve {

bool read_all(int fd, std::string& out, std::size_t max_bytes) {
  std::array<char, 64 * 1024> buffer;
  for (;;) {
    const ssize_t got = ::read(fd, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return false;
    if (got == 0) break;
    out.append(buffer.data(), static_cast<std::size_t>(got));
    if (out.size() > max_bytes) {
      errno = EFBIG;
      return false;
    }
  }
  return true;
}

bool read_file(const std::string& path, std::string& out, std::size_t max_bytes) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const bool read = read_all(fd, out, max_bytes);
  const int error = errno;
  ::close(fd);
  errno = error;
  return read;
}

} // namespace checkvalve
