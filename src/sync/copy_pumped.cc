#include "sync/copy.h"

namespace checkvalve {
namespace {

class PumpedCopy : public Copy {
public:
  PumpedCopy(std::unique_ptr<Reader> reader, std::unique_ptr<Upload> upload, PumpLimits limits,
             Cancellation& cancellation, Progress progress)
      : reader_(std::move(reader)), upload_(std::move(upload)), limits_(limits),
        pump_(*reader_, *upload_, limits, cancellation) {
    pump_.on_progress(std::move(progress));
  }

  Task<Result<Content>> move() override {
    CV_CO_CHECK(co_await pump_.run());
    Content content{.read_bytes = limits_.size_bytes, .bytes = limits_.size_bytes};
    if (limits_.resumed_bytes == 0) content.read_digest = pump_.digest();
    content.digest = content.read_digest;
    content.source_after = std::move(pump_.source_after());
    co_return content;
  }
  Task<Result<Published>> publish(CommitOptions options) override { return upload_->commit(std::move(options)); }
  std::optional<PartialUpload> take_partial() override {
    if (pump_.acknowledged_bytes() == 0) return std::nullopt;
    return PartialUpload{std::move(upload_), pump_.acknowledged_bytes()};
  }
  Task<Result<void>> abort() override { return upload_->abort(); }

private:
  const std::unique_ptr<Reader> reader_;
  std::unique_ptr<Upload> upload_;
  const PumpLimits limits_;
  Pump pump_;
};

} // namespace

std::unique_ptr<Copy> copy_pumped(std::unique_ptr<Reader> reader, std::unique_ptr<Upload> upload, PumpLimits limits,
                                  Cancellation& cancellation, Progress progress) {
  return std::make_unique<PumpedCopy>(std::move(reader), std::move(upload), limits, cancellation, std::move(progress));
}

} // namespace checkvalve
