#include "protocol/ssh_connection_state.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <algorithm>
#include <utility>

namespace checkvalve {

SshConnectionState::Orders SshConnectionState::take_orders(std::deque<OutSegment>& queue) {
  std::lock_guard lock(mutex_);
  std::ranges::move(outgoing_, std::back_inserter(queue));
  outgoing_.clear();
  return {stop_, say_goodbye_, inbox_bytes_ >= inbox_limit_bytes};
}

bool SshConnectionState::fall_asleep() {
  std::lock_guard lock(mutex_);
  asleep_ = outgoing_.empty() && !stop_ && !say_goodbye_;
  return asleep_;
}

void SshConnectionState::wake_up() {
  std::lock_guard lock(mutex_);
  asleep_ = false;
}

bool SshConnectionState::stopping() {
  std::lock_guard lock(mutex_);
  return stop_;
}

void SshConnectionState::deliver(std::vector<Chunk>& frames, std::size_t bytes) {
  std::lock_guard lock(mutex_);
  if (inbox_.empty())
    inbox_.swap(frames);
  else
    std::ranges::move(frames, std::back_inserter(inbox_));
  inbox_bytes_ += bytes;
  post_report_locked();
}

void SshConnectionState::end(Error why) {
  std::lock_guard lock(mutex_);
  ended_ = std::move(why);
  post_report_locked();
}

void SshConnectionState::post(std::function<void()> fn) {
  std::lock_guard lock(mutex_);
  if (loop_) loop_->post(std::move(fn));
}

void SshConnectionState::set_socket(int fd) {
  std::lock_guard lock(mutex_);
  if (socket_ >= 0) ::close(socket_);
  socket_ = fd < 0 ? -1 : ::fcntl(fd, F_DUPFD_CLOEXEC, 0);
  if (stop_ && socket_ >= 0) ::shutdown(socket_, SHUT_RDWR); // stop() came before there was one
}

void SshConnectionState::send(std::vector<OutSegment> segments) {
  std::lock_guard lock(mutex_);
  std::ranges::move(segments, std::back_inserter(outgoing_));
  if (std::exchange(asleep_, false)) wake();
}

void SshConnectionState::stop() {
  std::lock_guard lock(mutex_);
  stop_ = true;
  wake();
  if (socket_ >= 0) ::shutdown(socket_, SHUT_RDWR);
}

void SshConnectionState::say_goodbye() {
  std::lock_guard lock(mutex_);
  say_goodbye_ = true;
  wake();
}

void SshConnectionState::set_receiver(SftpTransport::Receiver* receiver) {
  receiver_ = receiver;
  std::lock_guard lock(mutex_);
  if (receiver_ && (!inbox_.empty() || ended_)) post_report_locked();
}

bool SshConnectionState::ended() {
  std::lock_guard lock(mutex_);
  return ended_.has_value();
}

void SshConnectionState::leave_loop() {
  std::lock_guard lock(mutex_);
  loop_ = nullptr;
}

void SshConnectionState::post_report_locked() {
  if (!loop_ || std::exchange(report_posted_, true)) return;
  loop_->post([self = shared_from_this()] { self->report(); });
}

void SshConnectionState::report() {
  std::vector<Chunk> frames;
  std::optional<Error> why;
  {
    std::lock_guard lock(mutex_);
    report_posted_ = false;
    if (ended_) before_end.cancel();
    if (!receiver_) return; // all of it waits for one
    frames.swap(inbox_);
    if (std::exchange(inbox_bytes_, 0) >= inbox_limit_bytes) wake();
    why = ended_;
  }
  if (!frames.empty()) receiver_->on_frames(std::move(frames));
  // on_frames() may have ended its interest.
  if (why && receiver_) std::exchange(receiver_, nullptr)->on_closed(std::move(*why));
}

} // namespace checkvalve
