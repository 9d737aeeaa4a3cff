#include "sync/copy.h"

namespace checkvalve {
namespace {

class DirectCopying : public Copy {
public:
  DirectCopying(Source& source, Entry entry, std::unique_ptr<DirectCopy> copy, Cancellation& cancellation,
                Progress progress)
      : source_(source), entry_(std::move(entry)), copy_(std::move(copy)), cancellation_(cancellation),
        progress_(std::move(progress)) {}

  Task<Result<Content>> move() override {
    Content content;
    while (content.bytes < entry_.size_bytes) {
      if (cancellation_.requested()) co_return Failure(cancellation_.reason());
      CV_CO_TRY(content.bytes, co_await copy_->advance());
      progress_(content.bytes);
    }
    content.read_bytes = content.bytes;
    if (entry_.etag.empty()) content.source_after = co_await source_.stat(entry_.path, true);
    co_return content;
  }
  Task<Result<Published>> publish(CommitOptions options) override { return copy_->commit(std::move(options)); }
  Task<Result<void>> abort() override { return copy_->abort(); }

private:
  Source& source_;
  const Entry entry_;
  const std::unique_ptr<DirectCopy> copy_;
  Cancellation& cancellation_;
  const Progress progress_;
};

} // namespace

std::unique_ptr<Copy> copy_directly(Source& source, Entry entry, std::unique_ptr<DirectCopy> copy,
                                    Cancellation& cancellation, Progress progress) {
  return std::make_unique<DirectCopying>(source, std::move(entry), std::move(copy), cancellation, std::move(progress));
}

} // namespace checkvalve
