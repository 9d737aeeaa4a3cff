// Faults: a decorator that makes chosen calls fail, stall or lose the connection, as a test planned it.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backends/source.h"
#include "backends/target.h"
#include "core/async.h"
#include "decorators/operation.h"

namespace checkvalve {

// What goes wrong. Engine thread only; shared by the decorator and the test that drives it.
class FaultPlan {
public:
  // The `nth` call of this operation from now on (from 1), and the `times - 1` after it, fail without being made.
  void fail(Operation operation, std::uint32_t nth, Error error, std::uint32_t times = 1);
  // The same, but the call is made and its answer lost, as when a connection breaks after the server did the work.
  void lose_answer(Operation operation, std::uint32_t nth, Error error);
  // The nth call never ends, until release().
  void stall(Operation operation, std::uint32_t nth);
  // From the nth call on, as if the connection broke: it and all calls under way, and all later ones on files and
  // listings opened before, fail with a transient connection error. New calls find a new connection.
  void drop_connection(Operation operation, std::uint32_t nth);
  // Lets stalled calls end, with ErrorKind::interrupted. Within Loop::run only.
  void release();

  std::uint32_t calls(Operation operation) const { return calls_[static_cast<std::size_t>(operation)]; }

  // For the decorator.
  enum class Action : std::uint8_t { fail, lose_answer, stall, drop };
  struct Fault {
    Operation operation;
    std::uint32_t first = 0; // number of the call, from 1
    std::uint32_t last = 0;
    Action action;
    std::optional<Error> error;
  };
  std::optional<Fault> count_call(Operation operation);
  std::uint64_t connection() const { return connection_; } // rises when one is dropped
  std::shared_ptr<OneShotEvent> released() const { return released_; }

private:
  void add(Operation operation, std::uint32_t nth, std::uint32_t times, Action action, std::optional<Error> error);
  std::array<std::uint32_t, static_cast<std::size_t>(Operation::server_side_checksum) + 1> calls_{};
  std::vector<Fault> faults_;
  std::uint64_t connection_ = 0;
  std::shared_ptr<OneShotEvent> released_ = std::make_shared<OneShotEvent>();
};

std::unique_ptr<Source> with_faults(std::shared_ptr<Source> inner, std::shared_ptr<FaultPlan> plan);
std::unique_ptr<Target> with_faults(std::shared_ptr<Target> inner, std::shared_ptr<FaultPlan> plan);

} // namespace checkvalve
