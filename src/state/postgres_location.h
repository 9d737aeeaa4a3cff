// What postgresql:// URLs say, before a connection is made.
#pragma once

#include <string>

#include "core/result.h"

namespace checkvalve {

struct PostgresLocation {
  std::string shown;         // as messages may show it: user, hosts, ports and database, nothing else
  bool chooses_host = false; // among those it names, by what a server says of itself (target_session_attrs)
};

// Checks the URL. A password in it is refused: it would show in process lists. Error kind config; its text never holds
// the password.
Result<PostgresLocation> check_postgres_url(const std::string& url);

} // namespace checkvalve
