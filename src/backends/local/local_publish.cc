#include "backends/local/local_publish.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <cerrno>
#include <cstdio>

#include "core/path.h"

namespace checkvalve {
namespace {

bool is_link(int directory, const std::string& name) {
  struct stat status{};
  return ::fstatat(directory, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(status.st_mode);
}

// By an exchange, which shows what had the name: a file that took the link's place meanwhile gets it back.
int replace_link(int directory, const std::string& from, const std::string& to) {
  const auto exchange = [&] { return ::renameat2(directory, from.c_str(), directory, to.c_str(), RENAME_EXCHANGE); };
  if (exchange() != 0) {
    if (errno != EINVAL && errno != ENOSYS) return -1;
    return ::renameat(directory, from.c_str(), directory, to.c_str()); // not every file system has it
  }
  if (is_link(directory, from)) return (void)::unlinkat(directory, from.c_str(), 0), 0;
  if (exchange() == 0) errno = EEXIST;
  return -1;
}

} // namespace

Result<void> remove_name(const RootDirectory& root, const std::string& path) {
  auto parent = root.open_parent(path);
  if (!parent && (parent.error().kind == ErrorKind::not_found || parent.error().kind == ErrorKind::not_a_directory))
    return {};
  if (!parent) return Failure(std::move(parent.error()));
  const std::string name(base_name(path));
  if (::unlinkat(parent->get(), name.c_str(), 0) == 0 || errno == ENOENT) return {};
  return Failure(errno_error(errno, {}, {}));
}

Result<std::string> publish_name(const RootDirectory& root, const std::string& temporary, const std::string& path,
                                 Replace replace, bool link_gives_way) {
  CV_TRY(const UniqueFd parent, root.open_parent(path));
  const int directory = parent.get();
  const std::string from(base_name(temporary));
  const std::string to(base_name(path));
  std::string method = "rename";
  int status = 0;
  if (replace == Replace::if_absent) {
    status = ::renameat2(directory, from.c_str(), directory, to.c_str(), RENAME_NOREPLACE);
    if (status != 0 && (errno == EINVAL || errno == ENOSYS)) { // not every file system has it; link(2) refuses, too
      method = "link";
      status = ::linkat(directory, from.c_str(), directory, to.c_str(), 0);
      if (status != 0 && (errno == EPERM || errno == EOPNOTSUPP))
        return Failure(
            make_error(ErrorKind::unsupported, "this file system cannot refuse an existing name in one step"));
      if (status == 0) (void)::unlinkat(directory, from.c_str(), 0); // it is published; what stays a sweep removes
    }
    if (status != 0 && errno == EEXIST && link_gives_way && is_link(directory, to)) {
      method = "rename";
      status = replace_link(directory, from, to);
    }
  } else {
    status = ::renameat(directory, from.c_str(), directory, to.c_str());
  }
  if (status == 0) return method;
  return Failure(errno_error(errno, {}, {}));
}

Result<std::string> publish_nameless(const RootDirectory& root, int fd, const std::string& temporary,
                                     const std::string& path, Replace replace) {
  CV_TRY(const UniqueFd parent, root.open_parent(path));
  const std::string nameless = fmt::format("/proc/self/fd/{}", fd); // open(2), O_TMPFILE: the way without privileges
  const auto link_as = [&](std::string_view name) {
    return ::linkat(AT_FDCWD, nameless.c_str(), parent.get(), std::string(name).c_str(), AT_SYMLINK_FOLLOW);
  };
  if (link_as(base_name(path)) == 0) return "link";
  if (errno == EPERM || errno == ENOENT || errno == EOPNOTSUPP)
    return Failure(make_error(ErrorKind::unsupported, "this file system gives no names to files that have none"));
  if (errno != EEXIST || replace == Replace::if_absent) return Failure(errno_error(errno, {}, {}));
  CV_CHECK(remove_name(root, temporary));
  if (link_as(base_name(temporary)) != 0) return Failure(errno_error(errno, {}, {}));
  return publish_name(root, temporary, path, replace, false);
}

} // namespace checkvalve
