#include "sync/copy.h"

namespace checkvalve {
namespace {

class PumpedCopy : public Copy {
public:
  PumpedCopy(std::unique_ptr<Reader> reader, PartialUpload begun, PumpLimits limits, Cancellation& cancellation,
             Progress progress, PrefixSink acknowledged)
      : reader_(std::move(reader)), upload_(std::move(begun.upload)), size_bytes_(limits.size_bytes),
        pump_(*reader_, *upload_, limits, std::move(begun.prefix), cancellation) {
    pump_.on_progress(std::move(progress));
    pump_.on_prefix(std::move(acknowledged));
  }

  Task<Result<Content>> move() override {
    CV_CO_CHECK(co_await pump_.run());
    Content content{.read_bytes = size_bytes_, .bytes = size_bytes_, .read_digest = pump_.digest()};
    content.digest = content.read_digest;
    content.source_after = std::move(pump_.source_after());
    co_return content;
  }
  Task<Result<Published>> publish(CommitOptions options) override { return upload_->commit(std::move(options)); }
  std::optional<PartialUpload> take_partial() override {
    Prefix prefix = pump_.take_prefix();
    if (prefix.bytes == 0) return std::nullopt;
    return PartialUpload{std::move(upload_), std::move(prefix)};
  }
  Task<Result<void>> abort() override { return upload_->abort(); }

private:
  const std::unique_ptr<Reader> reader_;
  std::unique_ptr<Upload> upload_;
  const std::uint64_t size_bytes_;
  Pump pump_;
};

} // namespace

std::unique_ptr<Copy> copy_pumped(std::unique_ptr<Reader> reader, PartialUpload begun, PumpLimits limits,
                                  Cancellation& cancellation, Progress progress, PrefixSink acknowledged) {
  return std::make_unique<PumpedCopy>(std::move(reader), std::move(begun), limits, cancellation, std::move(progress),
                                      std::move(acknowledged));
}

} // namespace checkvalve
