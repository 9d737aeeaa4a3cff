#include "backends/sftp/connection_pool.h"

#include <algorithm>

#include "core/backoff.h"
#include "protocol/child_transport.h"
#include "protocol/libssh_transport.h"

namespace checkvalve {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

bool lasting(const Error& error) {
  return error.kind == ErrorKind::auth || error.kind == ErrorKind::host_key || error.kind == ErrorKind::config;
}

} // namespace

Task<Result<std::shared_ptr<SftpSession>>> ConnectionPool::get() {
  if (first_ && first_->alive()) co_return first_;
  co_return co_await get_anew();
}

Task<Result<std::shared_ptr<SftpSession>>> ConnectionPool::get_anew() {
  if (lasting_error_) co_return Failure(*lasting_error_);
  if (closed_)
    co_return Failure(make_error(ErrorKind::connection, "use", settings_.display, "the connection was closed"));
  auto self = shared_from_this();
  if (auto running = attempt_) {
    co_await running->done;
    co_return *running->result;
  }
  auto mine = attempt_ = std::make_shared<Attempt>();
  mine->result = co_await attempt();
  attempt_.reset();
  mine->done.set();
  co_return *mine->result;
}

Task<Result<std::shared_ptr<SftpSession>>> ConnectionPool::attempt() {
  if (first_ && !last_error_) last_error_ = first_->end_error();
  first_.reset();
  const auto delay = std::chrono::ceil<milliseconds>(next_attempt_ - Clock::now());
  if (last_error_)
    context_.events.emit(RetryEvent{{}, *last_error_, failures_ + 2, std::max<std::int64_t>(0, delay.count())});
  co_await wait_until(next_attempt_);
  auto made = co_await connect();
  if (made && closed_) {
    co_await (*made)->close();
    made = Failure(make_error(ErrorKind::connection, "use", settings_.display, "the connection was closed"));
  }
  // Also after a success: a server that ends each session at once is not called without a pause.
  next_attempt_ = Clock::now() + Backoff().delay(failures_ + 1);
  if (made) {
    first_ = *made;
    failures_ = 0;
    last_error_.reset();
    co_return made;
  }
  ++failures_;
  last_error_ = made.error();
  if (lasting(made.error())) lasting_error_ = made.error();
  co_return made;
}

// Or until the pool is closed.
Task<void> ConnectionPool::wait_until(Clock::time_point time) {
  if (const auto left = std::chrono::ceil<milliseconds>(time - Clock::now()); left.count() > 0 && !closed_)
    co_await before_attempt_.wait(left);
}

Task<Result<std::shared_ptr<SftpSession>>> ConnectionPool::connect() {
  CV_CO_TRY(auto transport, co_await make_transport());
  if (closed_)
    co_return Failure(make_error(ErrorKind::connection, "use", settings_.display, "the connection was closed"));
  SftpSessionOptions options;
  options.stall_timeout = context_.stall_timeout;
  options.connect_timeout = context_.connect_timeout;
  options.requests_in_flight = settings_.requests_in_flight;
  options.open_handles = settings_.open_handles;
  SftpTransport* const connecting = transport.get();
  connecting_.insert(connecting);
  auto made = co_await SftpSession::open(context_.loop, std::move(transport), settings_.display, options);
  connecting_.erase(connecting);
  co_return made;
}

Task<Result<std::unique_ptr<SftpTransport>>> ConnectionPool::make_transport() {
  if (!settings_.command.empty()) co_return make_child_transport(context_.loop, settings_.command, settings_.display);
  if (!settings_.ssh.check_host_key && !std::exchange(warned_, true))
    context_.events.emit(WarningEvent{"the identity of " + settings_.display +
                                      " is not checked (host_key_check=no): anyone on the way "
                                      "can read and change what is copied"});
  if (settings_.ssh_program) co_return make_ssh_command_transport(context_.loop, settings_.ssh);
  if (!route_) {
    CV_CO_TRY(SshRoute found, co_await context_.workers.run([&ssh = settings_.ssh] { return find_ssh_route(ssh); }));
    route_ = std::move(found);
  }
  if (route_->by_program) co_return make_ssh_command_transport(context_.loop, settings_.ssh);
  co_return make_libssh_transport(context_.loop, route_->options);
}

std::vector<std::shared_ptr<SftpSession>> ConnectionPool::extra() {
  std::erase_if(extra_, [](const auto& session) { return !session->alive(); });
  while (!closed_ && !extra_given_up_ && 1 + extra_.size() + extra_under_way_.running() < settings_.connections)
    extra_under_way_.spawn(connect_extra(shared_from_this()));
  return extra_;
}

Task<void> ConnectionPool::connect_extra(std::shared_ptr<ConnectionPool> self) {
  auto made = co_await self->connect();
  if (!made) {
    // Servers limit sessions: what is there must do.
    self->extra_given_up_ = true;
  } else if (self->closed_) {
    co_await (*made)->close();
  } else {
    self->extra_.push_back(std::move(*made));
  }
}

namespace {

Task<void> close_session(std::shared_ptr<SftpSession> session) { co_await session->close(); }

} // namespace

Task<void> ConnectionPool::close() {
  const auto self = shared_from_this();
  closed_ = true;
  before_attempt_.cancel();
  for (SftpTransport* transport : connecting_) transport->cancel();
  if (auto running = attempt_) co_await running->done;
  co_await extra_under_way_.join();
  TaskGroup closing;
  for (auto& session : extra_) closing.spawn(close_session(session));
  if (first_) closing.spawn(close_session(first_));
  co_await closing.join();
  extra_.clear();
  first_.reset();
}

} // namespace checkvalve
