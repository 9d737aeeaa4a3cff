// A secret: a string that no formatter prints and that is wiped when dropped.
#pragma once

#include <string>
#include <string_view>
#include <utility>

namespace checkvalve {

class Secret {
public:
  Secret() = default;
  explicit Secret(std::string value) : value_(std::move(value)) {}
  Secret(const Secret&) = default;
  Secret(Secret&& other) noexcept : value_(std::move(other.value_)) { other.wipe(); }
  Secret& operator=(const Secret& other) {
    if (this != &other) {
      wipe();
      value_ = other.value_;
    }
    return *this;
  }
  Secret& operator=(Secret&& other) noexcept {
    if (this != &other) {
      wipe();
      value_ = std::move(other.value_);
      other.wipe();
    }
    return *this;
  }
  ~Secret() { wipe(); }

  // The only way to the value: grep for reveal() to see each use.
  const std::string& reveal() const { return value_; }
  bool empty() const { return value_.empty(); }

private:
  void wipe() {
    for (volatile char& c : value_) c = 0;
    value_.clear();
  }
  std::string value_;
};

} // namespace checkvalve
