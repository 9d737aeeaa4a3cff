#include "protocol/http/http_client.h"

#include <algorithm>
#include <unordered_set>

#include "protocol/http/curl_thread.h"
#include "protocol/http/http_exchange.h"

namespace checkvalve {

// --- the engine thread's side of an exchange ------------------------------------------------------------------------

void HttpExchange::State::deliver(HttpDelivery news) {
  if (done) return; // given up meanwhile
  if (news.head) head = std::move(news.head);
  for (Chunk& chunk : news.body) received.push_back(std::move(chunk));
  if (news.done) done = std::move(news.done);
  changed.notify();
}

void HttpExchange::State::give_up(const std::shared_ptr<State>& state, ErrorKind kind, const char* why) {
  if (state->done) return;
  HttpDelivery end;
  end.done = Failure(make_error(kind, state->request.method, std::string(without_query(state->request.url)), why));
  state->deliver(std::move(end));
  if (const auto commands = state->commands.lock()) commands->push(HttpCommands::Kind::cancel, state);
}

HttpExchange::~HttpExchange() {
  State::give_up(state_, ErrorKind::connection, "the exchange was given up");
  if (const auto commands = state_->commands.lock()) commands->forget(*state_);
}

Task<Result<HttpHead>> HttpExchange::head() {
  const std::shared_ptr<State> state = state_;
  while (!state->head && !state->done)
    if (!co_await state->changed.wait(state->request.cancellation))
      co_return Failure(state->request.cancellation.reason());
  if (state->head) co_return *state->head;
  if (!*state->done) co_return Failure(state->done->error());
  co_return Failure(make_error(ErrorKind::protocol, state->request.method,
                               std::string(without_query(state->request.url)), "the server answered without a status"));
}

Task<Result<Chunk>> HttpExchange::read() {
  const std::shared_ptr<State> state = state_;
  while (state->received.empty() && !state->done)
    if (!co_await state->changed.wait(state->request.cancellation))
      co_return Failure(state->request.cancellation.reason());
  if (state->received.empty()) {
    if (!*state->done) co_return Failure(state->done->error());
    co_return Chunk();
  }
  Chunk chunk = std::move(state->received.front());
  state->received.pop_front();
  const std::uint64_t unread = state->unread_bytes -= chunk.size();
  if (unread <= state->receive_ahead_bytes / 2 && state->waits_for_reader.exchange(false)) {
    if (const auto commands = state->commands.lock()) commands->push(HttpCommands::Kind::resume, state);
  }
  co_return chunk;
}

// --- the client -----------------------------------------------------------------------------------------------------

// Gathers the commands of one turn of the engine.
struct HttpClient::Shared : HttpCommands, std::enable_shared_from_this<HttpClient::Shared> {
  Shared(Loop& engine, HttpSettings settings)
      : loop(engine), receive_ahead_bytes(settings.receive_ahead_bytes), thread(engine, std::move(settings)) {}

  void push(Kind kind, std::shared_ptr<HttpExchange::State> state) override {
    outbox.push_back({kind, std::move(state)});
    if (outbox.size() != 1) return;
    loop.at_end_of_turn([self = weak_from_this()] {
      if (const auto shared = self.lock()) shared->thread.submit(std::exchange(shared->outbox, {}));
    });
  }

  void forget(HttpExchange::State& state) override { under_way.erase(&state); }

  Loop& loop;
  const std::uint32_t receive_ahead_bytes;
  std::unordered_set<HttpExchange::State*> under_way; // their exchanges exist
  std::vector<CurlThread::Command> outbox;
  CurlThread thread;
};

HttpClient::HttpClient(Loop& loop, HttpSettings settings)
    : shared_(std::make_shared<Shared>(loop, std::move(settings))) {}
HttpClient::~HttpClient() = default;
void HttpClient::close() { shared_->thread.stop(); }
void HttpClient::cancel() {
  for (HttpExchange::State* state : shared_->under_way)
    HttpExchange::State::give_up(state->shared_from_this(), ErrorKind::interrupted, "the connection was closed");
}

std::unique_ptr<HttpExchange> HttpClient::start(HttpRequest request) {
  auto state = std::make_shared<HttpExchange::State>();
  state->request = std::move(request);
  state->commands = shared_;
  state->receive_ahead_bytes = std::max(shared_->receive_ahead_bytes, state->request.chunk_bytes);
  shared_->under_way.insert(state.get());
  shared_->push(HttpCommands::Kind::start, state);
  return std::make_unique<HttpExchange>(state);
}

Task<Result<HttpResponse>> HttpClient::fetch(HttpRequest request) {
  for (;;) {
    const auto exchange = start(request);
    HttpResponse response;
    CV_CO_TRY(response.head, co_await exchange->head());
    for (;;) {
      CV_CO_TRY(const Chunk chunk, co_await exchange->read());
      if (chunk.empty()) break;
      if (response.body.size() + chunk.size() > request.max_body_bytes)
        co_return Failure(make_error(ErrorKind::protocol, request.method, std::string(without_query(request.url)),
                                     "the server's answer is larger than any that makes sense here"));
      response.body += chunk.text();
    }
    const int status = response.head.status;
    const bool redirect = status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
    if (!redirect || request.redirects == 0) co_return response;
    CV_CO_TRY(request, redirected(std::move(request), status, response.head.header("location")));
  }
}

} // namespace checkvalve
