// DirectoryMaker: makes each directory at the target once, however many files wait for it. Engine thread only.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>

#include "backends/target.h"
#include "core/async.h"

namespace checkvalve {

class DirectoryMaker {
public:
  explicit DirectoryMaker(Target& target) : target_(target) {}

  // Succeeds once the directory and its parents exist. A failure goes to all waiters; the next caller tries again.
  Task<Result<void>> ensure(std::string path) {
    if (made_.size() > max_remembered) made_.clear();
    auto known = made_.find(path);
    if (known != made_.end()) {
      const std::shared_ptr<Making> making = known->second;
      co_await making->done;
      co_return making->outcome;
    }
    const auto making = std::make_shared<Making>();
    made_.emplace(path, making);
    making->outcome = co_await target_.make_directory(path, std::nullopt);
    if (!making->outcome) made_.erase(path);
    making->done.set();
    co_return making->outcome;
  }

  // For a file that found its directory missing: someone removed one, so none is trusted any more.
  void forget() {
    std::erase_if(made_, [](const auto& entry) { return entry.second->done.is_set(); });
  }

private:
  struct Making {
    OneShotEvent done;
    Result<void> outcome;
  };
  static constexpr std::size_t max_remembered = 20'000; // directories; about 2 MiB of names
  Target& target_;
  std::unordered_map<std::string, std::shared_ptr<Making>> made_;
};

} // namespace checkvalve
