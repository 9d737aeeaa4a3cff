// What each fuzz target is: a function of bytes that a peer, a file or a user may send. Broken invariants end the
// program.
//
// With CHECKVALVE_FUZZ each file becomes a libFuzzer program (./dev fuzz); without, fuzz_test runs all inputs of
// tests/fuzz/corpus/NAME through it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>

namespace checkvalve::fuzz {

inline void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "broken: %s\n", what);
  std::abort();
}

// Takes an input apart, from its begin.
class Input {
public:
  Input(const std::uint8_t* data, std::size_t size) : rest_(reinterpret_cast<const char*>(data), size) {}
  std::uint8_t byte() {
    if (rest_.empty()) return 0;
    const auto value = static_cast<std::uint8_t>(rest_.front());
    rest_.remove_prefix(1);
    return value;
  }
  // Up to the next line feed, which is removed.
  std::string_view line() {
    const auto end = rest_.find('\n');
    const std::string_view text = rest_.substr(0, end);
    rest_.remove_prefix(end == rest_.npos ? rest_.size() : end + 1);
    return text;
  }
  std::string_view rest() const { return rest_; }
  std::span<const std::byte> bytes() const { return std::as_bytes(std::span(rest_)); }

private:
  std::string_view rest_;
};

} // namespace checkvalve::fuzz

#ifdef CHECKVALVE_FUZZ
#define CV_FUZZ_TARGET(name)                                                                                           \
  static void fuzz_##name(checkvalve::fuzz::Input input);                                                              \
  extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {                                  \
    fuzz_##name({data, size});                                                                                         \
    return 0;                                                                                                          \
  }                                                                                                                    \
  static void fuzz_##name([[maybe_unused]] checkvalve::fuzz::Input input)
#else
#define CV_FUZZ_TARGET(name) void fuzz_##name([[maybe_unused]] checkvalve::fuzz::Input input)
#endif
