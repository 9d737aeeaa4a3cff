#include "sync/copy.h"

namespace checkvalve {
namespace {

class WholeCopy : public Copy {
public:
  WholeCopy(std::unique_ptr<Reader> reader, std::unique_ptr<Upload> upload, std::uint32_t size_bytes,
            HashAlgorithm hash)
      : reader_(std::move(reader)), upload_(std::move(upload)), size_bytes_(size_bytes), hash_(hash) {}

  Task<Result<Content>> move() override {
    CV_CO_TRY(Reader::Whole whole, co_await reader_->read_whole(size_bytes_));
    chunk_ = std::move(whole.content);
    Hasher hasher(hash_);
    hasher.update(chunk_.bytes());
    Content content{.read_bytes = chunk_.size(), .bytes = chunk_.size(), .read_digest = hasher.digest()};
    content.digest = content.read_digest;
    content.source_after = std::move(whole.after);
    co_return content;
  }
  Task<Result<Published>> publish(CommitOptions options) override {
    return upload_->write_and_commit(std::move(chunk_), std::move(options));
  }
  Task<Result<void>> abort() override { return upload_->abort(); }

private:
  const std::unique_ptr<Reader> reader_;
  const std::unique_ptr<Upload> upload_;
  const std::uint32_t size_bytes_;
  const HashAlgorithm hash_;
  Chunk chunk_;
};

} // namespace

std::unique_ptr<Copy> copy_whole(std::unique_ptr<Reader> reader, std::unique_ptr<Upload> upload,
                                 std::uint32_t size_bytes, HashAlgorithm hash) {
  return std::make_unique<WholeCopy>(std::move(reader), std::move(upload), size_bytes, hash);
}

} // namespace checkvalve
