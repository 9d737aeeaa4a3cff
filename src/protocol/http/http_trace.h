// The HTTP trace: heads of requests and responses, as lines, without secrets. Private to src/protocol/http.
#pragma once

#include <curl/curl.h>

#include <functional>
#include <string>
#include <string_view>

namespace checkvalve {

// Values of headers with credentials, and of a query's signature and token, are replaced. Bodies, TLS details and
// libcurl's own remarks are omitted.
void trace_lines(curl_infotype type, std::string_view data, const std::function<void(std::string_view)>& sink);

// One line of a head with its secrets replaced by "***".
std::string redacted(std::string_view line);

} // namespace checkvalve
