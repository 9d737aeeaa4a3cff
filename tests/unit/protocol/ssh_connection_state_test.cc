// What an SSH connection's thread hands over, and when the engine thread hears of it.
#include "protocol/ssh_connection_state.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

namespace checkvalve {
namespace {

using std::chrono::hours;

// Notes what it is given; the end of the connection sets the event.
class Recorder : public SftpTransport::Receiver {
public:
  void on_frames(std::vector<Chunk> frames) override {
    for (const Chunk& frame : frames) heard += frame.text();
  }
  void on_closed(Error error) override {
    heard += "|" + error.message;
    closed.set();
  }
  std::string heard;
  OneShotEvent closed;
};

void deliver(SshConnectionState& state, std::string_view text) {
  std::vector<Chunk> frames;
  frames.push_back(Chunk::copy_of(text));
  state.deliver(frames, text.size());
}

void end(SshConnectionState& state) { state.end(make_error(ErrorKind::connection, "gone")); }

Task<std::string> reported(std::shared_ptr<SshConnectionState> state, void (*before)(SshConnectionState&),
                           void (*after)(SshConnectionState&)) {
  Recorder recorder;
  std::thread(before, std::ref(*state)).join();
  co_await Loop::current()->sleep(std::chrono::milliseconds(0)); // reports to nobody
  state->set_receiver(&recorder);
  std::thread(after, std::ref(*state)).join();
  co_await recorder.closed;
  state->set_receiver(nullptr);
  co_return recorder.heard;
}

TEST(SshConnectionState, ReportsWhatCameBeforeTheReceiver) {
  const auto nothing = [](SshConnectionState&) {};
  const auto frame_and_end = [](SshConnectionState& state) {
    deliver(state, "a");
    end(state);
  };
  const struct {
    std::string_view name;
    void (*before)(SshConnectionState&);
    void (*after)(SshConnectionState&);
    std::string_view heard;
  } cases[] = {
      {"all after", nothing, frame_and_end, "a|gone"},
      {"all before", frame_and_end, nothing, "a|gone"},
      {"the end before", end, nothing, "|gone"},
      {"a frame before, the end after", [](SshConnectionState& state) { deliver(state, "a"); }, end, "a|gone"},
  };
  for (const auto& one : cases) {
    Loop loop;
    const auto state = std::make_shared<SshConnectionState>(loop);
    EXPECT_EQ(loop.run(reported(state, one.before, one.after)), one.heard) << one.name;
    state->leave_loop();
  }
}

Task<bool> wait_for_end(std::shared_ptr<SshConnectionState> state, bool before) {
  std::thread other;
  if (before) end(*state);
  if (!before) other = std::thread(end, std::ref(*state));
  const bool waited = !state->ended() && co_await state->before_end.wait(hours(1));
  if (other.joinable()) other.join();
  co_return waited || state->ended();
}

TEST(SshConnectionState, TheEndCutsTheWaitForItShort) {
  for (const bool before : {true, false}) {
    Loop loop;
    const auto state = std::make_shared<SshConnectionState>(loop);
    EXPECT_TRUE(loop.run(wait_for_end(state, before)));
    state->leave_loop();
  }
}

TEST(SshConnectionState, PostsNothingAfterItLeftTheLoop) {
  const auto state = [] {
    Loop loop;
    auto made = std::make_shared<SshConnectionState>(loop);
    made->leave_loop();
    return made;
  }();
  end(*state);
  state->post([] { FAIL() << "ran without a loop"; });
  EXPECT_TRUE(state->ended());
}

TEST(SshConnectionState, AStopEndsTheSocketWhicheverComesFirst) {
  for (const bool stop_first : {false, true}) {
    Loop loop;
    const auto state = std::make_shared<SshConnectionState>(loop);
    int ends[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    if (stop_first) state->stop();
    state->set_socket(ends[0]);
    if (!stop_first) state->stop();
    char byte = 0;
    EXPECT_EQ(::read(ends[1], &byte, 1), 0) << stop_first; // the end of the stream, not EAGAIN
    state->set_socket(-1);
    for (const int fd : ends) ::close(fd);
  }
}

} // namespace
} // namespace checkvalve
