#include "sync/copy.h"
#include "sync/publish.h"
#include "sync/transformed_upload.h"

namespace checkvalve {
namespace {

class TransformedCopy : public Copy {
public:
  TransformedCopy(const Chain& chain, std::unique_ptr<Reader> reader, std::unique_ptr<Outputs> outputs,
                  ThreadPool& workers, TransformedCopyOptions options, Cancellation& cancellation, Progress progress)
      : reader_(std::move(reader)), size_bytes_(options.limits.size_bytes),
        upload_(chain, std::move(options.file), std::move(outputs), workers, options.target_chunk_bytes, options.hash),
        pump_(*reader_, upload_, options.limits, {0, Hasher(options.hash)}, cancellation) {
    pump_.on_progress(std::move(progress));
  }

  Task<Result<Content>> move() override {
    Result<void> moved = co_await pump_.run();
    if (moved) moved = co_await upload_.finish();
    if (!moved) co_return Failure(std::move(moved.error()));
    Content content{.read_bytes = size_bytes_, .bytes = upload_.written_bytes(), .read_digest = pump_.digest()};
    content.digest = upload_.written_digest();
    content.list_digest = upload_.checksum();
    content.parts = upload_.parts();
    content.source_after = std::move(pump_.source_after());
    co_return content;
  }
  Task<Result<Published>> publish(CommitOptions options) override { return upload_.commit(std::move(options)); }
  Task<Result<void>> abort() override { return upload_.abort(); }

private:
  const std::unique_ptr<Reader> reader_;
  const std::uint64_t size_bytes_;
  TransformedUpload upload_;
  Pump pump_;
};

} // namespace

std::unique_ptr<Copy> copy_transformed(const Chain& chain, std::unique_ptr<Reader> reader,
                                       std::unique_ptr<Outputs> outputs, ThreadPool& workers,
                                       TransformedCopyOptions options, Cancellation& cancellation, Progress progress) {
  return std::make_unique<TransformedCopy>(chain, std::move(reader), std::move(outputs), workers, std::move(options),
                                           cancellation, std::move(progress));
}

} // namespace checkvalve
