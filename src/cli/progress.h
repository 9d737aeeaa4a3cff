// Progress on standard error: a bar that is redrawn in place on a terminal, or a line now and then elsewhere.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "cli/tracker.h"

namespace checkvalve {

struct ProgressStyle {
  std::size_t width = 80; // columns
  bool utf8 = true;
  bool color = false;
};

// The lines of the bar, each at most `width` columns wide (escape sequences of colours not counted).
std::vector<std::string> render_progress(const ProgressView& view, const ProgressStyle& style);
// One plain line for logs.
std::string render_progress_line(const ProgressView& view);
// Cuts the middle out of `text` so that it takes at most `columns` columns.
std::string fit(std::string_view text, std::size_t columns, bool utf8);
std::size_t display_columns(std::string_view text);

enum class ProgressMode { none, bar, lines };
// Chooses by --progress, by whether standard error is a terminal, and by TERM.
ProgressMode choose_progress(std::string_view wanted);

class Progress {
public:
  explicit Progress(ProgressMode mode) : mode_(mode) {}
  ~Progress() { clear(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  ProgressMode mode() const { return mode_; }
  // Redraws the bar if 100 ms went by since the last time, or writes a line if 10 s did.
  void update(Tracker& tracker, std::int64_t now_ms);
  // Writes a line to standard error above the bar.
  void message(std::string_view line);
  // Takes the bar away.
  void clear();

private:
  ProgressMode mode_;
  std::size_t lines_drawn_ = 0;
  std::int64_t last_ms_ = 0;
};

} // namespace checkvalve
