// Runs a chain in tests: any split of the input, any rhythm of taking the output.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "support/run.h"
#include "transforms/chain.h"

namespace checkvalve::testing_support {

inline Result<Chain> chain_of(std::vector<std::string> texts) {
  std::vector<TransformCall> calls;
  for (const std::string& text : texts) {
    CV_TRY(TransformCall call, parse_transform_call(text));
    calls.push_back(std::move(call));
  }
  return Chain::make(calls);
}

struct ChainOutput {
  std::string bytes;                        // of the file itself
  std::map<std::string, std::string> sides; // parts and side files, by path
  std::string checksum;                     // for the target's list
  std::size_t max_at_once = 0;              // bytes that one take_output() gave
};

// `next_size(left)`: how many bytes to feed next.
inline Result<ChainOutput> run_chain(const Chain& chain, std::string_view input,
                                     const std::function<std::size_t(std::size_t)>& next_size,
                                     std::string path = "directory/file.csv") {
  const auto renamed = chain.renamed(path);
  if (!renamed) return Failure(renamed.error());
  CV_TRY(const std::unique_ptr<ChainRun> run, chain.start({path, *renamed, input.size()}, 64 * 1024));
  ChainOutput output;
  std::map<std::size_t, std::string> paths;
  auto state = ChainRun::State::wants_input;
  while (state != ChainRun::State::done) {
    if (state == ChainRun::State::wants_input) {
      if (input.empty()) {
        run->end_input();
      } else {
        const std::size_t size = std::min(std::max<std::size_t>(next_size(input.size()), 1), input.size());
        run->feed(Chunk::copy_of(input.substr(0, size)));
        input.remove_prefix(size);
      }
    }
    CV_TRY(state, run->work());
    std::size_t at_once = 0;
    for (const ChainPiece& piece : run->take_output()) {
      if (!piece.path.empty()) paths[piece.output] = piece.path;
      (piece.output == 0 ? output.bytes : output.sides[paths.at(piece.output)]) += piece.chunk.text();
      at_once += piece.chunk.size();
    }
    output.max_at_once = std::max(output.max_at_once, at_once);
  }
  output.checksum = run->checksum();
  return output;
}

inline Result<ChainOutput> run_chain(const Chain& chain, std::string_view input) {
  return run_chain(chain, input, [](std::size_t) { return std::size_t{256 * 1024}; });
}

// What the transforms make of the text, or "error: MESSAGE".
inline std::string transformed(std::vector<std::string> texts, std::string_view input) {
  const auto chain = chain_of(std::move(texts));
  if (!chain) return "config: " + chain.error().message;
  auto output = run_chain(*chain, input);
  return output ? output->bytes : "error: " + output.error().message;
}

} // namespace checkvalve::testing_support
