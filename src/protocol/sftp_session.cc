#include "protocol/sftp_session.h"

#include <fmt/core.h>

#include <algorithm>
#include <asio/steady_timer.hpp>
#include <bit>
#include <cctype>

#include "core/path.h"

namespace checkvalve {
namespace {

// Payloads below this are copied behind their header; the transport gathers larger ones itself.
constexpr std::size_t copied_payload_bytes = 2 * 1024;
constexpr std::size_t head_bytes = 512; // what the requests between two payloads mostly need
// A server's limits are taken up to what one Chunk is good for.
constexpr std::uint64_t largest_request_bytes = 1024 * 1024;
constexpr std::uint64_t smallest_request_bytes = 4 * 1024;

// Extensions with the versions that this client speaks (OpenSSH's PROTOCOL, section 4).
constexpr std::pair<std::string_view, std::string_view> spoken[] = {
    {"posix-rename@openssh.com", "1"}, {"hardlink@openssh.com", "1"}, {"fsync@openssh.com", "1"},
    {"statvfs@openssh.com", "2"},      {"limits@openssh.com", "1"},
};

} // namespace

SftpSession::Call::~Call() {
  if (!awaiting_ || resumed_) return;
  if (reply_)
    session_.loop_.forget(awaiting_.handle());
  else if (id_ != 0)
    session_.place_of(id_).call = nullptr;
  else
    std::erase(session_.waiting_, this);
}

bool SftpSession::Call::await_suspend(std::coroutine_handle<> awaiting) {
  if (session_.closed_) {
    reply_.emplace(Failure(*session_.closed_));
    return false;
  }
  awaiting_ = awaiting;
  if (session_.due_count_ < session_.options_.requests_in_flight)
    session_.send(*this);
  else
    session_.waiting_.push_back(this);
  return true;
}

struct SftpSession::StallTimer {
  explicit StallTimer(Loop& loop) : timer(loop.context()) {}
  asio::steady_timer timer;
  bool armed = false;
};

SftpSession::SftpSession(Loop& loop, std::unique_ptr<SftpTransport> transport, std::string peer,
                         SftpSessionOptions options)
    : loop_(loop), transport_(std::move(transport)), peer_(std::move(peer)), options_(options),
      stall_timer_(std::make_unique<StallTimer>(loop)) {
  options_.requests_in_flight = std::max(1u, options_.requests_in_flight);
  due_.resize(std::bit_ceil(2 * std::size_t{options_.requests_in_flight}));
}

SftpSession::~SftpSession() { transport_->shutdown(); }

Task<Result<std::shared_ptr<SftpSession>>> SftpSession::open(Loop& loop, std::unique_ptr<SftpTransport> transport,
                                                             std::string peer, SftpSessionOptions options) {
  CV_CO_CHECK(co_await transport->open());
  std::shared_ptr<SftpSession> session(new SftpSession(loop, std::move(transport), std::move(peer), options));
  session->transport_->start(*session);
  if (auto greeted = co_await session->greet(); !greeted) {
    co_await session->close();
    co_return Failure(greeted.error());
  }
  co_return session;
}

// Section 4: INIT and VERSION come before all else.
Task<Result<void>> SftpSession::greet() {
  constexpr std::uint32_t our_version = 3;
  PacketBuilder init(PacketType::init);
  queue(init.finish(our_version), {});
  last_heard_ = Clock::now();
  watch_for_stall();
  co_await version_came_;
  if (closed_) co_return Failure(*closed_);
  auto limits = spawn(ask_limits(shared_from_this())); // one round trip for both
  co_await find_login_directory();
  co_await limits.get();
  if (closed_) co_return Failure(*closed_);
  co_return Result<void>();
}

void SftpSession::note_extensions(const VersionReply& reply) {
  version_ = reply.version;
  for (const auto& [name, data] : reply.extensions) extensions_[name] = data;
}

bool SftpSession::has(std::string_view extension) const {
  if (refused_.contains(extension)) return false;
  const auto known = std::ranges::find(spoken, extension, [](const auto& pair) { return pair.first; });
  const auto advertised = extensions_.find(extension);
  return known != std::end(spoken) && advertised != extensions_.end() && advertised->second == known->second;
}

// The program's banner is not known over a command. Only OpenSSH's server has "expand-path".
bool SftpSession::is_openssh() const {
  if (!keeps_order()) return false;
  for (const auto& [name, value] : facts())
    if (name == "server") return value.find("OpenSSH") != value.npos;
  return extensions_.contains("expand-path@openssh.com");
}

void SftpSession::disable(std::string_view extension) { refused_[std::string(extension)] = true; }

Task<bool> SftpSession::ask_limits(std::shared_ptr<SftpSession> self) {
  bool known = false;
  if (self->has("limits@openssh.com")) {
    PacketBuilder packet(PacketType::extended);
    packet.string("limits@openssh.com");
    auto reply = co_await self->call(std::move(packet), {"ask for limits"});
    const auto limits =
        reply && reply->type == PacketType::extended_reply ? parse_limits(reply->body.bytes()) : std::nullopt;
    known = limits.has_value();
    if (known)
      self->take_limits(*limits);
    else
      self->disable("limits@openssh.com");
  }
  if (self->options_.open_handles != 0) self->limits_.open_handles = self->options_.open_handles;
  self->handles_.add(self->limits_.open_handles);
  co_return known;
}

void SftpSession::take_limits(const LimitsReply& reply) {
  const auto within = [](std::uint64_t limit, std::uint32_t otherwise) {
    return limit == 0 ? otherwise
                      : static_cast<std::uint32_t>(std::clamp(limit, smallest_request_bytes, largest_request_bytes));
  };
  limits_.read_bytes = within(reply.read_bytes, limits_.read_bytes);
  limits_.write_bytes = within(reply.write_bytes, limits_.write_bytes);
  if (reply.open_handles != 0)
    limits_.open_handles = static_cast<std::uint32_t>(std::clamp<std::uint64_t>(reply.open_handles, 1, 65'536));
}

Task<void> SftpSession::find_login_directory() { login_directory_ = co_await real_path("."); }

void SftpSession::send(Call& call) {
  while (next_id_ == 0 || place_of(next_id_).due) ++next_id_;
  call.id_ = next_id_++;
  const std::size_t payload_bytes = call.payload_.size();
  queue(call.packet_.finish(call.id_, payload_bytes), std::move(call.payload_));
  const bool alone = due_count_++ == 0;
  if (alone) last_heard_ = turn_began_;
  place_of(call.id_) = {.id = call.id_,
                        .number = ++sent_,
                        .due = true,
                        .patient = call.request_.patient,
                        .silent_work = call.request_.silent_work,
                        .alone = alone,
                        .sent = turn_began_,
                        .call = &call};
  watch_for_stall();
}

void SftpSession::answer(Call& call, Result<Reply> reply) {
  call.reply_.emplace(std::move(reply));
  loop_.resume_soon(call.awaiting_);
}

bool SftpSession::says(const Reply& reply, StatusCode code) {
  const auto status = parse_status(reply.body.bytes());
  return status && status->code == static_cast<std::uint32_t>(code);
}

Task<Result<void>> SftpSession::call_status(PacketBuilder packet, Request request, Chunk payload) {
  const auto self = shared_from_this();
  auto reply = co_await call(std::move(packet), request, std::move(payload));
  if (!reply) co_return Failure(std::move(reply.error()));
  if (reply->type != PacketType::status) co_return unexpected_reply(*reply, request);
  if (says(*reply, StatusCode::ok)) co_return Result<void>();
  co_return Failure(status_error(reply->body.bytes(), request));
}

Task<Result<std::string>> SftpSession::call_handle(PacketBuilder packet, Request request) {
  const auto self = shared_from_this();
  auto reply = co_await call(std::move(packet), request);
  if (!reply) co_return Failure(std::move(reply.error()));
  if (reply->type == PacketType::status) co_return Failure(status_error(reply->body.bytes(), request));
  auto handle = parse_handle(reply->body.bytes());
  if (reply->type != PacketType::handle || !handle) co_return unexpected_reply(*reply, request);
  co_return std::move(*handle);
}

Task<Result<FileAttributes>> SftpSession::call_attributes(PacketBuilder packet, Request request) {
  const auto self = shared_from_this();
  auto reply = co_await call(std::move(packet), request);
  if (!reply) co_return Failure(std::move(reply.error()));
  if (reply->type == PacketType::status) co_return Failure(status_error(reply->body.bytes(), request));
  auto attributes = parse_attributes(reply->body.bytes());
  if (reply->type != PacketType::attrs || !attributes) co_return unexpected_reply(*reply, request);
  co_return *attributes;
}

Task<Result<std::string>> SftpSession::call_name(PacketBuilder packet, Request request) {
  const auto self = shared_from_this();
  auto reply = co_await call(std::move(packet), request);
  if (!reply) co_return Failure(std::move(reply.error()));
  if (reply->type == PacketType::status) co_return Failure(status_error(reply->body.bytes(), request));
  auto names = parse_names(reply->body.bytes());
  if (reply->type != PacketType::name || !names || names->size() != 1) co_return unexpected_reply(*reply, request);
  co_return std::move(names->front().name);
}

void SftpSession::queue(std::string_view packet, Chunk payload) {
  if (outgoing_.empty() || !outgoing_.back().tail.empty()) outgoing_.emplace_back().head.reserve(head_bytes);
  OutSegment& segment = outgoing_.back();
  segment.head += packet;
  if (payload.size() < copied_payload_bytes)
    segment.head += payload.text();
  else
    segment.tail = std::move(payload);
  if (flush_planned_) return;
  flush_planned_ = true;
  turn_began_ = Clock::now();
  loop_.at_end_of_turn([self = weak_from_this()] {
    if (auto session = self.lock()) session->flush();
  });
}

void SftpSession::flush() {
  flush_planned_ = false;
  if (!closed_ && !outgoing_.empty()) transport_->send(std::exchange(outgoing_, {}));
}

void SftpSession::on_frames(std::vector<Chunk> frames) {
  last_heard_ = Clock::now();
  for (auto& frame : frames) {
    if (closed_) return;
    on_frame(std::move(frame));
  }
}

void SftpSession::on_frame(Chunk frame) {
  PacketReader header(frame.bytes());
  const auto type = static_cast<PacketType>(header.u8());
  if (header.failed()) return break_protocol("an empty packet");
  if (version_ == 0) {
    auto version = parse_version(frame.bytes().subspan(1));
    if (type != PacketType::version || !version) return break_protocol("something else than VERSION first");
    if (version->version < 3) return break_protocol(fmt::format("SFTP version {}; 3 is needed", version->version));
    note_extensions(*version);
    stall_timer_->timer.cancel(); // it looks again, with the limit for replies
    version_came_.set();
    return;
  }
  const std::uint32_t id = header.u32();
  if (header.failed()) return break_protocol("a packet without a request id");
  Due& place = place_of(id);
  if (!place.due || place.id != id) return break_protocol("a reply to a request that was never made");
  place.due = false;
  --due_count_;
  if (place.silent_work.count() != 0) work_ended_ = last_heard_;
  note_passed(place.number);
  if (place.alone)
    round_trip_ =
        std::min(round_trip_, std::chrono::duration_cast<std::chrono::microseconds>(last_heard_ - place.sent));
  if (place.call) {
    frame.narrow(5, frame.size() - 5);
    answer(*place.call, Reply{type, std::move(frame)});
  }
  if (waiting_.empty()) return;
  Call& next = *waiting_.front();
  waiting_.pop_front();
  send(next);
}

void SftpSession::on_closed(Error error) { fail(std::move(error)); }

void SftpSession::fail(Error error) {
  if (closed_) return;
  closed_ = std::move(error);
  transport_->shutdown();
  outgoing_.clear();
  stall_timer_->timer.cancel();
  for (Due& place : due_)
    if (std::exchange(place.due, false) && place.call) answer(*place.call, Failure(*closed_));
  for (Call* call : std::exchange(waiting_, {})) answer(*call, Failure(*closed_));
  due_count_ = 0;
  version_came_.set();
}

void SftpSession::break_protocol(std::string what) {
  fail(make_error(ErrorKind::protocol, "talk to", peer_,
                  "the server breaks the SFTP protocol: it sent " + std::move(what)));
}

Failure SftpSession::unexpected_reply(const Reply& reply, const Request& request) {
  break_protocol(
      fmt::format("a malformed or wrong reply (type {}) to {}", static_cast<int>(reply.type), request.operation));
  return Failure(*closed_);
}

namespace {

// What a server adds that its status code does not say.
std::string in_own_words(const StatusReply& status) {
  const auto same = [](char a, char b) { return std::tolower(static_cast<unsigned char>(a)) == b; };
  constexpr std::string_view usual = "permission denied";
  if (status.message.empty() || std::ranges::equal(status.message, usual, same)) return {};
  return fmt::format(" (the server says: {})", escape_bytes(status.message));
}

} // namespace

Error SftpSession::status_error(std::span<const std::byte> body, const Request& request) const {
  const auto status = parse_status(body);
  const auto make = [&](ErrorKind kind, std::string message) {
    return make_error(kind, std::string(request.operation), {}, std::move(message));
  };
  const auto from_errno = [&](int number) { return errno_error(number, std::string(request.operation), {}); };
  if (!status) return make(ErrorKind::protocol, "a malformed STATUS packet");
  switch (static_cast<StatusCode>(status->code)) {
  case StatusCode::no_such_file:
  case StatusCode::no_such_path: return make(ErrorKind::not_found, "no such file or directory");
  case StatusCode::permission_denied: return make(ErrorKind::permission, "permission denied" + in_own_words(*status));
  case StatusCode::write_protect: return from_errno(EROFS);
  case StatusCode::op_unsupported: return make(ErrorKind::unsupported, "the server does not support this");
  case StatusCode::file_already_exists: return make(ErrorKind::exists, "the name exists");
  case StatusCode::no_space_on_filesystem: return from_errno(ENOSPC);
  case StatusCode::quota_exceeded: return from_errno(EDQUOT);
  case StatusCode::not_a_directory: return make(ErrorKind::not_a_directory, "not a directory");
  case StatusCode::file_is_a_directory: return make(ErrorKind::is_a_directory, "is a directory");
  case StatusCode::no_connection:
  case StatusCode::connection_lost: return make(ErrorKind::connection, "the server lost its connection to the storage");
  case StatusCode::bad_message:
    // OpenSSH answers so for EINVAL and ENAMETOOLONG.
    if (request.has_name) return make(ErrorKind::invalid_name, "the server can't hold this name");
    break;
  default: break;
  }
  std::string said = escape_bytes(status->message);
  return make(ErrorKind::io, said.empty() || said == "Failure"
                                 ? fmt::format("the server says only that it failed (code {})", status->code)
                                 : fmt::format("the server says: {} (code {})", said, status->code));
}

void SftpSession::watch_for_stall() {
  if (stall_timer_->armed || closed_) return;
  stall_timer_->armed = true;
  // What is passed over meanwhile is seen in time.
  stall_timer_->timer.expires_at(std::min(next_stall().at, Clock::now() + stall_limit()));
  stall_timer_->timer.async_wait([weak = weak_from_this()](const std::error_code&) {
    auto self = weak.lock();
    if (!self) return;
    self->stall_timer_->armed = false;
    if (self->closed_ || (self->version_ != 0 && self->due_count_ == 0)) return;
    const Stall stall = self->next_stall();
    if (Clock::now() < stall.at) return self->watch_for_stall();
    self->fail(
        make_error(ErrorKind::timeout, "talk to", self->peer_,
                   fmt::format(fmt::runtime(stall.why), std::chrono::duration<double>(self->stall_limit()).count())));
  });
}

// A server that takes one request after the other answers none while it goes through a file, and those behind that
// request wait for it, too.
SftpSession::Stall SftpSession::next_stall() const {
  std::chrono::seconds silent_work{0};
  std::uint64_t oldest = sent_ + 1; // of the requests that no work of their own delays
  for (const Due& place : due_) {
    if (!place.due) continue;
    silent_work = std::max(silent_work, place.silent_work);
    if (!place.patient) oldest = std::min(oldest, place.number);
  }
  const auto limit = stall_limit() + silent_work;
  const Stall silence{last_heard_ + limit, "the server did not answer for {} s"};
  const auto passed = std::ranges::find_if(passed_, [&](const auto& sample) { return sample.first > oldest; });
  if (passed == passed_.end()) return silence;
  const Stall forgotten{std::max(passed->second, work_ended_) + limit,
                        "the server left a request unanswered for {} s while it answered later ones"};
  return silence.at <= forgotten.at ? silence : forgotten;
}

// A slow line delays all replies alike: only what is passed over may be forgotten.
void SftpSession::note_passed(std::uint64_t number) {
  constexpr int samples = 8; // within the limit
  if (!passed_.empty() &&
      (number <= passed_.back().first || last_heard_ - passed_.back().second < stall_limit() / samples))
    return;
  passed_.emplace_back(number, last_heard_);
  if (passed_.size() > 2 * samples) passed_.pop_front();
}

std::chrono::milliseconds SftpSession::stall_limit() const {
  return version_ == 0 ? options_.connect_timeout : options_.stall_timeout;
}

Task<void> SftpSession::close() {
  flush();
  const auto self = shared_from_this();
  if (!closed_) {
    co_await transport_->close();
    fail(make_error(ErrorKind::connection, "talk to", peer_, "the connection was closed"));
  }
}

} // namespace checkvalve
