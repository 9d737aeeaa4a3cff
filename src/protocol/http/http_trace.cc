#include "protocol/http/http_trace.h"

#include <algorithm>
#include <array>

#include "core/text.h"

namespace checkvalve {
namespace {

constexpr std::array<std::string_view, 4> secret_parameters = {"x-amz-signature", "x-amz-security-token",
                                                               "x-amz-credential", "webidentitytoken"};
// Any header whose name holds one of these words.
constexpr std::array<std::string_view, 7> secret_words = {
    "authorization", "cookie", "token", "secret", "password", "api-key", "server-side-encryption-customer-key"};

// "GET /a?b=c&X-Amz-Signature=d HTTP/1.1" → "GET /a?b=c&X-Amz-Signature=*** HTTP/1.1"
std::string redacted_query(std::string_view line) {
  std::string out;
  std::size_t position = line.find('?');
  if (position == line.npos) return std::string(line);
  out = line.substr(0, position);
  while (position < line.size() && line[position] != ' ') {
    out += line[position++];
    const std::size_t end = std::min(line.find_first_of("& ", position), line.size());
    const std::string_view pair = line.substr(position, end - position);
    const std::size_t equals = pair.find('=');
    if (equals != pair.npos && std::ranges::count(secret_parameters, lower_ascii(pair.substr(0, equals))) != 0)
      out.append(pair.substr(0, equals + 1)).append("***");
    else
      out += pair;
    position = end;
  }
  return out.append(line.substr(position));
}

} // namespace

std::string redacted(std::string_view line) {
  const std::size_t colon = line.find(':');
  const std::size_t space = line.find(' ');
  if (colon == line.npos || (space != line.npos && space < colon)) return redacted_query(line);
  const std::string name = lower_ascii(line.substr(0, colon));
  for (std::string_view word : secret_words)
    if (name.find(word) != name.npos) return std::string(line.substr(0, colon)) + ": ***";
  return name == "location" ? redacted_query(line) : std::string(line);
}

void trace_lines(curl_infotype type, std::string_view data, const std::function<void(std::string_view)>& sink) {
  if (type != CURLINFO_HEADER_IN && type != CURLINFO_HEADER_OUT) return;
  const std::string_view mark = type == CURLINFO_HEADER_IN ? "< " : "> ";
  while (!data.empty()) {
    const std::size_t end = std::min(data.find('\n'), data.size());
    std::string_view line = data.substr(0, end);
    data.remove_prefix(std::min(end + 1, data.size()));
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    if (!line.empty()) sink(std::string(mark) + redacted(line));
  }
}

} // namespace checkvalve
