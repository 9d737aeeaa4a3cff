#include "protocol/http/curl_thread.h"

#include <algorithm>
#include <charconv>
#include <cstring>

#include "core/text.h"
#include "protocol/http/http_trace.h"

namespace checkvalve {
namespace {

constexpr std::size_t max_head_bytes = 256 * 1024;
constexpr long min_buffer_bytes = 16 * 1024;
constexpr long max_buffer_bytes = 256 * 1024;
// With this many transfers under way, what becomes ready within this time is taken together: to wake this thread and
// the engine's for each answer costs more than a small answer itself (measured: a fifth of the program's CPU time).
constexpr std::size_t gathers_from = 16;
constexpr std::chrono::microseconds gathering{1'000};

Error curl_error(CURLcode code, const char* text, const HttpRequest& request) {
  const std::string where(without_query(request.url));
  std::string message = text && *text ? text : curl_easy_strerror(code);
  switch (code) {
  case CURLE_OPERATION_TIMEDOUT: return make_error(ErrorKind::timeout, request.method, where, std::move(message));
  case CURLE_PEER_FAILED_VERIFICATION:
  case CURLE_SSL_ISSUER_ERROR:
  case CURLE_SSL_INVALIDCERTSTATUS:
    return make_error(ErrorKind::host_key, request.method, where,
                      message +
                          " (the server's certificate is not trusted: a private authority's goes into ca_bundle)");
  case CURLE_URL_MALFORMAT:
  case CURLE_UNSUPPORTED_PROTOCOL:
  case CURLE_SSL_CACERT_BADFILE: return make_error(ErrorKind::config, request.method, where, std::move(message));
  case CURLE_WEIRD_SERVER_REPLY:
  case CURLE_BAD_CONTENT_ENCODING:
  case CURLE_WRITE_ERROR: // on_header and on_body refuse only what breaks the protocol
    return make_error(ErrorKind::protocol, request.method, where, std::move(message));
  default: return make_error(ErrorKind::connection, request.method, where, std::move(message));
  }
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t' || text.back() == '\r' || text.back() == '\n'))
    text.remove_suffix(1);
  return text;
}

} // namespace

CurlThread::CurlThread(Loop& loop, HttpSettings settings) : loop_(loop), settings_(std::move(settings)) {
  curl_multi_setopt(multi_.handle(), CURLMOPT_MAXCONNECTS, static_cast<long>(settings_.idle_connections));
  curl_multi_setopt(multi_.handle(), CURLMOPT_PIPELINING, static_cast<long>(CURLPIPE_MULTIPLEX));
  thread_ = std::thread([this] { run(); });
}

void CurlThread::stop() {
  if (!thread_.joinable()) return;
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  multi_.wake();
  thread_.join();
}

void CurlThread::submit(std::vector<Command> commands) {
  bool first = false;
  {
    std::lock_guard lock(mutex_);
    first = commands_.empty();
    if (first)
      commands_.swap(commands);
    else
      std::move(commands.begin(), commands.end(), std::back_inserter(commands_));
  }
  if (first) multi_.wake();
}

void CurlThread::run() {
  std::vector<Command> batch;
  for (;;) {
    batch.clear();
    {
      std::lock_guard lock(mutex_);
      if (stopping_) break;
      batch.swap(commands_);
    }
    for (Command& command : batch) obey(std::move(command));
    multi_.act();
    collect_finished();
    deliver_news();
    multi_.wait(running_.size() < gathers_from ? std::chrono::microseconds(0) : gathering);
  }
  while (!running_.empty()) end(*running_.begin()->second);
  for (CURL* easy : idle_) curl_easy_cleanup(easy);
}

void CurlThread::obey(Command command) {
  HttpExchange::State& state = *command.state;
  if (command.kind == HttpCommands::Kind::start) return begin(command.state);
  if (!running_.contains(&state)) return; // it ended meanwhile
  switch (command.kind) {
  case HttpCommands::Kind::start: break;
  case HttpCommands::Kind::resume:
    if (!state.curl.receive_paused) return;
    state.curl.receive_paused = false;
    curl_easy_pause(state.curl.easy, CURLPAUSE_CONT);
    return;
  case HttpCommands::Kind::cancel: return end(state);
  }
}

CURL* CurlThread::take_easy() {
  if (idle_.empty()) return new_easy();
  CURL* easy = idle_.back();
  idle_.pop_back();
  return easy;
}

// With what all requests have in common. Handles are used again without a reset, which costs more than a request's own
// options: what one request sets, begin() sets for each.
CURL* CurlThread::new_easy() {
  CURL* easy = curl_easy_init();
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
  curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_2TLS));
  curl_easy_setopt(easy, CURLOPT_USERAGENT, "checkvalve/" CHECKVALVE_VERSION);
  curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
  curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(settings_.connect_timeout.count()));
  curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
  curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_send);
  curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, on_seek);
  if (!settings_.ca_bundle.empty()) curl_easy_setopt(easy, CURLOPT_CAINFO, settings_.ca_bundle.c_str());
  if (settings_.trace) {
    curl_easy_setopt(easy, CURLOPT_VERBOSE, 1L);
    curl_easy_setopt(easy, CURLOPT_DEBUGFUNCTION, on_debug);
    curl_easy_setopt(easy, CURLOPT_DEBUGDATA, this);
  }
  return easy;
}

