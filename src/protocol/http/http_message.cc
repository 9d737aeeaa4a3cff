#include "protocol/http/http_message.h"

#include <curl/curl.h>

#include "core/percent.h"

namespace checkvalve {
namespace {

struct Url {
  CURLU* handle = curl_url();
  Url() = default;
  Url(const Url&) = delete;
  Url& operator=(const Url&) = delete;
  ~Url() { curl_url_cleanup(handle); }

  bool set(const std::string& text) {
    return curl_url_set(handle, CURLUPART_URL, text.c_str(), CURLU_PATH_AS_IS) == CURLUE_OK;
  }
  std::string part(CURLUPart what, unsigned flags = 0) const {
    char* text = nullptr;
    if (curl_url_get(handle, what, &text, flags) != CURLUE_OK) return "";
    std::string out(text);
    curl_free(text);
    return out;
  }
  std::string origin() const {
    return part(CURLUPART_SCHEME) + "://" + part(CURLUPART_HOST) + ":" + part(CURLUPART_PORT, CURLU_DEFAULT_PORT);
  }
};

Failure refused(const HttpRequest& request, std::string why) {
  return Failure(
      make_error(ErrorKind::protocol, "follow redirect of", std::string(without_query(request.url)), std::move(why)));
}

} // namespace

std::uint64_t HttpRequest::body_bytes() const {
  std::uint64_t size = 0;
  if (body)
    for (const Chunk& chunk : *body) size += chunk.size();
  return size;
}

std::string_view HttpHead::header(std::string_view name) const {
  for (const auto& [known, value] : headers)
    if (known == name) return value;
  return {};
}

Result<HttpRequest> redirected(HttpRequest request, int status, std::string_view location) {
  if (location.empty()) return refused(request, "the server redirects without saying where");
  if (request.redirects == 0) return refused(request, "the server redirects too often");
  Url url;
  if (!url.set(request.url)) return refused(request, "the URL can't be read");
  const std::string origin = url.origin();
  const std::string scheme = url.part(CURLUPART_SCHEME);
  if (!url.set(std::string(location))) return refused(request, "the server redirects to an invalid URL");
  const std::string new_scheme = url.part(CURLUPART_SCHEME);
  if (new_scheme != "http" && new_scheme != "https")
    return refused(request, "the server redirects to " + new_scheme + "://");
  if (scheme == "https" && new_scheme == "http") return refused(request, "the server redirects from https to http");
  request.url = url.part(CURLUPART_URL);
  if (url.origin() != origin) std::erase_if(request.headers, [](const HttpHeader& header) { return header.secret; });
  // RFC 9110, 15.4.4: after 303 the answer is fetched with GET. 301 and 302 keep the method here, as 307 and 308 do.
  if (status == 303 && request.method != "HEAD") {
    request.method = "GET";
    request.body.reset();
  }
  --request.redirects;
  return request;
}

std::string_view without_query(std::string_view url) { return url.substr(0, url.find_first_of("?#")); }

std::string percent_encode(std::string_view bytes, bool keep_slashes) {
  static constexpr char digits[] = "0123456789ABCDEF";
  std::string out;
  out.reserve(bytes.size());
  for (const char c : bytes) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                       c == '.' || c == '_' || c == '~' || (c == '/' && keep_slashes);
    if (plain) {
      out += c;
    } else {
      const auto byte = static_cast<std::uint8_t>(c);
      out += '%';
      out += digits[byte >> 4];
      out += digits[byte & 15];
    }
  }
  return out;
}

std::string percent_decode(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && hex_value(text[i + 1]) >= 0 && hex_value(text[i + 2]) >= 0) {
      out += static_cast<char>(hex_value(text[i + 1]) * 16 + hex_value(text[i + 2]));
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

} // namespace checkvalve
