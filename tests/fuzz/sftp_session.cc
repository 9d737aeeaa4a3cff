// SFTP sessions: several calls at once against a server whose answers the input chooses. None may hang, and no more
// bytes than were asked for may come of a read.
#include "protocol/sftp_session.h"

#include <algorithm>

#include "fuzz/target.h"
#include "support/scripted_server.h"

using namespace checkvalve;
using namespace checkvalve::testing_support;

namespace {

constexpr std::uint32_t read_bytes = 1'000;

std::string a_reply(fuzz::Input& input, std::uint32_t id) {
  constexpr PacketType types[] = {PacketType::status, PacketType::handle,         PacketType::data,   PacketType::name,
                                  PacketType::attrs,  PacketType::extended_reply, PacketType::version};
  const PacketType type = types[input.byte() % std::size(types)];
  return reply(type, id, std::string(input.line()));
}

// One or several frames for a request, in an order of the input's; none once it has ended.
void respond(fuzz::Input& input, ScriptedServer& server, const Request& request) {
  switch (input.rest().empty() ? 255 : input.byte() % 8) {
  case 0: return server.answer(status(request.id, StatusCode::ok));
  case 1: return server.answer(reply(PacketType::handle, request.id, text("handle")));
  case 2: return server.answer(a_reply(input, request.id));
  case 3: return server.answer_all({a_reply(input, request.id), a_reply(input, request.id)});
  case 4: return server.answer(a_reply(input, input.byte())); // of a request of its own choice
  case 5: return server.answer(std::string(input.line()));    // perhaps shorter than a head
  case 6:
    return server.answer_all({status(request.id, StatusCode::eof), reply(PacketType::data, request.id, text("x"))});
  default: return server.lose(transient_error(ErrorKind::connection, "talk to", "server", "closed"));
  }
}

Task<void> read_a_file(std::shared_ptr<SftpSession> session) {
  auto handle = co_await session->open_file("/f", 1, {});
  if (!handle) co_return;
  const auto chunk = co_await session->read(*handle, 0, read_bytes);
  fuzz::require(!chunk || chunk->size() <= read_bytes, "a read gave more than was asked for");
  (void)co_await session->close_handle(*handle);
}

Task<void> list_a_directory(std::shared_ptr<SftpSession> session) {
  auto handle = co_await session->open_directory("/d");
  if (!handle) co_return;
  for (int page = 0; page < 3; ++page) {
    auto names = co_await session->read_directory(*handle);
    if (!names) break;
    while (const auto some = names->next(2))
      if (some->empty()) break;
  }
  (void)co_await session->close_handle(*handle);
}

Task<void> write_a_file(std::shared_ptr<SftpSession> session) {
  auto handle = co_await session->open_file("/t", 2, {});
  if (!handle) co_return;
  (void)co_await session->write(*handle, 0, Chunk::copy_of("content"));
  (void)co_await session->fsync(*handle);
  (void)co_await session->close_handle(*handle);
  (void)co_await session->stat("/t");
  (void)co_await session->posix_rename("/t", "/f");
  (void)co_await session->read_link("/l");
  (void)co_await session->check_file("/f", "sha256");
  (void)co_await session->file_system("/");
}

Task<void> converse(Loop& loop, ScriptedServer& server) {
  const auto session =
      co_await SftpSession::open(loop, std::make_unique<ScriptedTransport>(server), "server", SftpSessionOptions{});
  if (!session) co_return;
  TaskGroup calls;
  calls.spawn(read_a_file(*session));
  calls.spawn(list_a_directory(*session));
  calls.spawn(write_a_file(*session));
  co_await calls.join();
  co_await (*session)->close();
}

} // namespace

CV_FUZZ_TARGET(sftp_session) {
  ScriptedServer server;
  server.version += std::string(input.line());
  server.on_request = [&input](ScriptedServer& s, const Request& request) { respond(input, s, request); };
  Loop loop;
  loop.run(converse(loop, server));
}