void CurlThread::set_body(const StatePtr& state) {
  CURL* easy = state->curl.easy;
  const HttpRequest& request = state->request;
  curl_easy_setopt(easy, CURLOPT_POSTFIELDS, nullptr); // while there is one, libcurl rewinds no other body
  curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
  curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request.method == "HEAD" ? nullptr : request.method.c_str());
  if (request.method == "HEAD") {
    curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
  } else if (request.body && request.body->size() > 1) {
    const auto size = static_cast<curl_off_t>(request.body_bytes());
    curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, size);
    curl_easy_setopt(easy, CURLOPT_READDATA, state.get());
    curl_easy_setopt(easy, CURLOPT_SEEKDATA, state.get());
    curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE,
                     std::clamp<long>(static_cast<long>(size), min_buffer_bytes, max_buffer_bytes));
  } else if (request.body || request.method == "PUT" || request.method == "POST") {
    // Libcurl sends a body that it has at hand, and is below 64 KiB, together with the head: one segment for both.
    const std::string_view body = request.body && !request.body->empty() ? request.body->front().text() : "";
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body.size()));
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body.empty() ? "" : body.data());
  }
}

// Libcurl's list of header lines, in memory of ours.
void CurlThread::set_headers(const StatePtr& state) {
  CurlTransfer& curl = state->curl;
  // Without waiting for "100 Continue", which costs a round trip for each upload, and without a form's type.
  static constexpr std::string_view none[] = {"Expect:", "Content-Type:"};
  std::size_t bytes = 0;
  for (const HttpHeader& header : state->request.headers) bytes += header.name.size() + header.value.size() + 3;
  for (const std::string_view line : none) bytes += line.size() + 1;
  curl.header_text.clear();
  curl.header_text.reserve(bytes); // so that the lines stay where they are
  curl.headers.clear();
  const auto end_line = [&](std::size_t begin) {
    curl.header_text += '\0';
    curl.headers.push_back({curl.header_text.data() + begin, nullptr});
  };
  for (const HttpHeader& header : state->request.headers) {
    const std::size_t begin = curl.header_text.size();
    curl.header_text += header.name;
    // A header without a value is given as "Name;".
    if (header.value.empty())
      curl.header_text += ';';
    else
      curl.header_text.append(": ").append(header.value);
    end_line(begin);
  }
  for (const std::string_view line : none) {
    const std::size_t begin = curl.header_text.size();
    curl.header_text += line;
    end_line(begin);
  }
  for (std::size_t i = 1; i < curl.headers.size(); ++i) curl.headers[i - 1].next = &curl.headers[i];
  curl_easy_setopt(curl.easy, CURLOPT_HTTPHEADER, curl.headers.data());
}

