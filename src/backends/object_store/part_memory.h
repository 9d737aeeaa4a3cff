// PartMemory: the memory for parts that are being filled or sent. An upload's share grows with each write, and shrinks
// when a part is stored. If incomplete parts hold all of it, the outputs of one source file at a time may exceed the
// limit until a part of theirs is complete. So the uploads can't wait for each other forever. Engine thread only.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <utility>

#include "core/async.h"

namespace checkvalve {

class PartMemory {
public:
  explicit PartMemory(std::uint64_t limit_bytes) : limit_bytes_(limit_bytes) {}
  PartMemory(const PartMemory&) = delete;
  PartMemory& operator=(const PartMemory&) = delete;
  std::uint64_t used_bytes() const { return used_bytes_; }

  // The memory of one upload. The destructor gives the rest back.
  class Share {
  public:
    // `owner`: the number of the source file. One producer feeds all its outputs, so these never wait for each other.
    Share(std::shared_ptr<PartMemory> memory, std::uint64_t owner) : memory_(std::move(memory)), owner_(owner) {}
    Share(const Share&) = delete;
    Share& operator=(const Share&) = delete;
    ~Share() { shrink(bytes_); }

    // Waits for this much more memory. One call at a time.
    Task<void> grow(std::uint64_t bytes) {
      if (!memory_->take(*this, bytes)) {
        Waiter waiter(*this, bytes);
        co_await waiter.granted;
      }
    }
    // Their part is complete: these bytes will be given back without further growth.
    void expect_back(std::uint64_t bytes) { coming_back_bytes_ += bytes; }
    void shrink(std::uint64_t bytes) {
      bytes_ -= bytes;
      coming_back_bytes_ -= std::min(bytes, coming_back_bytes_);
      memory_->give_back(*this, bytes);
    }

  private:
    friend class PartMemory;
    std::shared_ptr<PartMemory> memory_;
    const std::uint64_t owner_;
    std::uint64_t bytes_ = 0;
    std::uint64_t coming_back_bytes_ = 0;
  };

private:
  struct Waiter {
    Waiter(Share& share_, std::uint64_t bytes_) : share(&share_), bytes(bytes_) {
      share->memory_->waiting_.push_back(this);
    }
    ~Waiter() { std::erase(share->memory_->waiting_, this); }
    Share* share;
    std::uint64_t bytes;
    OneShotEvent granted;
  };

  bool take(Share& share, std::uint64_t bytes) {
    const bool fits = waiting_.empty() && used_bytes_ + bytes <= limit_bytes_;
    if (!fits && !may_exceed(share)) return false;
    grant(share, bytes, fits);
    return true;
  }
  bool may_exceed(const Share& share) const {
    return share.coming_back_bytes_ == 0 && (!exceeding_ || *exceeding_ == share.owner_);
  }
  void grant(Share& share, std::uint64_t bytes, bool fits) {
    if (!fits) exceeding_ = share.owner_;
    used_bytes_ += bytes;
    share.bytes_ += bytes;
  }
  void give_back(Share& share, std::uint64_t bytes) {
    used_bytes_ -= bytes;
    if (bytes != 0 && exceeding_ == share.owner_) exceeding_.reset();
    while (!waiting_.empty()) {
      Waiter& next = *waiting_.front();
      const bool fits = used_bytes_ + next.bytes <= limit_bytes_;
      if (!fits && !may_exceed(*next.share)) return;
      waiting_.pop_front();
      grant(*next.share, next.bytes, fits);
      next.granted.set();
    }
  }

  const std::uint64_t limit_bytes_;
  std::uint64_t used_bytes_ = 0;
  std::optional<std::uint64_t> exceeding_; // the owner that may
  std::deque<Waiter*> waiting_;
};

} // namespace checkvalve
