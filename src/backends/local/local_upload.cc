#include "backends/local/local_upload.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "core/path.h"

namespace checkvalve {
namespace {

constexpr std::size_t smallest_hole = 4096; // a block of common file systems

bool all_zero(std::span<const std::byte> bytes) {
  return bytes.empty() ||
         (bytes.front() == std::byte{0} && std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0);
}

// What workers need of an upload. Lives as long as any call of it is under way.
struct OpenUpload {
  std::shared_ptr<LocalTree> tree;
  SharedRoot root;
  std::string path;
  std::string temporary;
  UniqueFd fd;
  bool sparse = true;

  Failure failure(std::string_view operation) const {
    return Failure(errno_error(errno, std::string(operation), root->shown(path)));
  }

  // The file is new, so what is not written reads as zeros and takes no space.
  Result<void> write(std::uint64_t offset, std::span<const std::byte> bytes) const {
    if (sparse && bytes.size() >= smallest_hole && all_zero(bytes)) return {};
    while (!bytes.empty()) {
      const ssize_t put = ::pwrite(fd.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
      if (put < 0 && errno == EINTR) continue;
      if (put < 0) return failure("write");
      bytes = bytes.subspan(static_cast<std::size_t>(put));
      offset += static_cast<std::uint64_t>(put);
    }
    return {};
  }

  // A hole at the end is no write: the size is set for it.
  Result<void> check_size(std::uint64_t size_bytes) const {
    struct stat status{};
    if (::fstat(fd.get(), &status) != 0) return failure("stat");
    if (sparse && static_cast<std::uint64_t>(status.st_size) < size_bytes) {
      if (::ftruncate(fd.get(), static_cast<off_t>(size_bytes)) != 0) return failure("truncate");
      if (::fstat(fd.get(), &status) != 0) return failure("stat");
    }
    if (static_cast<std::uint64_t>(status.st_size) == size_bytes) return {};
    return Failure(make_error(ErrorKind::integrity, "commit", root->shown(path),
                              fmt::format("{} bytes were sent, the target holds {}", size_bytes, status.st_size)));
  }

  Result<void> set_metadata(const CommitOptions& options) const {
    if (options.mode && ::fchmod(fd.get(), *options.mode & 07777) != 0) return failure("chmod");
    if (options.mtime_ns) {
      constexpr std::int64_t second = 1'000'000'000;
      std::int64_t seconds = *options.mtime_ns / second;
      std::int64_t rest = *options.mtime_ns % second;
      if (rest < 0) { // before 1970: tv_nsec counts forward
        rest += second;
        --seconds;
      }
      const timespec times[2] = {{0, UTIME_OMIT}, {static_cast<time_t>(seconds), static_cast<long>(rest)}};
      if (::futimens(fd.get(), times) != 0) return failure("set mtime");
    }
    return {};
  }

  Result<Published> commit(const CommitOptions& options) {
    CV_CHECK(check_size(options.size_bytes));
    CV_CHECK(set_metadata(options));
    if (options.durable && ::fsync(fd.get()) != 0) return failure("fsync");
    // Some file systems (NFS) tell of a full disk only here.
    if (::close(fd.release()) != 0 && errno != EINTR) return failure("close");
    Published published;
    CV_TRY(published.method, publish_name(*root, temporary, path, options.replace, false));
    if (options.durable) CV_CHECK(tree->sync_names(*root, std::string(parent_path(path))));
    return published;
  }
};

class LocalUpload : public Upload {
public:
  LocalUpload(ThreadPool& workers, std::shared_ptr<OpenUpload> file) : workers_(workers), file_(std::move(file)) {}
  // The last call under way closes the descriptor; that is never the engine thread's business.
  ~LocalUpload() override {
    workers_.submit([file = std::move(file_)] {});
  }

  Task<Result<void>> write(std::uint64_t offset, Chunk chunk) override {
    ++under_way_;
    auto written = co_await workers_.run([file = file_, offset, &chunk] { return file->write(offset, chunk.bytes()); });
    if (written) written_bytes_ += chunk.size();
    if (--under_way_ == 0 && idle_) idle_->set();
    co_return written;
  }

  Task<Result<Published>> commit(CommitOptions options) override {
    if (written_bytes_ != options.size_bytes)
      co_return Failure(
          make_error(ErrorKind::integrity, "commit", file_->root->shown(file_->path),
                     fmt::format("{} bytes were announced, {} were written", options.size_bytes, written_bytes_)));
    co_return co_await workers_.run([file = file_, options] { return file->commit(options); });
  }

  Task<Result<void>> abort() override {
    while (under_way_ != 0) {
      if (!idle_ || idle_->is_set()) idle_ = std::make_shared<Event>();
      const std::shared_ptr<Event> idle = idle_;
      co_await *idle;
    }
    co_return co_await workers_.run([file = file_] { return remove_name(*file->root, file->temporary, "abort"); });
  }

private:
  ThreadPool& workers_;
  std::shared_ptr<OpenUpload> file_;
  std::uint64_t written_bytes_ = 0; // acknowledged
  std::size_t under_way_ = 0;
  std::shared_ptr<Event> idle_; // set when no write is under way
};

} // namespace

Result<void> remove_name(const RootDirectory& root, const std::string& path, std::string_view operation) {
  auto parent = root.open_parent(path, operation);
  if (!parent && (parent.error().kind == ErrorKind::not_found || parent.error().kind == ErrorKind::not_a_directory))
    return {};
  if (!parent) return Failure(std::move(parent.error()));
  const std::string name(base_name(path));
  if (::unlinkat(parent->get(), name.c_str(), 0) == 0 || errno == ENOENT) return {};
  return Failure(errno_error(errno, std::string(operation), root.shown(path)));
}

Result<UniqueFd> create_temporary(const RootDirectory& root, const std::string& temporary) {
  CV_CHECK(remove_name(root, temporary, "begin"));
  return root.open_at(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_NOCTTY, 0666, "begin");
}

Result<std::string> publish_name(const RootDirectory& root, const std::string& temporary, const std::string& path,
                                 Replace replace, bool link_gives_way) {
  CV_TRY(const UniqueFd parent, root.open_parent(path, "publish"));
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
        return Failure(make_error(ErrorKind::unsupported, "publish", root.shown(path),
                                  "this file system can't refuse an existing name in one step"));
      if (status == 0 && ::unlinkat(directory, from.c_str(), 0) != 0)
        return Failure(errno_error(errno, "remove temporary", root.shown(temporary)));
    }
    struct stat there{};
    if (status != 0 && errno == EEXIST && link_gives_way &&
        ::fstatat(directory, to.c_str(), &there, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(there.st_mode)) {
      method = "rename";
      status = ::renameat(directory, from.c_str(), directory, to.c_str());
    }
  } else {
    status = ::renameat(directory, from.c_str(), directory, to.c_str());
  }
  if (status == 0) return method;
  return Failure(errno_error(errno, "publish", root.shown(path)));
}

std::unique_ptr<Upload> make_local_upload(ThreadPool& workers, std::shared_ptr<LocalTree> tree, SharedRoot root,
                                          std::string path, std::string temporary, UniqueFd fd, bool sparse) {
  auto file = std::make_shared<OpenUpload>(
      OpenUpload{std::move(tree), std::move(root), std::move(path), std::move(temporary), std::move(fd), sparse});
  return std::make_unique<LocalUpload>(workers, std::move(file));
}

} // namespace checkvalve