void CurlThread::begin(const StatePtr& state) {
  CurlTransfer& curl = state->curl;
  const HttpRequest& request = state->request;
  curl.thread = this;
  curl.easy = take_easy();
  CURL* easy = curl.easy;
  curl_easy_setopt(easy, CURLOPT_URL, request.url.c_str());
  curl_easy_setopt(easy, CURLOPT_PRIVATE, state.get());
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, curl.error_text);
  set_body(state);
  set_headers(state);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, state.get());
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, state.get());
  curl_easy_setopt(easy, CURLOPT_BUFFERSIZE,
                   std::clamp<long>(static_cast<long>(request.expected_bytes), min_buffer_bytes, max_buffer_bytes));
  const auto stall_timeout = std::chrono::ceil<std::chrono::seconds>(settings_.stall_timeout) + request.silent_work;
  curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, std::max<long>(1, static_cast<long>(stall_timeout.count())));
  const bool no_proxy = request.direct || settings_.proxy == "none";
  const char* proxy = settings_.proxy.empty() ? nullptr : settings_.proxy.c_str(); // null: as the environment has it
  curl_easy_setopt(easy, CURLOPT_PROXY, no_proxy ? "" : proxy);
  curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS,
                   static_cast<long>(request.timeout.value_or(std::chrono::milliseconds(0)).count()));
  running_.emplace(state.get(), state);
  curl_multi_add_handle(multi_.handle(), easy);
}

// Takes the transfer off libcurl; its connection stays usable only if the exchange was complete.
void CurlThread::end(HttpExchange::State& state) {
  const auto held = running_.extract(&state);
  CurlTransfer& curl = state.curl;
  curl_multi_remove_handle(multi_.handle(), curl.easy);
  curl_easy_setopt(curl.easy, CURLOPT_ERRORBUFFER, nullptr);
  curl_easy_setopt(curl.easy, CURLOPT_HTTPHEADER, nullptr);
  idle_.push_back(std::exchange(curl.easy, nullptr));
}

void CurlThread::collect_finished() {
  int left = 0;
  while (CURLMsg* message = curl_multi_info_read(multi_.handle(), &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    const CURLcode code = message->data.result;
    HttpExchange::State* found = nullptr;
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &found);
    HttpExchange::State& state = *found;
    CurlTransfer& curl = state.curl;
    if (curl.filled != 0) {
      curl.filling.narrow(0, curl.filled);
      curl.news.body.push_back(std::move(curl.filling));
      curl.filled = 0;
    }
    if (code == CURLE_OK)
      curl.news.done = Result<void>();
    else
      curl.news.done = Failure(curl_error(code, curl.error_text, state.request));
    note(state);
    end(state);
  }
}

void CurlThread::note(HttpExchange::State& state) {
  if (std::exchange(state.curl.has_news, true)) return;
  with_news_.push_back(running_.at(&state));
}

void CurlThread::deliver_news() {
  if (with_news_.empty()) return;
  auto batch = std::make_shared<std::vector<std::pair<StatePtr, HttpDelivery>>>();
  for (StatePtr& state : with_news_) {
    state->curl.has_news = false;
    HttpDelivery news = std::exchange(state->curl.news, {});
    batch->emplace_back(std::move(state), std::move(news));
  }
  with_news_.clear();
  loop_.post([batch] {
    for (auto& [state, news] : *batch) state->deliver(std::move(news));
  });
}

