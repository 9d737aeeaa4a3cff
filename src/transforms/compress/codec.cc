#include "transforms/compress/codec.h"

#include <fmt/format.h>

#include "core/units.h"

namespace checkvalve {

Result<void> ExpansionLimits::check(std::uint64_t taken_bytes, std::uint64_t made_bytes) const {
  if (max_size_bytes != 0 && made_bytes > max_size_bytes)
    return transform_failure(
        fmt::format("the output exceeds max_size={1} bytes at input byte {0}", taken_bytes, max_size_bytes));
  if (max_ratio != 0 && made_bytes > free_bytes && made_bytes / max_ratio > taken_bytes)
    return transform_failure(fmt::format("{} of input expanded to {}, more than max_ratio={} times as much: "
                                         "possibly a decompression bomb; raise max_ratio to accept it",
                                         format_size(taken_bytes), format_size(made_bytes), max_ratio));
  return {};
}

Result<void> CodecStage::push(Chunk& in, Emit& out) {
  while (!out.full()) {
    const std::size_t room = out.room().size();
    CV_TRY(const CodecStep done, step(in.bytes(), out, false));
    in.narrow(done.taken, in.size() - done.taken);
    if (in.empty() && done.made < room) break; // else the library may hold output that did not fit
  }
  return {};
}

Result<bool> CodecStage::finish(Emit& out) {
  while (!out.full()) {
    CV_TRY(const CodecStep done, step({}, out, true));
    if (done.ended) return true;
  }
  return false;
}

Result<CodecStep> CodecStage::step(std::span<const std::byte> in, Emit& out, bool last) {
  CV_TRY(const CodecStep done, codec_->step(in, out.room(), last));
  out.advance(done.made);
  taken_bytes_ += done.taken;
  made_bytes_ += done.made;
  CV_CHECK(limits_.check(taken_bytes_, made_bytes_));
  return done;
}

std::string strip_suffix(std::string_view name, std::span<const SuffixRule> rules) {
  for (const SuffixRule& rule : rules)
    if (name.size() > rule.suffix.size() && name.ends_with(rule.suffix))
      return std::string(name.substr(0, name.size() - rule.suffix.size())) + std::string(rule.replacement);
  return std::string(name);
}

} // namespace checkvalve
