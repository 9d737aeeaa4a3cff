// SpaceTurns: what was begun is finished first when the target has no space left. Files that are written side by side
// share what is left of a disk, and each could fail for want of what the others hold.
#pragma once

#include <deque>
#include <memory>
#include <utility>

#include "core/async.h"

namespace checkvalve {

// Counts the transfers that write to one target. One that meets a full disk gives its space back and takes a turn: it
// waits until those under way have ended, and is tried once more, alone; meanwhile no further file is begun. Engine
// thread only.
class SpaceTurns {
public:
  // A transfer that writes, from its beginning to its end.
  class [[nodiscard]] UnderWay {
  public:
    explicit UnderWay(SpaceTurns& turns) : turns_(turns) { ++turns_.under_way_; }
    UnderWay(const UnderWay&) = delete;
    UnderWay& operator=(const UnderWay&) = delete;
    ~UnderWay() { turns_.ended(); }

  private:
    SpaceTurns& turns_;
  };

  // Waits while transfers take turns. A cancellation ends the wait.
  Task<void> may_begin(CancellationToken token) {
    while (taking_turns_ && !token.requested()) {
      const auto over = over_;
      co_await over->wait(token);
    }
  }

  // The transfer that calls is the only one: nobody else holds space that might be given back.
  bool is_alone() const { return under_way_ == 1 && !taking_turns_; }

  // Called by a transfer under way, which holds nothing at the target. False: cancelled.
  Task<bool> take_turn(CancellationToken token) {
    if (!std::exchange(taking_turns_, true)) over_ = std::make_shared<OneShotEvent>();
    OneShotEvent turn;
    waiting_.push_back(&turn);
    ended();
    const bool mine = co_await turn.wait(token);
    if (!mine) {
      std::erase(waiting_, &turn);
      ++under_way_; // whose end is still to come
    }
    co_return mine;
  }

private:
  void ended() {
    if (--under_way_ != 0 || !taking_turns_) return;
    if (waiting_.empty()) {
      taking_turns_ = false;
      return over_->set();
    }
    ++under_way_;
    waiting_.front()->set();
    waiting_.pop_front();
  }

  std::uint32_t under_way_ = 0;
  bool taking_turns_ = false;
  std::shared_ptr<OneShotEvent> over_; // set when all have had their turns
  std::deque<OneShotEvent*> waiting_;
};

} // namespace checkvalve
