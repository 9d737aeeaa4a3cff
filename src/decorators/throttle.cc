#include "decorators/throttle.h"

#include <algorithm>

#include "backends/basic.h"
#include "decorators/wrapper.h"

namespace checkvalve {

TokenBucket::Clock::duration TokenBucket::reserve(std::uint64_t bytes, Clock::time_point now) {
  const auto start = std::max(next_free_, now - burst_);
  const std::chrono::duration<double> cost(static_cast<double>(bytes) / static_cast<double>(bytes_per_second_));
  next_free_ = start + std::chrono::duration_cast<Clock::duration>(cost);
  return std::max(next_free_ - now, Clock::duration::zero());
}

Task<void> TokenBucket::take(Loop& loop, std::uint64_t bytes) {
  using std::chrono::milliseconds;
  const auto wait = std::chrono::ceil<milliseconds>(reserve(bytes, Clock::now()));
  // Waits shorter than a timer's precision are made up for by the next one: the schedule keeps count.
  if (wait > milliseconds(1)) co_await loop.sleep(wait, token_);
}

namespace {

class ThrottledReader : public ReaderWrapper {
public:
  ThrottledReader(std::shared_ptr<Reader> inner, Loop& loop, std::shared_ptr<TokenBucket> bucket)
      : ReaderWrapper(std::move(inner)), loop_(loop), bucket_(std::move(bucket)) {}
  // Paid for afterwards, since only then it is known how much there was.
  Task<Result<Chunk>> read(std::uint64_t offset, std::uint32_t size) override {
    const auto bucket = bucket_;
    Loop& loop = loop_;
    CV_CO_TRY(Chunk chunk, co_await inner_->read(offset, size));
    co_await bucket->take(loop, chunk.size());
    co_return chunk;
  }
  Task<Result<Whole>> read_whole(std::uint32_t size) override {
    const auto bucket = bucket_;
    Loop& loop = loop_;
    CV_CO_TRY(Whole whole, co_await inner_->read_whole(size));
    co_await bucket->take(loop, whole.content.size());
    co_return whole;
  }

private:
  Loop& loop_;
  std::shared_ptr<TokenBucket> bucket_;
};

class ThrottledUpload : public UploadWrapper {
public:
  ThrottledUpload(std::shared_ptr<Upload> inner, Loop& loop, std::shared_ptr<TokenBucket> bucket)
      : UploadWrapper(std::move(inner)), loop_(loop), bucket_(std::move(bucket)) {}
  // The inner call comes first, since offsets must reach it in order; its completion is delayed.
  Task<Result<void>> write(std::uint64_t offset, Chunk chunk) override {
    const auto bucket = bucket_;
    Loop& loop = loop_;
    const std::size_t size = chunk.size();
    CV_CO_CHECK(co_await inner_->write(offset, std::move(chunk)));
    co_await bucket->take(loop, size);
    co_return Result<void>();
  }
  Task<Result<Published>> write_and_commit(Chunk content, CommitOptions options) override {
    const auto bucket = bucket_;
    Loop& loop = loop_;
    const std::size_t size = content.size();
    CV_CO_TRY(Published published, co_await inner_->write_and_commit(std::move(content), std::move(options)));
    co_await bucket->take(loop, size);
    co_return published;
  }

private:
  Loop& loop_;
  std::shared_ptr<TokenBucket> bucket_;
};

class ThrottledSource : public SourceWrapper {
public:
  ThrottledSource(std::shared_ptr<Source> inner, Loop& loop, std::shared_ptr<TokenBucket> bucket)
      : SourceWrapper(std::move(inner)), loop_(loop), bucket_(std::move(bucket)) {}
  Task<Result<std::unique_ptr<Reader>>> open(Entry entry) override {
    CV_CO_TRY(auto reader, co_await inner_->open(std::move(entry)));
    co_return std::make_unique<ThrottledReader>(std::move(reader), loop_, bucket_);
  }
  // A copy that does not pass through this program cannot be throttled.
  std::shared_ptr<const Origin> origin() const override { return nullptr; }

private:
  Loop& loop_;
  std::shared_ptr<TokenBucket> bucket_;
};

class ThrottledTarget : public TargetWrapper {
public:
  ThrottledTarget(std::shared_ptr<Target> inner, Loop& loop, std::shared_ptr<TokenBucket> bucket)
      : TargetWrapper(std::move(inner)), loop_(loop), bucket_(std::move(bucket)) {}
  Task<Result<std::unique_ptr<Upload>>> begin(std::string path, UploadHints hints) override {
    CV_CO_TRY(auto upload, co_await inner_->begin(std::move(path), std::move(hints)));
    co_return std::make_unique<ThrottledUpload>(std::move(upload), loop_, bucket_);
  }
  Task<Result<std::unique_ptr<DirectCopy>>> begin_direct_copy(std::shared_ptr<const Origin>, Entry, std::string,
                                                              UploadHints) override {
    co_return Failure(no_direct_copy());
  }

private:
  Loop& loop_;
  std::shared_ptr<TokenBucket> bucket_;
};

} // namespace

std::unique_ptr<Source> with_throttle(std::shared_ptr<Source> inner, Loop& loop, std::shared_ptr<TokenBucket> bucket) {
  return std::make_unique<ThrottledSource>(std::move(inner), loop, std::move(bucket));
}

std::unique_ptr<Target> with_throttle(std::shared_ptr<Target> inner, Loop& loop, std::shared_ptr<TokenBucket> bucket) {
  return std::make_unique<ThrottledTarget>(std::move(inner), loop, std::move(bucket));
}

} // namespace checkvalve
