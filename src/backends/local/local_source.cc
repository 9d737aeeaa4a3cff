#include "backends/local/local_source.h"

#include <unistd.h>

#include <cerrno>

namespace checkvalve {
namespace {

// Fewer bytes than asked for only at the end of the file.
Result<Chunk> read_at(int fd, std::uint64_t offset, std::uint32_t size) {
  Chunk chunk = Chunk::allocate(size);
  std::size_t done = 0;
  while (done < size) {
    const ssize_t got = ::pread(fd, chunk.data() + done, size - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Failure(errno_error(errno, {}, {}));
    if (got == 0) break;
    done += static_cast<std::size_t>(got);
  }
  chunk.narrow(0, done);
  return chunk;
}

class LocalReader : public BasicReader {
public:
  LocalReader(ThreadPool& workers, SharedHolder holder, std::string path, UniqueFd fd)
      : workers_(workers), holder_(std::move(holder)), path_(std::move(path)),
        fd_(std::make_shared<UniqueFd>(std::move(fd))) {}
  ~LocalReader() override { close_on_worker(workers_, std::move(fd_)); }

  Task<Result<Chunk>> read(std::uint64_t offset, std::uint32_t size) override {
    co_return co_await workers_.run([fd = fd_, offset, size] { return read_at(fd->get(), offset, size); });
  }
  Task<Result<Entry>> stat() override { return stat_local(workers_, holder_, path_, true); }

private:
  ThreadPool& workers_;
  SharedHolder holder_;
  std::string path_;
  std::shared_ptr<UniqueFd> fd_;
};

} // namespace

Task<Result<void>> LocalSource::connect() {
  CV_CO_TRY(const SharedRoot root, co_await workers_.run([holder = holder_] { return holder->open(); }));
  capabilities_ = local_capabilities(root.get());
  co_return Result<void>();
}

Task<Result<std::unique_ptr<Listing>>> LocalSource::list(std::string directory, bool) {
  return list_local(workers_, holder_, std::move(directory));
}

Task<Result<Entry>> LocalSource::stat(std::string path, bool follow) {
  return stat_local(workers_, holder_, std::move(path), follow);
}

Task<Result<std::unique_ptr<Reader>>> LocalSource::open(Entry entry) {
  ThreadPool& workers = workers_;
  const SharedHolder holder = holder_;
  CV_CO_TRY(UniqueFd fd, co_await workers.run([&holder, &entry] { return open_for_reading(*holder, entry.path); }));
  co_return std::make_unique<LocalReader>(workers, holder, std::move(entry.path), std::move(fd));
}

Task<Result<std::string>> LocalSource::real_path(std::string path) {
  co_return co_await workers_.run(
      [holder = holder_, path = std::move(path)] { return real_path_beneath(*holder, path); });
}

Task<Result<std::string>> LocalSource::read_link(std::string path) {
  co_return co_await workers_.run(
      [holder = holder_, path = std::move(path)] { return read_link_beneath(*holder, path); });
}

std::shared_ptr<const Origin> LocalSource::origin() const { return std::make_shared<LocalOrigin>(holder_); }

Task<void> LocalSource::disconnect() { co_return; }

} // namespace checkvalve
