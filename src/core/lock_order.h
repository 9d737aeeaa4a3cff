// The order in which coroutines may take permits, so that no two wait for each other. Debug builds assert it; release
// builds keep no record. Engine thread only.
//
// A coroutine and what it awaits form a chain, which suspends and resumes as one. Each chain has a record of the ranks
// that it holds; the loop makes the record of the chain that it resumes the present one. A chain that another one
// spawns to await it (spawn(), TaskGroup) also counts what the other one held then: who waits for a chain waits for
// all that the chain waits for. A detached chain, for which nobody waits, starts with nothing.
#pragma once

#include <array>
#include <cassert>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

namespace checkvalve {

// While a coroutine holds a permit of one rank it may wait only for those of a later one.
enum class LockRank : std::uint8_t {
  none,       // not in the order: whoever holds it waits for nothing that others need to give it back
  batch_slot, // sync/run.cc
  admission,  // a file's share of open files and of the buffer budget (sync/admission.h), or its turn to be compared
  handle,     // an open file of an SFTP session
  file_turn,  // the room of a file's streams, its reads, its writes
  request,    // a connection of an object store's client
};

namespace detail {

#ifndef NDEBUG

class LockOrder {
public:
  bool may_wait_for(LockRank rank) const {
    if (rank <= inherited_) return rank == LockRank::none;
    for (std::size_t held = static_cast<std::size_t>(rank); held < held_.size(); ++held)
      if (held_[held] != 0) return false;
    return true;
  }
  LockRank highest() const {
    for (std::size_t rank = held_.size() - 1; rank > static_cast<std::size_t>(inherited_); --rank)
      if (held_[rank] != 0) return static_cast<LockRank>(rank);
    return inherited_;
  }

  // Of the chain that runs. Null outside of one.
  static std::shared_ptr<LockOrder>& present() {
    thread_local std::shared_ptr<LockOrder> order;
    return order;
  }

private:
  friend class LockChain;
  friend class HeldRank;
  std::array<std::uint32_t, static_cast<std::size_t>(LockRank::request) + 1> held_{};
  LockRank inherited_ = LockRank::none;
};

inline void assert_may_wait_for(LockRank rank) {
  const auto& order = LockOrder::present();
  assert((!order || order->may_wait_for(rank)) && "waits for a permit against the lock order");
}

// A new chain runs on the stack of the one that starts it, until it suspends or ends.
class LockChain {
public:
  enum class Of : bool { nobody, present };
  explicit LockChain(Of parent) : outer_(std::exchange(LockOrder::present(), std::make_shared<LockOrder>())) {
    if (parent == Of::present && outer_) LockOrder::present()->inherited_ = outer_->highest();
  }
  LockChain(const LockChain&) = delete;
  LockChain& operator=(const LockChain&) = delete;
  ~LockChain() { LockOrder::present() = std::move(outer_); }

private:
  std::shared_ptr<LockOrder> outer_;
};

// One entry in a chain's record. Moving it ends the entry: what leaves the coroutine that took it, into an object or
// to another chain, is held by whoever enters it again.
class HeldRank {
public:
  HeldRank() = default;
  explicit HeldRank(LockRank rank) : rank_(rank) { enter(); }
  HeldRank(HeldRank&& other) noexcept : rank_(other.rank_) { other.leave(); }
  HeldRank& operator=(HeldRank&& other) noexcept {
    leave();
    rank_ = other.rank_;
    other.leave();
    return *this;
  }
  ~HeldRank() { leave(); }
  void enter() {
    leave();
    if (rank_ != LockRank::none) order_ = LockOrder::present();
    if (order_) ++order_->held_[static_cast<std::size_t>(rank_)];
  }
  void leave() {
    if (auto order = std::exchange(order_, nullptr)) --order->held_[static_cast<std::size_t>(rank_)];
  }

private:
  std::shared_ptr<LockOrder> order_; // null: not entered
  LockRank rank_ = LockRank::none;
};

// A suspended coroutine and its chain's record. Made when it suspends.
class Suspended {
public:
  Suspended() = default;
  Suspended(std::coroutine_handle<> handle) : handle_(handle), order_(LockOrder::present()) {} // NOLINT: implicit
  std::coroutine_handle<> handle() const { return handle_; }
  explicit operator bool() const { return static_cast<bool>(handle_); }
  void resume() {
    LockOrder::present() = std::move(order_);
    handle_.resume();
    LockOrder::present().reset();
  }

private:
  std::coroutine_handle<> handle_;
  std::shared_ptr<LockOrder> order_;
};

#else

inline void assert_may_wait_for(LockRank) {}

class LockChain {
public:
  enum class Of : bool { nobody, present };
  explicit LockChain(Of) {}
  ~LockChain() {} // NOLINT: a variable of this type is used
};

class HeldRank {
public:
  HeldRank() = default;
  explicit HeldRank(LockRank) {}
  void enter() {}
  void leave() {}
};

class Suspended {
public:
  Suspended() = default;
  Suspended(std::coroutine_handle<> handle) : handle_(handle) {} // NOLINT: implicit
  std::coroutine_handle<> handle() const { return handle_; }
  explicit operator bool() const { return static_cast<bool>(handle_); }
  void resume() { handle_.resume(); }

private:
  std::coroutine_handle<> handle_;
};

#endif

} // namespace detail
} // namespace checkvalve
