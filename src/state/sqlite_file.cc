#include "state/sqlite_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <fstream>
#include <iterator>
#include <utility>

#include "core/path.h"
#include "core/units.h"

namespace checkvalve {
namespace {

constexpr long fuse_magic = 0x65735546;

// From linux/magic.h and the file systems' own sources.
constexpr std::array<std::pair<long, std::string_view>, 14> network_magics = {{
    {0x6969, "NFS"},
    {0x517B, "SMB"},
    {0xFF534D42, "SMB"},
    {0xFE534D42, "SMB"},
    {0x01021997, "9P"},
    {0x5346414F, "AFS"},
    {0x6B414653, "AFS"},
    {0x73757245, "Coda"},
    {0x564C, "NCP"},
    {0x0BD00BD0, "Lustre"},
    {0x00C36400, "CephFS"},
    {0x47504653, "GPFS"},
    {0x01161970, "GFS2"},
    {0x7461636F, "OCFS2"},
}};

constexpr std::array<std::string_view, 20> network_fuse_types = {
    "sshfs",     "rclone", "glusterfs", "s3fs",      "gcsfuse", "goofys",    "blobfuse",
    "blobfuse2", "davfs",  "davfs2",    "curlftpfs", "juicefs", "ceph",      "mount-s3",
    "cifs",      "nfs",    "smbnetfs",  "afp",       "moosefs", "seaweedfs",
};

Error file_error(int error_number, const std::string& path, std::string_view what) {
  Error error = errno_error(error_number, "open state", escape_bytes(path));
  error.kind = ErrorKind::state;
  error.message = fmt::format("{}: {}", what, error.message);
  return error;
}

Error refusal(const std::string& path, std::string message) {
  return make_error(ErrorKind::state, "open state", escape_bytes(path), std::move(message));
}

std::string parent_of(const std::string& path) {
  const std::string_view parent = parent_path(path);
  return parent.empty() ? "/" : std::string(parent);
}

Result<void> make_parents(const std::string& directory) {
  if (directory == "/" || ::mkdir(directory.c_str(), 0700) == 0 || errno == EEXIST) return {};
  if (errno != ENOENT) return Failure(file_error(errno, directory, "can't make the directory of the state file"));
  CV_CHECK(make_parents(parent_of(directory)));
  if (::mkdir(directory.c_str(), 0700) == 0 || errno == EEXIST) return {};
  return Failure(file_error(errno, directory, "can't make the directory of the state file"));
}

Result<void> refuse_network(const std::string& path, const std::string& directory) {
  struct statfs info = {};
  struct stat status = {};
  if (::statfs(directory.c_str(), &info) != 0 || ::stat(directory.c_str(), &status) != 0)
    return Failure(file_error(errno, directory, "can't look at the directory of the state file"));
  std::string type;
  if (info.f_type == fuse_magic) {
    std::ifstream file("/proc/self/mountinfo");
    const std::string mountinfo((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    type = mount_type_of(mountinfo, fmt::format("{}:{}", major(status.st_dev), minor(status.st_dev)));
  }
  if (const auto name = network_file_system(info.f_type, type))
    return Failure(refusal(path, fmt::format("the state file would lie on a network file system ({}), where SQLite's "
                                             "locks are not safe: name a local path with --state, or share a "
                                             "postgresql:// state between machines",
                                             *name)));
  return {};
}

// Enough for the pages of the schema, which are the first that are ever written.
std::string first_bytes_of(const std::string& path) {
  std::string bytes(1 << 20, '\0');
  std::ifstream file(path, std::ios::binary);
  file.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  bytes.resize(static_cast<std::size_t>(file.gcount()));
  return bytes;
}

} // namespace

std::optional<std::string> network_file_system(long magic, std::string_view mount_type) {
  for (const auto& [number, name] : network_magics)
    if (number == magic) return std::string(name);
  if (magic != fuse_magic || !mount_type.starts_with("fuse.")) return std::nullopt;
  for (std::string_view name : network_fuse_types)
    if (mount_type.substr(5) == name) return std::string(name);
  return std::nullopt;
}

// A line: "36 35 98:0 /root /mount options - type source options" with optional fields before the dash; see proc(5).
std::string mount_type_of(std::string_view mountinfo, std::string_view device) {
  std::string found;
  while (!mountinfo.empty()) {
    const std::size_t end = std::min(mountinfo.find('\n'), mountinfo.size());
    const std::string_view line = mountinfo.substr(0, end);
    mountinfo.remove_prefix(std::min(end + 1, mountinfo.size()));
    const std::size_t dash = line.find(" - ");
    const std::size_t second = line.find(' ', line.find(' ') + 1);
    if (dash == line.npos || second == line.npos || !line.substr(second + 1).starts_with(fmt::format("{} ", device)))
      continue;
    const std::string_view rest = line.substr(dash + 3);
    found = std::string(rest.substr(0, rest.find(' ')));
  }
  return found;
}

Result<void> prepare_state_file(const std::string& path) {
  const std::string directory = parent_of(path);
  CV_CHECK(make_parents(directory));
  struct stat status = {};
  if (::stat(path.c_str(), &status) == 0) {
    if (S_ISDIR(status.st_mode))
      return Failure(
          refusal(path, "is a directory: name the state file in it, e.g. " + escape_bytes(path) + "/state.db"));
    if (!S_ISREG(status.st_mode)) return Failure(refusal(path, "is not a regular file: name another with --state"));
    return refuse_network(path, directory);
  }
  if (errno == ENOTDIR) return Failure(file_error(errno, path, "a part of the path is a file"));
  CV_CHECK(refuse_network(path, directory));
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return Failure(file_error(errno, path, "can't create the state file (name another place with --state)"));
  ::close(fd);
  return {};
}

std::string file_identity(const std::string& path) {
  struct stat status = {};
  if (::stat(path.c_str(), &status) != 0) return {};
  return fmt::format("{}-{}", static_cast<std::uint64_t>(status.st_dev), static_cast<std::uint64_t>(status.st_ino));
}

bool looks_like_state(const std::string& path) {
  constexpr std::string_view magic("SQLite format 3", 16);           // with its NUL
  constexpr std::string_view first_table = "CREATE TABLE cv_schema"; // ours that is made first
  if (!first_bytes_of(path).starts_with(magic)) return false;
  return first_bytes_of(path).find(first_table) != std::string::npos ||
         first_bytes_of(path + "-wal").find(first_table) != std::string::npos; // before the first checkpoint
}

Result<std::string> set_aside(const std::string& path, const std::string& identity) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return std::string(); // another process was first
  ::flock(fd, LOCK_EX);             // one at a time; who comes later finds another file under the name
  std::string renamed;
  if (file_identity(path) == identity) {
    renamed = fmt::format("{}.corrupt-{}", path, now_ms());
    // The log first: a new file under the name must never meet the old one's log.
    for (const char* suffix : {"-wal", "-shm"}) ::rename((path + suffix).c_str(), (renamed + suffix).c_str());
    clear_damaged(path);
    if (::rename(path.c_str(), renamed.c_str()) != 0) {
      const int error_number = errno;
      ::close(fd);
      return Failure(file_error(error_number, path, "the state file is damaged and can't be set aside"));
    }
  }
  ::close(fd);
  return renamed;
}

void mark_damaged(const std::string& path) {
  const int fd = ::open((path + "-damaged").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  if (fd >= 0) ::close(fd);
}

bool marked_damaged(const std::string& path) { return ::access((path + "-damaged").c_str(), F_OK) == 0; }

void clear_damaged(const std::string& path) { ::unlink((path + "-damaged").c_str()); }

} // namespace checkvalve
