#include "transforms/text/line_stage.h"

#include <fmt/format.h>

namespace checkvalve {

Result<void> LineStage::push(Chunk& in, Emit& out) {
  while (!in.empty() && !out.full()) {
    const std::string_view text = in.text();
    const std::size_t newline = text.find('\n');
    const std::size_t length = newline == text.npos ? text.size() : newline + 1;
    if (begun_.size() + length > max_line_bytes_ + 2)
      return transform_failure(fmt::format("line {} is longer than max_line={} bytes", lines_ + 1, max_line_bytes_));
    if (newline == text.npos) {
      begun_ += text;
    } else if (begun_.empty()) {
      CV_CHECK(whole_line(text.substr(0, length), out));
    } else {
      begun_ += text.substr(0, length);
      CV_CHECK(whole_line(begun_, out));
      begun_.clear();
    }
    in.narrow(length, in.size() - length);
  }
  return {};
}

Result<bool> LineStage::finish(Emit& out) {
  if (!begun_.empty()) CV_CHECK(whole_line(std::exchange(begun_, {}), out));
  return end(out);
}

Result<void> LineStage::whole_line(std::string_view with_ending, Emit& out) {
  ++lines_;
  std::size_t length = with_ending.size();
  if (with_ending.ends_with('\n')) --length;
  if (length != with_ending.size() && length != 0 && with_ending[length - 1] == '\r') --length;
  return line(with_ending.substr(0, length), with_ending.substr(length), out);
}

} // namespace checkvalve
