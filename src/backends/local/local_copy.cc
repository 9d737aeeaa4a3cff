#include "backends/local/local_copy.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <cerrno>

namespace checkvalve {
namespace {

constexpr std::uint64_t step_bytes = 64 << 20; // copied by one call to a worker

bool can_not(int error_number) {
  return error_number == EXDEV || error_number == EINVAL || error_number == EOPNOTSUPP || error_number == ENOSYS ||
         error_number == ETXTBSY;
}

class KernelCopy {
public:
  KernelCopy(UniqueFd source, std::shared_ptr<NewFile> file, std::uint64_t size_bytes)
      : source_(std::move(source)), file_(std::move(file)), size_bytes_(size_bytes) {}

  // All at once by a reflink, or else the first bytes, which shows whether the kernel copies between these two.
  Result<void> begin() {
    if (::ioctl(file_->fd(), FICLONE, source_.get()) == 0) {
      struct stat status{};
      if (::fstat(file_->fd(), &status) != 0) return failure();
      if (static_cast<std::uint64_t>(status.st_size) != size_bytes_) return changed();
      done_bytes_ = size_bytes_;
      return {};
    }
    return advance();
  }

  Result<void> advance() {
    const std::uint64_t stop = std::min(done_bytes_ + step_bytes, size_bytes_);
    while (done_bytes_ < stop) {
      CV_TRY(const std::uint64_t data, seek(SEEK_DATA));
      done_bytes_ = std::min(data, size_bytes_); // what lies before is a hole
      if (done_bytes_ >= stop) break;
      CV_TRY(const std::uint64_t hole, seek(SEEK_HOLE));
      CV_CHECK(copy_to(std::min(hole, stop)));
    }
    return {};
  }

  std::uint64_t done_bytes() const { return done_bytes_; }
  NewFile& file() { return *file_; }

private:
  Failure failure() const {
    if (can_not(errno)) return Failure(make_error(ErrorKind::unsupported, "the kernel cannot copy this file"));
    return Failure(errno_error(errno, {}, {}));
  }
  Failure changed() const { return Failure(make_error(ErrorKind::changed, "the file has another size than planned")); }

  // Where the next data, or the next hole, begins; the end of the file if there is none.
  Result<std::uint64_t> seek(int whence) const {
    const off_t found = ::lseek(source_.get(), static_cast<off_t>(done_bytes_), whence);
    if (found >= 0) return static_cast<std::uint64_t>(found);
    if (errno == ENXIO) return size_bytes_;
    return failure();
  }

  Result<void> copy_to(std::uint64_t end) {
    while (done_bytes_ < end) {
      auto from = static_cast<off64_t>(done_bytes_);
      off64_t to = from;
      const ssize_t copied = ::copy_file_range(source_.get(), &from, file_->fd(), &to, end - done_bytes_, 0);
      if (copied < 0 && errno == EINTR) continue;
      if (copied < 0) return failure();
      if (copied == 0) return changed();
      done_bytes_ += static_cast<std::uint64_t>(copied);
    }
    return {};
  }

  const UniqueFd source_;
  const std::shared_ptr<NewFile> file_;
  const std::uint64_t size_bytes_;
  std::uint64_t done_bytes_ = 0;
};

class LocalCopy : public DirectCopy {
public:
  LocalCopy(ThreadPool& workers, std::shared_ptr<KernelCopy> copy) : workers_(workers), copy_(std::move(copy)) {}
  ~LocalCopy() override {
    workers_.submit([copy = std::move(copy_)] {});
  }

  Task<Result<std::uint64_t>> advance() override {
    const auto copy = copy_;
    CV_CO_CHECK(co_await workers_.run([copy] { return copy->advance(); }));
    co_return copy->done_bytes();
  }
  Task<Result<Published>> commit(CommitOptions options) override {
    co_return co_await workers_.run([copy = copy_, options] { return copy->file().commit(options); });
  }
  Task<Result<void>> abort() override {
    co_return co_await workers_.run([copy = copy_] { return copy->file().abort(); });
  }

private:
  ThreadPool& workers_;
  std::shared_ptr<KernelCopy> copy_;
};

} // namespace

Result<std::unique_ptr<DirectCopy>> begin_local_copy(ThreadPool& workers, const LocalOrigin& origin, const Entry& entry,
                                                     std::shared_ptr<LocalTree> tree, const std::string& path,
                                                     const std::string& temporary) {
  CV_TRY(UniqueFd source, open_for_reading(*origin.holder, entry.path));
  CV_TRY(auto file, NewFile::create(std::move(tree), path, temporary, true));
  auto copy = std::make_shared<KernelCopy>(std::move(source), file, entry.size_bytes);
  auto begun = copy->begin();
  if (begun) return std::make_unique<LocalCopy>(workers, std::move(copy));
  CV_CHECK(file->abort());
  return Failure(std::move(begun.error()));
}

} // namespace checkvalve
