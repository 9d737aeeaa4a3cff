// ConnectionPool: the SFTP sessions of one endpoint. The first is made when it is needed and remade when it was lost;
// more are made in the background when a large file asks for them. Engine thread only.
#pragma once

#include <chrono>
#include <memory>
#include <set>
#include <vector>

#include "backends/backend.h"
#include "backends/sftp/sftp_settings.h"
#include "protocol/sftp_session.h"
#include "protocol/ssh_config.h"

namespace checkvalve {

class ConnectionPool : public std::enable_shared_from_this<ConnectionPool> {
public:
  ConnectionPool(BackendContext& context, SftpSettings settings)
      : context_(context), settings_(std::move(settings)), before_attempt_(context.loop) {}

  // The first session. If it is down, connects: all callers that come meanwhile wait for the same attempt and share its
  // outcome. Attempts keep a distance that grows while they fail (core/backoff.h). What no new attempt can fix (login
  // or host key refused, wrong options) is remembered and answered at once from then on.
  Task<Result<std::shared_ptr<SftpSession>>> get();

  // The further sessions that are up now, at most connections - 1. While there are fewer, this asks for them to be made
  // in the background. One that can't be made is done without.
  std::vector<std::shared_ptr<SftpSession>> extra();

  // Closes all sessions and ends attempts under way; get() fails from then on, until reopen().
  Task<void> close();
  void reopen() { closed_ = false; }

  BackendContext& context() { return context_; }
  const SftpSettings& settings() const { return settings_; }

private:
  struct Attempt {
    OneShotEvent done;
    std::optional<Result<std::shared_ptr<SftpSession>>> result;
  };
  Task<Result<std::shared_ptr<SftpSession>>> get_anew();
  Task<Result<std::shared_ptr<SftpSession>>> attempt();
  Task<Result<std::shared_ptr<SftpSession>>> connect();
  Task<void> wait_until(std::chrono::steady_clock::time_point time);
  Task<Result<std::unique_ptr<SftpTransport>>> make_transport();
  static Task<void> connect_extra(std::shared_ptr<ConnectionPool> self);

  BackendContext& context_;
  SftpSettings settings_;
  std::optional<SshRoute> route_; // once it was found
  std::shared_ptr<SftpSession> first_;
  std::shared_ptr<Attempt> attempt_; // under way
  std::optional<Error> lasting_error_;
  std::optional<Error> last_error_;
  std::chrono::steady_clock::time_point next_attempt_{};
  std::uint32_t failures_ = 0; // attempts that failed in a row
  std::vector<std::shared_ptr<SftpSession>> extra_;
  std::set<SftpTransport*> connecting_; // of sessions that are being made
  TaskGroup extra_under_way_;
  bool extra_given_up_ = false;
  Timer before_attempt_;
  bool closed_ = false;
  bool warned_ = false;
};

} // namespace checkvalve
