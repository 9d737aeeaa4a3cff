#include "backends/local/new_file.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "backends/local/local_publish.h"
#include "core/path.h"

namespace checkvalve {
namespace {

constexpr std::size_t smallest_hole = 4096; // a block of common file systems

bool all_zero(std::span<const std::byte> bytes) {
  return bytes.empty() ||
         (bytes.front() == std::byte{0} && std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0);
}

} // namespace

Result<std::shared_ptr<NewFile>> NewFile::create(std::shared_ptr<LocalTree> tree, std::string path,
                                                 std::string temporary, bool sparse) {
  CV_TRY(SharedRoot root, tree->made_root());
  std::shared_ptr<NewFile> file(
      new NewFile(std::move(tree), std::move(root), std::move(path), std::move(temporary), sparse));
  CV_CHECK(file->open());
  return file;
}

Result<void> NewFile::open() {
  if (tree_->makes_nameless_files()) {
    auto opened = root_->open_at(parent_path(path_), O_TMPFILE | O_RDWR, 0666);
    if (opened) {
      fd_ = std::move(*opened);
      return {};
    }
    // Kernels and file systems without it say EOPNOTSUPP or EISDIR.
    if (opened.error().kind != ErrorKind::unsupported && opened.error().kind != ErrorKind::is_a_directory)
      return Failure(std::move(opened.error()));
    tree_->make_no_nameless_files();
  }
  named_ = true;
  CV_CHECK(remove_name(*root_, temporary_));
  CV_TRY(fd_, root_->open_at(temporary_, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_NOCTTY, 0666));
  return {};
}

Failure NewFile::failure(std::string_view operation) const {
  return Failure(errno_error(errno, std::string(operation), {}));
}

Result<void> NewFile::write(std::uint64_t offset, std::span<const std::byte> bytes) const {
  if (sparse_ && bytes.size() >= smallest_hole && all_zero(bytes)) return {};
  while (!bytes.empty()) {
    const ssize_t put = ::pwrite(fd_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return failure("write");
    bytes = bytes.subspan(static_cast<std::size_t>(put));
    offset += static_cast<std::uint64_t>(put);
  }
  return {};
}

Result<void> NewFile::truncate(std::uint64_t size_bytes) const {
  struct stat status{};
  if (::fstat(fd_.get(), &status) != 0) return failure("stat");
  if (static_cast<std::uint64_t>(status.st_size) <= size_bytes) return {}; // the rest of it is a hole
  return ::ftruncate(fd_.get(), static_cast<off_t>(size_bytes)) == 0 ? Result<void>() : failure("truncate");
}

// A hole at the end is not written: the size is set instead.
Result<void> NewFile::check_size(std::uint64_t size_bytes) const {
  struct stat status{};
  if (::fstat(fd_.get(), &status) != 0) return failure("stat");
  if (sparse_ && static_cast<std::uint64_t>(status.st_size) < size_bytes) {
    if (::ftruncate(fd_.get(), static_cast<off_t>(size_bytes)) != 0) return failure("truncate");
    if (::fstat(fd_.get(), &status) != 0) return failure("stat");
  }
  if (static_cast<std::uint64_t>(status.st_size) == size_bytes) return {};
  return Failure(make_error(ErrorKind::integrity,
                            fmt::format("{} bytes were sent, the target holds {}", size_bytes, status.st_size)));
}

Result<void> NewFile::set_metadata(const CommitOptions& options) const {
  if (options.mode && ::fchmod(fd_.get(), *options.mode & 07777) != 0) return failure("chmod");
  if (options.mtime_ns) {
    constexpr std::int64_t second = 1'000'000'000;
    std::int64_t seconds = *options.mtime_ns / second;
    std::int64_t rest = *options.mtime_ns % second;
    if (rest < 0) { // before 1970: tv_nsec counts forward
      rest += second;
      --seconds;
    }
    const timespec times[2] = {{0, UTIME_OMIT}, {static_cast<time_t>(seconds), static_cast<long>(rest)}};
    if (::futimens(fd_.get(), times) != 0) return failure("set mtime");
  }
  return {};
}

Result<void> NewFile::check_content(const std::string& digest) const {
  Hasher hasher;
  std::vector<std::byte> buffer(256 * 1024);
  for (off_t offset = 0;;) {
    const ssize_t got = ::pread(fd_.get(), buffer.data(), buffer.size(), offset);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return failure("read back");
    if (got == 0) return check_digest(digest, hasher.digest(), shown());
    hasher.update(std::span(buffer).first(static_cast<std::size_t>(got)));
    offset += got;
  }
}

Result<std::string> NewFile::publish(Replace replace) {
  if (named_) {
    // Some file systems (NFS) report a full disk only here.
    if (::close(fd_.release()) != 0 && errno != EINTR) return failure("close");
    return publish_name(*root_, temporary_, path_, replace, false);
  }
  auto published = publish_nameless(*root_, fd_.get(), temporary_, path_, replace);
  if (published || published.error().kind != ErrorKind::unsupported) return published;
  tree_->make_no_nameless_files(); // the next attempt has a name from its start
  published.error().status = ErrorStatus::transient;
  return published;
}

Result<Published> NewFile::commit(const CommitOptions& options) {
  CV_CHECK(check_size(options.size_bytes));
  CV_CHECK(set_metadata(options));
  if (!options.content_digest.empty()) CV_CHECK(check_content(options.content_digest));
  if (options.durable && ::fsync(fd_.get()) != 0) return failure("fsync");
  Published published;
  CV_TRY(published.method, publish(options.replace));
  if (options.durable) CV_CHECK(tree_->sync_names(*root_, std::string(parent_path(path_))));
  return published;
}

Result<void> NewFile::abort() const { return remove_name(*root_, temporary_); }

} // namespace checkvalve
