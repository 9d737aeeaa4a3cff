#include "backends/local/root_directory.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>

#include <cerrno>
#include <climits>
#include <deque>
#include <optional>
#include <vector>

#include "core/path.h"

namespace checkvalve {
namespace {

constexpr int max_links = 40; // as the kernel's MAXSYMLINKS

int open_beneath(int root, const char* path, int flags, mode_t mode) {
  open_how how{};
  how.flags = static_cast<std::uint64_t>(flags);
  const bool creates = (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE;
  how.mode = creates ? mode : 0; // openat2 refuses a mode where nothing is made
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  int fd = -1;
  // EAGAIN: a rename elsewhere made the kernel unsure whether ".." stayed beneath the root; it asks to be called again.
  for (int tries = 0; tries < 128; ++tries) {
    fd = static_cast<int>(::syscall(SYS_openat2, root, path, &how, sizeof how));
    if (fd >= 0 || errno != EAGAIN) break;
  }
  return fd;
}

std::optional<std::string> link_text(int directory, const char* name) {
  std::string text(PATH_MAX, '\0');
  const ssize_t length = ::readlinkat(directory, name, text.data(), text.size());
  if (length < 0) return std::nullopt;
  text.resize(static_cast<std::size_t>(length));
  return text;
}

void push_components(std::deque<std::string>& ahead, std::string_view path) {
  std::deque<std::string> components;
  for (std::size_t begin = 0; begin <= path.size();) {
    const std::size_t end = std::min(path.find('/', begin), path.size());
    if (end > begin && path.substr(begin, end - begin) != ".") components.emplace_back(path.substr(begin, end - begin));
    begin = end + 1;
  }
  ahead.insert(ahead.begin(), components.begin(), components.end());
}

// The same by hand: one openat a component, none of which follows a link; links are read and walked in turn. The
// directories on the way are kept open, so that ".." means the one we came from. Sets errno and returns -1 on failure.
int open_walking(int root, std::string_view path, int flags, mode_t mode) {
  std::vector<UniqueFd> way;
  std::deque<std::string> ahead;
  push_components(ahead, path);
  int links_left = max_links;
  for (;;) {
    const int here = way.empty() ? root : way.back().get();
    if (ahead.empty()) return ::openat(here, ".", flags & ~(O_CREAT | O_EXCL), mode);
    const std::string name = std::move(ahead.front());
    ahead.pop_front();
    if (name == "..") {
      if (way.empty()) return errno = EXDEV, -1;
      way.pop_back();
      continue;
    }
    const bool last = ahead.empty();
    if (!(last && (flags & (O_NOFOLLOW | O_EXCL)) != 0)) {
      if (const auto text = link_text(here, name.c_str())) {
        if (links_left-- == 0) return errno = ELOOP, -1;
        if (text->starts_with('/')) return errno = EXDEV, -1;
        push_components(ahead, *text);
        continue;
      }
    }
    if (last) return ::openat(here, name.c_str(), flags | O_NOFOLLOW, mode);
    UniqueFd next(::openat(here, name.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!next) return -1;
    way.push_back(std::move(next));
  }
}

} // namespace

Result<RootDirectory> RootDirectory::open(const std::string& path, Links links) {
  UniqueFd fd(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return Failure(errno_error(errno, "open directory", escape_bytes(path)));
  RootDirectory root(path, std::move(fd), links);
  // ENOSYS: an old kernel; EPERM: a container's filter that does not know the call.
  const UniqueFd probe(open_beneath(root.fd_.get(), ".", O_PATH | O_DIRECTORY | O_CLOEXEC, 0));
  root.kernel_resolves_ = static_cast<bool>(probe);
  return root;
}

std::string RootDirectory::shown(std::string_view path) const { return escape_bytes(join_path(path_, path)); }

Result<UniqueFd> RootDirectory::open_at(std::string_view path, int flags, mode_t mode) const {
  const std::string name = path.empty() ? "." : std::string(path);
  flags |= O_CLOEXEC;
  UniqueFd fd;
  if (links_ == Links::lead_out)
    fd = UniqueFd(::openat(fd_.get(), name.c_str(), flags, mode));
  else if (kernel_resolves_)
    fd = UniqueFd(open_beneath(fd_.get(), name.c_str(), flags, mode));
  else
    fd = UniqueFd(open_walking(fd_.get(), name, flags, mode));
  if (fd) return fd;
  if (errno == EXDEV)
    return Failure(
        make_error(ErrorKind::permission,
                   "a symbolic link leads out of the root; the endpoint option follow_outside=yes allows that"));
  if (errno == ELOOP) return Failure(make_error(ErrorKind::io, "is a symbolic link, or links go in circles"));
  return Failure(errno_error(errno, {}, {}));
}

Result<UniqueFd> RootDirectory::open_parent(std::string_view path) const {
  return open_at(parent_path(path), O_PATH | O_DIRECTORY, 0);
}

Result<struct stat> RootDirectory::stat_at(std::string_view path, bool follow) const {
  CV_TRY(const UniqueFd fd, open_at(path, O_PATH | (follow ? 0 : O_NOFOLLOW), 0));
  struct stat status{};
  if (::fstat(fd.get(), &status) != 0) return Failure(errno_error(errno, {}, {}));
  return status;
}

} // namespace checkvalve
