#include "backends/local/local_upload.h"

#include <fmt/format.h>

#include "core/async.h"

namespace checkvalve {
namespace {

class LocalUpload : public Upload {
public:
  LocalUpload(ThreadPool& workers, std::shared_ptr<NewFile> file) : workers_(workers), file_(std::move(file)) {}
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
          make_error(ErrorKind::integrity, "commit", file_->shown(),
                     fmt::format("{} bytes were announced, {} were written", options.size_bytes, written_bytes_)));
    co_return co_await workers_.run([file = file_, options] { return file->commit(options); });
  }

  Task<Result<void>> abort() override {
    while (under_way_ != 0) {
      if (!idle_ || idle_->is_set()) idle_ = std::make_shared<Event>();
      const std::shared_ptr<Event> idle = idle_;
      co_await *idle;
    }
    co_return co_await workers_.run([file = file_] { return file->abort(); });
  }

private:
  ThreadPool& workers_;
  std::shared_ptr<NewFile> file_;
  std::uint64_t written_bytes_ = 0; // acknowledged
  std::size_t under_way_ = 0;
  std::shared_ptr<Event> idle_; // set when no write is under way
};

} // namespace

std::unique_ptr<Upload> make_local_upload(ThreadPool& workers, std::shared_ptr<NewFile> file) {
  return std::make_unique<LocalUpload>(workers, std::move(file));
}

} // namespace checkvalve
