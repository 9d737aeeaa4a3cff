// Transforms: what comes out, or the error, does not depend on how the input is cut into chunks.
#include "fuzz/target.h"
#include "transforms/chain.h"

using namespace checkvalve;

namespace {

constexpr const char* calls[] = {"gunzip",       "unzstd",
                                 "bunzip2",      "unxz",
                                 "csv to=jsonl", "lines skip_tail=1",
                                 "gzip level=1", "redact pattern='[0-9-]{13,}'"};

struct Output {
  bool failed = false;
  std::string bytes;
};

Output run(const Chain& chain, std::string_view text, std::size_t piece_bytes) {
  Output output;
  auto started = chain.start({"a", "a", text.size()}, 64 * 1024);
  if (!started) return {true, {}};
  ChainRun& chain_run = **started;
  for (bool ended = false;;) {
    const auto state = chain_run.work();
    if (!state) return {true, {}};
    for (const ChainPiece& piece : chain_run.take_output())
      if (piece.output == 0) output.bytes += piece.chunk.text();
    if (*state == ChainRun::State::done) return output;
    if (*state != ChainRun::State::wants_input || ended) continue;
    const std::string_view piece = text.substr(0, piece_bytes);
    text.remove_prefix(piece.size());
    if (piece.empty()) {
      chain_run.end_input();
      ended = true;
      continue;
    }
    chain_run.feed(Chunk::copy_of(piece));
  }
}

} // namespace

CV_FUZZ_TARGET(chunking) {
  const auto call = parse_transform_call(calls[input.byte() % std::size(calls)]);
  if (!call) return;
  const auto chain = Chain::make(std::span(&*call, 1));
  if (!chain) return;
  const std::size_t piece_bytes = input.byte() + std::size_t{1};
  const Output whole = run(*chain, input.rest(), 1 << 20);
  const Output pieces = run(*chain, input.rest(), piece_bytes);
  fuzz::require(whole.failed == pieces.failed, "whether it fails depends on the chunks");
  fuzz::require(whole.failed || whole.bytes == pieces.bytes, "the output depends on the chunks");
}
