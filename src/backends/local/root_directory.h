// RootDirectory: opens names below a directory, and nothing outside of it: neither ".." nor a symbolic link leads out.
//
// Uses openat2(2) with RESOLVE_BENEATH (Linux 5.6); where the kernel or a sandbox lacks it, the same is done by
// walking the components. Calls block; a RootDirectory may be used by several threads at once.
#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <string>
#include <string_view>

#include "core/result.h"
#include "core/unique_fd.h"

namespace checkvalve {

class RootDirectory {
public:
  enum class Links { // what symbolic links may do
    stay_beneath,    // lead anywhere below the root
    lead_out,        // lead anywhere: the user asked for it (option follow_outside)
  };

  // Opens an existing directory. Kind not_found, not_a_directory, permission.
  static Result<RootDirectory> open(const std::string& path, Links links);

  // As openat(2) with O_CLOEXEC; "" is the root itself. Never follows a symbolic link at the end with O_NOFOLLOW.
  // A link that leads out is kind permission.
  Result<UniqueFd> open_at(std::string_view path, int flags, mode_t mode) const;
  // The directory that holds `path`, for calls with its last component. With O_PATH: needs no right to read it.
  Result<UniqueFd> open_parent(std::string_view path) const;
  Result<struct stat> stat_at(std::string_view path, bool follow) const;

  const std::string& path() const { return path_; }
  // The path as the user knows it, for errors.
  std::string shown(std::string_view path) const;
  // Tests: walk the components although the kernel has openat2.
  void use_walk() { kernel_resolves_ = false; }

private:
  RootDirectory(std::string path, UniqueFd fd, Links links)
      : path_(std::move(path)), fd_(std::move(fd)), links_(links) {}

  std::string path_;
  UniqueFd fd_;
  Links links_;
  bool kernel_resolves_ = true;
};

} // namespace checkvalve
