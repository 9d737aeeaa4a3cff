// What postgresql:// URLs say, before a connection is made.
#pragma once

#include <string>

#include "core/result.h"

namespace checkvalve {

// Checks the URL and gives it as messages may show it: user, host, port and database, nothing else. A password in the
// URL is refused: it would show in process lists. Error kind config; its text never holds the password.
Result<std::string> check_postgres_url(const std::string& url);

} // namespace checkvalve
