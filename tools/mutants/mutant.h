// What the sources that ./dev mutants changes ask: is this mutant chosen? All mutants are compiled into one program;
// MUTANT names the one that is active, by number, and none is without it. MUTANTS_REACHED names a file in which byte N
// is set as soon as mutant N is asked for, by any process: it is mapped, so it survives what kills the process.
#pragma once
#pragma GCC system_header // instantiated for operands of any types, as their own comparison would be

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <utility>

namespace checkvalve::mutants {

inline constexpr int max_mutants = 4096;

class Settings {
public:
  Settings() {
    if (const char* chosen = std::getenv("MUTANT")) chosen_ = std::atoi(chosen);
    const char* path = std::getenv("MUTANTS_REACHED");
    const int file = path == nullptr ? -1 : ::open(path, O_RDWR | O_CLOEXEC);
    if (file < 0) return;
    void* mapped = ::mmap(nullptr, max_mutants, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    ::close(file);
    if (mapped != MAP_FAILED) reached = static_cast<unsigned char*>(mapped);
  }

  bool ask(int number) const {
    if (reached != nullptr) reached[number] = 1;
    return number == chosen_;
  }

  unsigned char* reached = nullptr;

private:
  int chosen_ = -1;
};

inline const Settings& settings() {
  static const Settings settings;
  return settings;
}

constexpr bool chosen(int number) {
  if consteval {
    return false;
  } else {
    return settings().ask(number);
  }
}

// `a == b` becomes `a == Equal<N>() == b`, which parses the same way whatever a and b are.
#define CHECKVALVE_MUTANT_OF_COMPARISON(name, op, changed)                                                             \
  template <int number> struct name {};                                                                                \
  template <class Left, int number> struct name##Left {                                                                \
    Left&& left;                                                                                                       \
  };                                                                                                                   \
  template <class Left, int number> constexpr name##Left<Left, number> operator op(Left && left, name<number>) {       \
    return {std::forward<Left>(left)};                                                                                 \
  }                                                                                                                    \
  template <class Left, int number, class Right>                                                                       \
  constexpr bool operator op(name##Left<Left, number> half, Right&& right) {                                           \
    return chosen(number) ? static_cast<bool>(half.left changed right) : static_cast<bool>(half.left op right);        \
  }

CHECKVALVE_MUTANT_OF_COMPARISON(Equal, ==, !=)
CHECKVALVE_MUTANT_OF_COMPARISON(Unequal, !=, ==)
CHECKVALVE_MUTANT_OF_COMPARISON(Less, <, <=)
CHECKVALVE_MUTANT_OF_COMPARISON(Greater, >, >=)
CHECKVALVE_MUTANT_OF_COMPARISON(LessEqual, <=, <)
CHECKVALVE_MUTANT_OF_COMPARISON(GreaterEqual, >=, >)
#undef CHECKVALVE_MUTANT_OF_COMPARISON

} // namespace checkvalve::mutants
