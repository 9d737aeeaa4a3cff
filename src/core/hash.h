// XXH3 (128 bit), the engine's own digest: it finds errors, it does not defend against forgery.
#pragma once

#include <memory>
#include <span>
#include <string>

namespace checkvalve {

class Hasher {
public:
  Hasher();
  ~Hasher();
  Hasher(Hasher&&) noexcept;
  Hasher& operator=(Hasher&&) noexcept;
  void update(std::span<const std::byte> bytes);
  // "xxh128:" and 32 hexadecimal digits of all bytes so far.
  std::string digest() const;

private:
  struct State;
  std::unique_ptr<State> state_;
};

} // namespace checkvalve
