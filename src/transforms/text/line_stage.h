// LineStage: for stages that work line by line. A line ends with LF; a CR before it counts to the ending. The last line
// may have no ending.
#pragma once

#include <string>

#include "transforms/transform.h"

namespace checkvalve {

inline constexpr OptionSpec max_line_option = {"max_line", OptionType::size, "1MiB",
                                               "maximum length of a line; each file in flight uses as much memory"};

class LineStage : public Stage {
public:
  explicit LineStage(std::uint64_t max_line_bytes) : max_line_bytes_(max_line_bytes) {}
  Result<void> push(Chunk& in, Emit& out) final;
  Result<bool> finish(Emit& out) final;

protected:
  // `ending`: "\n", "\r\n" or, for the last line, "".
  virtual Result<void> line(std::string_view text, std::string_view ending, Emit& out) = 0;
  // After the last line. False: `out` is full, call again.
  virtual Result<bool> end(Emit&) { return true; }
  // The number, from 1, of the line that line() was last given.
  std::uint64_t line_number() const { return lines_; }
  std::uint64_t max_line_bytes() const { return max_line_bytes_; }

private:
  Result<void> whole_line(std::string_view with_ending, Emit& out);

  const std::uint64_t max_line_bytes_;
  std::uint64_t lines_ = 0;
  std::string begun_; // a line whose end has not come yet
};

} // namespace checkvalve
