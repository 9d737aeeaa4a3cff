// An SFTP server in memory, scripted by the test, and the transport to it.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/loop.h"
#include "protocol/sftp_packet.h"
#include "protocol/transport.h"

namespace checkvalve::testing_support {

inline std::string u32(std::uint32_t value) {
  std::string out;
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(value >> shift);
  return out;
}
inline std::string text(std::string_view value) {
  return u32(static_cast<std::uint32_t>(value.size())) + std::string(value);
}
inline std::string reply(PacketType type, std::uint32_t id, const std::string& body) {
  return static_cast<char>(type) + u32(id) + body;
}
inline std::string status(std::uint32_t id, StatusCode code) {
  return reply(PacketType::status, id, u32(static_cast<std::uint32_t>(code)) + text("") + text(""));
}

struct Request {
  PacketType type;
  std::uint32_t id;
  std::string body; // after the id
};

// Answers INIT and REALPATH; the rest is the test's. Frames go to the session one loop turn later.
class ScriptedServer {
public:
  std::function<void(ScriptedServer&, const Request&)> on_request = [](ScriptedServer&, const Request&) {};
  std::string version = static_cast<char>(PacketType::version) + u32(3);
  std::string login_directory;   // the STATUS that answers REALPATH, after type and id; empty: a name
  std::vector<Request> requests; // all but INIT and REALPATH
  std::size_t sends = 0;         // calls of SftpTransport::send
  bool shut_down = false;
  SftpTransport::Receiver* receiver = nullptr;

  void answer(std::string frame) { answer_all({std::move(frame)}); }
  void answer_all(std::vector<std::string> frames) {
    Loop::current()->post([this, frames = std::move(frames)] {
      std::vector<Chunk> chunks;
      for (const auto& frame : frames) chunks.push_back(Chunk::copy_of(frame));
      if (receiver) receiver->on_frames(std::move(chunks));
    });
  }
  void lose(Error error) {
    Loop::current()->post([this, error] {
      if (auto* last = std::exchange(receiver, nullptr)) last->on_closed(error);
    });
  }
  void take(std::string_view bytes) {
    pending_ += bytes;
    while (pending_.size() >= 4) {
      PacketReader length(std::as_bytes(std::span(pending_)));
      const std::size_t size = length.u32();
      if (pending_.size() < 4 + size) return;
      const std::string frame = pending_.substr(4, size);
      pending_.erase(0, 4 + size);
      handle(frame);
    }
  }

private:
  void handle(const std::string& frame) {
    PacketReader reader(std::as_bytes(std::span(frame)));
    Request request{static_cast<PacketType>(reader.u8()), reader.u32(), frame.substr(5)};
    if (request.type == PacketType::init) return version.empty() ? void() : answer(version);
    if (request.type == PacketType::realpath && !login_directory.empty())
      return answer(reply(PacketType::status, request.id, login_directory));
    if (request.type == PacketType::realpath)
      return answer(reply(PacketType::name, request.id, u32(1) + text("/home/u") + text("") + u32(0)));
    requests.push_back(request);
    on_request(*this, request);
  }
  std::string pending_;
};

class ScriptedTransport : public SftpTransport {
public:
  explicit ScriptedTransport(ScriptedServer& server) : server_(server) {}
  ~ScriptedTransport() override { shutdown(); }
  Task<Result<void>> open() override { co_return Result<void>(); }
  void start(Receiver& receiver) override { server_.receiver = &receiver; }
  void send(std::vector<OutSegment> segments) override {
    ++server_.sends;
    for (const auto& segment : segments) {
      server_.take(segment.head);
      server_.take(segment.tail.text());
    }
  }
  void cancel() override { server_.lose(make_error(ErrorKind::connection, "talk to", "server", "cancelled")); }
  void shutdown() override {
    server_.receiver = nullptr;
    server_.shut_down = true;
  }
  Task<void> close() override {
    shutdown();
    co_return;
  }
  TransportFacts facts() const override { return {}; }

private:
  ScriptedServer& server_;
};

} // namespace checkvalve::testing_support