std::size_t CurlThread::on_header(char* data, std::size_t size, std::size_t count, void* user) {
  auto& state = *static_cast<HttpExchange::State*>(user);
  CurlTransfer& curl = state.curl;
  const std::string_view line = trimmed({data, size * count});
  if (curl.head_done) return count; // trailer fields (RFC 9110, 6.5) are of no use here
  curl.head_bytes += size * count;
  if (curl.head_bytes > max_head_bytes) return 0;
  if (line.starts_with("HTTP/")) {
    curl.head = {};
    const std::size_t space = line.find(' ');
    if (space != line.npos) std::from_chars(line.data() + space + 1, line.data() + line.size(), curl.head.status);
  } else if (!line.empty()) {
    const std::size_t colon = line.find(':');
    if (colon != line.npos)
      curl.head.headers.emplace_back(lower_ascii(line.substr(0, colon)), trimmed(line.substr(colon + 1)));
  } else if (curl.head.status >= 200) { // RFC 9110, 15.2: interim responses come before
    curl.head_done = true;
    std::uint64_t length = 0;
    const std::string_view text = curl.head.header("content-length");
    if (const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), length);
        !text.empty() && error == std::errc())
      curl.content_length = length;
    curl.news.head = std::move(curl.head);
    curl.thread->note(state);
  }
  return count;
}

std::size_t CurlThread::on_body(char* data, std::size_t size, std::size_t count, void* user) {
  auto& state = *static_cast<HttpExchange::State*>(user);
  CurlTransfer& curl = state.curl;
  const std::size_t total = size * count;
  if (state.unread_bytes >= state.receive_ahead_bytes) {
    state.waits_for_reader = true;
    // The reader may have caught up between the two lines above.
    if (state.unread_bytes > state.receive_ahead_bytes / 2) {
      curl.receive_paused = true;
      return CURL_WRITEFUNC_PAUSE;
    }
    state.waits_for_reader = false;
  }
  std::size_t used = 0;
  while (used < total) {
    if (curl.filled == 0) {
      std::uint64_t wanted = state.request.chunk_bytes;
      if (curl.content_length)
        wanted = std::min<std::uint64_t>(wanted, std::max<std::uint64_t>(*curl.content_length, 1));
      curl.filling = Chunk::allocate(wanted);
    }
    const std::size_t piece = std::min(curl.filling.size() - curl.filled, total - used);
    std::memcpy(curl.filling.data() + curl.filled, data + used, piece);
    curl.filled += piece;
    used += piece;
    if (curl.content_length) *curl.content_length -= std::min<std::uint64_t>(piece, *curl.content_length);
    if (curl.filled == curl.filling.size()) {
      curl.news.body.push_back(std::move(curl.filling));
      curl.filled = 0;
      curl.thread->note(state);
    }
  }
  state.unread_bytes += total;
  return total;
}

std::size_t CurlThread::on_send(char* buffer, std::size_t size, std::size_t count, void* user) {
  auto& state = *static_cast<HttpExchange::State*>(user);
  CurlTransfer& curl = state.curl;
  const std::size_t room = size * count;
  std::size_t used = 0;
  if (!state.request.body) return 0;
  const std::vector<Chunk>& body = *state.request.body;
  while (used < room && curl.body_index < body.size()) {
    const Chunk& chunk = body[curl.body_index];
    const std::size_t piece = std::min(room - used, chunk.size() - curl.body_offset);
    std::memcpy(buffer + used, chunk.data() + curl.body_offset, piece);
    used += piece;
    curl.body_offset += piece;
    if (curl.body_offset == chunk.size()) {
      ++curl.body_index;
      curl.body_offset = 0;
    }
  }
  return used;
}

// A kept connection may turn out to be closed; libcurl then sends the request again from its start.
int CurlThread::on_seek(void* user, curl_off_t offset, int origin) {
  auto& state = *static_cast<HttpExchange::State*>(user);
  if (offset != 0 || origin != SEEK_SET) return CURL_SEEKFUNC_CANTSEEK;
  state.curl.body_index = 0;
  state.curl.body_offset = 0;
  return CURL_SEEKFUNC_OK;
}

int CurlThread::on_debug(CURL*, curl_infotype type, char* data, std::size_t size, void* user) {
  auto& thread = *static_cast<CurlThread*>(user);
  trace_lines(type, {data, size}, thread.settings_.trace);
  return 0;
}

} // namespace checkvalve
