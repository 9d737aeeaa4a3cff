// What all compressors and decompressors share: a library's step function as a stage, limits on what may come out, and
// names with suffixes.
#pragma once

#include <span>

#include "transforms/transform.h"

namespace checkvalve {

// One call of a library's step function.
struct CodecStep {
  std::size_t taken = 0; // bytes of input
  std::size_t made = 0;  // bytes of output
  bool ended = false;    // with `last`: all output is made
};

class Codec {
public:
  virtual ~Codec() = default;
  // `last`: there is no more input. Consumes and produces as much as it can; otherwise reports which of the two it
  // needs.
  virtual Result<CodecStep> step(std::span<const std::byte> in, std::span<std::byte> out, bool last) = 0;
};

// What a decompressor may make of its input; a bomb is refused. 0: no limit.
struct ExpansionLimits {
  std::uint64_t max_ratio = 0;
  std::uint64_t max_size_bytes = 0;
  static constexpr std::uint64_t free_bytes = 16 << 20; // the ratio counts beyond this much output

  static ExpansionLimits read(const OptionValues& options) {
    return {options.number("max_ratio"), options.number("max_size")};
  }
  Result<void> check(std::uint64_t taken_bytes, std::uint64_t made_bytes) const;
};

// For the descriptors of all decompressors.
inline constexpr OptionSpec max_ratio_option = {
    "max_ratio", OptionType::integer, "500",
    "fail a file that expands by more than this factor (after the first 16 MiB of output); 0: no limit"};
inline constexpr OptionSpec max_size_option = {"max_size", OptionType::size, "0",
                                               "fail a file whose output is larger than this; 0: no limit"};

class CodecStage : public Stage {
public:
  CodecStage(std::unique_ptr<Codec> codec, ExpansionLimits limits) : codec_(std::move(codec)), limits_(limits) {}
  Result<void> push(Chunk& in, Emit& out) override;
  Result<bool> finish(Emit& out) override;

private:
  Result<CodecStep> step(std::span<const std::byte> in, Emit& out, bool last);

  std::unique_ptr<Codec> codec_;
  const ExpansionLimits limits_;
  std::uint64_t taken_bytes_ = 0;
  std::uint64_t made_bytes_ = 0;
};

// "a.csv.gz" → "a.csv"; a name without one of the suffixes is kept. Each pair: suffix, replacement.
struct SuffixRule {
  std::string_view suffix;
  std::string_view replacement;
};
std::string strip_suffix(std::string_view name, std::span<const SuffixRule> rules);

} // namespace checkvalve
