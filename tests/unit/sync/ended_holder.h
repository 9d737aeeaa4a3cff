// The holder's name of a process that was real and has ended.
#pragma once

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <string>

#include "sync/holder.h"

namespace checkvalve::testing_support {

// `reaped`: false leaves it a zombie, as a killed run is whose parent has not looked yet.
inline std::string ended_holder(bool reaped = true) {
  int pipe_ends[2];
  EXPECT_EQ(::pipe(pipe_ends), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const std::string name = this_holder();
    [[maybe_unused]] auto written = ::write(pipe_ends[1], name.data(), name.size());
    ::_exit(0);
  }
  ::close(pipe_ends[1]);
  char text[512];
  const ssize_t length = ::read(pipe_ends[0], text, sizeof text);
  ::close(pipe_ends[0]);
  siginfo_t ended;
  ::waitid(P_PID, static_cast<id_t>(child), &ended, WEXITED | (reaped ? 0 : WNOWAIT));
  return {text, static_cast<std::size_t>(std::max<ssize_t>(length, 0))};
}

} // namespace checkvalve::testing_support
