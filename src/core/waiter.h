// What all waits are made of: a place in an intrusive list that lies in the waiting coroutine's frame. Waiting
// allocates nothing, and destroying a coroutine that waits takes it out of whatever it waits for. Engine thread only.
#pragma once

#include <coroutine>
#include <utility>

#include "core/lock_order.h"

namespace checkvalve {

class Cancellation;
class CancellationToken;
class Loop;

namespace detail {

// A node, or the head, of a ring. A node leaves its ring when it is destroyed; a head may go before its nodes.
class ListNode {
public:
  ListNode() = default;
  ListNode(const ListNode&) = delete;
  ListNode& operator=(const ListNode&) = delete;
  ~ListNode() { unlink(); }
  bool linked() const { return next_ != this; } // of a head: the list is not empty
  ListNode* next() { return next_; }
  ListNode* previous() { return previous_; }
  // Before this node; before the head: at the end of the list. The node is in no list.
  void insert_before(ListNode& position) {
    previous_ = position.previous_;
    next_ = &position;
    previous_->next_ = this;
    position.previous_ = this;
  }
  void unlink() {
    previous_->next_ = next_;
    next_->previous_ = previous_;
    previous_ = next_ = this;
  }

private:
  ListNode* previous_ = this;
  ListNode* next_ = this;
};

// A suspended coroutine: in the list of what it waits for and, with a token, of the cancellation. wake() and the
// cancellation hand it to the loop, which resumes it after whatever runs at the moment has suspended.
class Waiter : public ListNode {
public:
  virtual ~Waiter();
  // It leaves both lists.
  void wake();

protected:
  explicit Waiter(const CancellationToken& token);
  // From await_suspend, after or before the waiter was put into the list of what it waits for.
  void suspended(std::coroutine_handle<> handle);
  // From await_resume: false if the wait was cancelled.
  bool resumed() {
    ready_ = false;
    return !cancelled_;
  }
  bool ready() const { return ready_; } // handed to the loop, not resumed yet
  // From await_ready: true if the token was cancelled already, so that there is nothing to wait for.
  bool cancelled_before();
  // The wait was cancelled: the waiter is in no list any more.
  virtual void cancelled() {}

private:
  friend class checkvalve::Cancellation;
  struct CancelNode : ListNode {
    explicit CancelNode(Waiter& its_waiter) : waiter(its_waiter) {}
    Waiter& waiter;
  };
  void cancel();

  CancelNode in_cancellation_{*this};
  Cancellation* cancellation_; // null: can't be cancelled
  Suspended suspended_;
  Loop* loop_ = nullptr; // while ready
  bool ready_ = false;
  bool cancelled_ = false;
};

} // namespace detail
} // namespace checkvalve
