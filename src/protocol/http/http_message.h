// HTTP requests and responses as values (RFC 9110).
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/cancellation.h"
#include "core/chunk.h"
#include "core/result.h"

namespace checkvalve {

struct HttpHeader {
  std::string name;
  std::string value;
  bool secret = false; // never traced, and not sent on to another host by a redirect
};

struct HttpRequest {
  std::string method = "GET";
  std::string url; // absolute, http or https, percent-encoded; its path is sent as it stands, "..": too
  std::vector<HttpHeader> headers;
  // Shared, so that a request can be sent again.
  std::shared_ptr<const std::vector<Chunk>> body;

  std::uint32_t redirects = 0;             // followed by HttpClient::fetch, at most this many
  std::uint64_t max_body_bytes = 16 << 20; // of a response that fetch() collects; more is ErrorKind::protocol
  std::uint32_t chunk_bytes = 256 * 1024;  // a streamed response comes in chunks of this size, the last one shorter
  std::uint64_t expected_bytes = 0;        // of the response's body: sizes the buffers, limits nothing
  bool direct = false;                     // past any proxy
  std::optional<std::chrono::milliseconds> timeout; // for the whole exchange; the stall timeout holds besides
  // Added to HttpSettings::stall_timeout, for work that the server does silently before it answers.
  std::chrono::seconds silent_work{0};
  CancellationToken cancellation; // ends the waits for the response

  std::uint64_t body_bytes() const;
};

struct HttpHead {
  int status = 0;
  std::vector<std::pair<std::string, std::string>> headers; // names in lower case, in the order of the response

  // The first header of this name (lower case), or "".
  std::string_view header(std::string_view name) const;
  bool ok() const { return status >= 200 && status < 300; }
};

struct HttpResponse {
  HttpHead head;
  std::string body;
};

// A redirect's target, resolved against the request's URL (RFC 9110, 10.2.2). Refuses anything but http and https,
// and a step from https to http. Headers marked secret are dropped if scheme, host or port change.
Result<HttpRequest> redirected(HttpRequest request, int status, std::string_view location);

// "https://host/path?query" → "https://host/path": queries may hold signatures, so messages leave them out.
std::string_view without_query(std::string_view url);

// RFC 3986, 2.1: everything but letters, digits and "-._~" becomes %XX; '/' too unless it is to be kept.
std::string percent_encode(std::string_view bytes, bool keep_slashes);
// The reverse; a '%' without two hexadecimal digits stands for itself.
std::string percent_decode(std::string_view text);

} // namespace checkvalve
