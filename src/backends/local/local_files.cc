#include "backends/local/local_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/vfs.h>

#include <cerrno>
#include <climits>

#include "core/path.h"

namespace checkvalve {
namespace {

constexpr std::size_t page_entries = 1'000; // of a directory, read by one call to a worker
constexpr std::size_t refused_kept = 1'000;

EntryType type_from(mode_t mode) {
  if (S_ISREG(mode)) return EntryType::file;
  if (S_ISDIR(mode)) return EntryType::directory;
  if (S_ISLNK(mode)) return EntryType::symlink;
  return EntryType::other;
}

struct DirCloser {
  void operator()(DIR* dir) const { ::closedir(dir); }
};

// A directory that is being read: by one worker at a time, since pages are asked for one after another.
struct OpenDirectory {
  SharedRoot root;
  std::string path;
  std::unique_ptr<DIR, DirCloser> dir;
  std::vector<Error> refused;

  void refuse(Error error) {
    if (refused.size() < refused_kept) refused.push_back(std::move(error));
  }

  Result<std::vector<Entry>> page() {
    std::vector<Entry> entries;
    while (entries.size() < page_entries) {
      errno = 0;
      const dirent* item = ::readdir(dir.get());
      if (!item) {
        if (errno != 0) return Failure(errno_error(errno, {}, {}));
        break;
      }
      const std::string_view name = item->d_name;
      if (name == "." || name == "..") continue;
      std::string full = join_path(path, name);
      if (auto usable = check_name(name); !usable) {
        refuse(std::move(usable.error()));
        continue;
      }
      struct stat status{};
      if (::fstatat(::dirfd(dir.get()), item->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0)
        entries.push_back(entry_from(status, std::move(full)));
      else if (errno != ENOENT) // gone since: as if never seen
        refuse(errno_error(errno, "stat", root->shown(full)));
    }
    return entries;
  }
};

class LocalListing : public Listing {
public:
  LocalListing(ThreadPool& workers, std::shared_ptr<OpenDirectory> directory)
      : workers_(workers), directory_(std::move(directory)) {}
  ~LocalListing() override {
    workers_.submit([directory = std::move(directory_)] {}); // the last one to hold it closes it
  }
  Task<Result<std::vector<Entry>>> next() override { return read_page(workers_, directory_); }
  std::vector<Error> take_refused() override { return std::exchange(directory_->refused, {}); }

private:
  static Task<Result<std::vector<Entry>>> read_page(ThreadPool& workers, std::shared_ptr<OpenDirectory> directory) {
    co_return co_await workers.run([directory] { return directory->page(); });
  }
  ThreadPool& workers_;
  std::shared_ptr<OpenDirectory> directory_;
};

Result<std::shared_ptr<OpenDirectory>> open_directory(RootHolder& holder, const std::string& path) {
  CV_TRY(const SharedRoot root, holder.open());
  CV_TRY(UniqueFd fd, root->open_at(path, O_RDONLY | O_DIRECTORY, 0));
  auto opened = std::make_shared<OpenDirectory>();
  opened->root = root;
  opened->path = path;
  opened->dir.reset(::fdopendir(fd.get()));
  if (!opened->dir) return Failure(errno_error(errno, {}, {}));
  fd.release();
  return opened;
}

} // namespace

Result<SharedRoot> RootHolder::open() {
  std::lock_guard lock(mutex_);
  if (!root_) {
    CV_TRY(RootDirectory opened, RootDirectory::open(path_, links_));
    root_ = std::make_shared<const RootDirectory>(std::move(opened));
  }
  return root_;
}

std::string RootHolder::shown(std::string_view path) const { return escape_bytes(join_path(path_, path)); }

Capabilities local_capabilities(const RootDirectory* root) {
  Capabilities out;
  out.symlinks = true;
  out.durable = true;
  out.mtime_precision_ns = 1;
  out.files_in_flight = 64; // each holds a descriptor and works on a worker thread: more get no faster
  out.window_bytes = 4 << 20;
  struct statfs system{};
  if (root && ::statfs(root->path().c_str(), &system) == 0 && system.f_type == MSDOS_SUPER_MAGIC)
    out.mtime_precision_ns = 2'000'000'000;
  return out;
}

Entry entry_from(const struct stat& status, std::string path) {
  Entry entry;
  entry.path = std::move(path);
  entry.type = type_from(status.st_mode);
  entry.size_bytes = static_cast<std::uint64_t>(status.st_size);
  entry.mtime_ns = static_cast<std::int64_t>(status.st_mtim.tv_sec) * 1'000'000'000 + status.st_mtim.tv_nsec;
  entry.mode = status.st_mode & 07777;
  return entry;
}

Result<std::string> read_link_beneath(RootHolder& holder, const std::string& path) {
  CV_TRY(const SharedRoot root, holder.open());
  CV_TRY(const UniqueFd fd, root->open_at(path, O_PATH | O_NOFOLLOW, 0));
  std::string text(PATH_MAX, '\0');
  const ssize_t length = ::readlinkat(fd.get(), "", text.data(), text.size());
  if (length < 0 && (errno == ENOENT || errno == EINVAL))
    return Failure(make_error(ErrorKind::io, "not a symbolic link"));
  if (length < 0) return Failure(errno_error(errno, {}, {}));
  text.resize(static_cast<std::size_t>(length));
  return text;
}

Result<std::string> real_path_beneath(RootHolder& holder, const std::string& path) {
  CV_TRY(const SharedRoot root, holder.open());
  CV_TRY(const UniqueFd fd, root->open_at(path, O_PATH | O_DIRECTORY, 0));
  std::string text(PATH_MAX, '\0');
  const std::string link = "/proc/self/fd/" + std::to_string(fd.get());
  const ssize_t length = ::readlink(link.c_str(), text.data(), text.size());
  if (length < 0) return Failure(errno_error(errno, {}, {}));
  text.resize(static_cast<std::size_t>(length));
  return text;
}

Result<UniqueFd> open_for_reading(RootHolder& holder, const std::string& path) {
  CV_TRY(const SharedRoot root, holder.open());
  // O_NONBLOCK: opening a FIFO that nobody writes to would wait forever.
  CV_TRY(UniqueFd fd, root->open_at(path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0));
  struct stat status{};
  if (::fstat(fd.get(), &status) != 0) return Failure(errno_error(errno, {}, {}));
  if (S_ISDIR(status.st_mode)) return Failure(make_error(ErrorKind::is_a_directory, "is a directory"));
  if (!S_ISREG(status.st_mode)) return Failure(make_error(ErrorKind::unsupported, "not a regular file"));
  ::posix_fadvise(fd.get(), 0, 0, POSIX_FADV_SEQUENTIAL);
  return fd;
}

Task<Result<std::unique_ptr<Listing>>> list_local(ThreadPool& workers, SharedHolder holder, std::string directory) {
  CV_CO_TRY(auto opened, co_await workers.run([&holder, &directory] { return open_directory(*holder, directory); }));
  co_return std::make_unique<LocalListing>(workers, std::move(opened));
}

namespace {

Result<Entry> stat_beneath(RootHolder& holder, const std::string& path, bool follow) {
  CV_TRY(const SharedRoot root, holder.open());
  CV_TRY(const struct stat status, root->stat_at(path, follow));
  return entry_from(status, path);
}

} // namespace

Task<Result<Entry>> stat_local(ThreadPool& workers, SharedHolder holder, std::string path, bool follow) {
  co_return co_await workers.run([&holder, &path, follow] { return stat_beneath(*holder, path, follow); });
}

void close_on_worker(ThreadPool& workers, std::shared_ptr<UniqueFd> fd) {
  workers.submit([fd = std::move(fd)] {});
}

} // namespace checkvalve
