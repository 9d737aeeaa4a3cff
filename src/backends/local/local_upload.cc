#include "backends/local/local_upload.h"
#include "backends/basic.h"

#include <fmt/format.h>

#include <optional>
#include <utility>
#include <vector>

#include "core/async.h"

namespace checkvalve {
namespace {

class LocalUpload : public BasicUpload {
public:
  LocalUpload(ThreadPool& workers, std::shared_ptr<NewFile> file) : workers_(workers), file_(std::move(file)) {}
  // The last call under way closes the descriptor; that is never the engine thread's business.
  ~LocalUpload() override {
    workers_.submit([file = std::move(file_)] {});
  }

  // The kernel lets one write at a time into a file, and others spin for it: those that came meanwhile go together.
  Task<Result<void>> write(std::uint64_t offset, Chunk chunk) override {
    ++under_way_;
    const auto piece = std::make_shared<Piece>(Piece{offset, std::move(chunk), std::nullopt});
    waiting_.push_back(piece);
    auto turn = co_await turn_.acquire();
    if (!piece->written)
      co_await workers_.run([file = file_, batch = std::exchange(waiting_, {})] {
        for (const auto& one : batch) one->written = file->write(one->offset, one->chunk.bytes());
        return true;
      });
    turn.release();
    if (*piece->written) written_bytes_ += piece->chunk.size();
    if (--under_way_ == 0 && idle_) idle_->set();
    co_return *piece->written;
  }

  Task<Result<Published>> commit(CommitOptions options) override {
    if (written_bytes_ != options.size_bytes)
      co_return Failure(make_error(ErrorKind::integrity, fmt::format("{} bytes were announced, {} were written",
                                                                     options.size_bytes, written_bytes_)));
    co_return co_await workers_.run([file = file_, options] { return file->commit(options); });
  }

  std::uint64_t resumed_bytes() const override { return resumed_bytes_; }
  // The file is still open, and nothing is late: it keeps its name.
  Task<Result<void>> reopen(std::uint64_t acknowledged_bytes, TemporaryName) override {
    CV_CO_CHECK(
        co_await workers_.run([file = file_, acknowledged_bytes] { return file->truncate(acknowledged_bytes); }));
    resumed_bytes_ = written_bytes_ = acknowledged_bytes;
    co_return Result<void>();
  }

  Task<Result<void>> abort() override {
    while (under_way_ != 0) {
      if (!idle_ || idle_->is_set()) idle_ = std::make_shared<OneShotEvent>();
      const std::shared_ptr<OneShotEvent> idle = idle_;
      co_await *idle;
    }
    co_return co_await workers_.run([file = file_] { return file->abort(); });
  }

private:
  struct Piece {
    std::uint64_t offset;
    Chunk chunk;
    std::optional<Result<void>> written;
  };
  ThreadPool& workers_;
  std::shared_ptr<NewFile> file_;
  std::uint64_t resumed_bytes_ = 0;
  std::uint64_t written_bytes_ = 0;             // acknowledged
  std::vector<std::shared_ptr<Piece>> waiting_; // for the turn to be written
  Semaphore turn_{1, LockRank::file_turn};
  std::size_t under_way_ = 0;
  std::shared_ptr<OneShotEvent> idle_; // set when no write is under way
};

} // namespace

std::unique_ptr<Upload> make_local_upload(ThreadPool& workers, std::shared_ptr<NewFile> file) {
  return std::make_unique<LocalUpload>(workers, std::move(file));
}

} // namespace checkvalve
