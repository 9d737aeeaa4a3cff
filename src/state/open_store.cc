#include <fmt/format.h>

#include <filesystem>
#include <system_error>

#include "core/path.h"
#include "core/percent.h"
#ifndef CHECKVALVE_WITHOUT_POSTGRES // CMake option CHECKVALVE_POSTGRES
#include "state/postgres_database.h"
#endif
#include "state/sqlite_database.h"
#include "state/store.h"

namespace checkvalve {
namespace {

constexpr std::string_view sqlite_prefix = "sqlite:///";

Failure refusal(const std::string& location, std::string message) {
  return Failure(make_error(ErrorKind::config, "open state", escape_bytes(location), std::move(message)));
}

// The absolute path of the state file.
Result<std::string> sqlite_path(const std::string& location) {
  if (location.empty()) return refusal(location, "no state is named: give a path, sqlite:///path or postgresql://…");
  if (location.find('\0') != location.npos) return refusal(location, "a path can't hold a NUL byte");
  if (location.starts_with(sqlite_prefix)) {
    const auto path = percent_decoded(std::string_view(location).substr(sqlite_prefix.size() - 1));
    if (!path) return refusal(location, "a '%' in a URL must be followed by two hexadecimal digits: write %25 for '%'");
    if (*path == "/") return refusal(location, "no file is named: write sqlite:///absolute/path");
    return *path;
  }
  const std::size_t scheme_end = location.find(':');
  if (location.starts_with("sqlite:"))
    return refusal(location, "write sqlite:///absolute/path, with three slashes, or just the path");
  if (scheme_end != location.npos && location.substr(scheme_end).starts_with("://"))
    return refusal(location, fmt::format("no state can be kept in {}://: give a path, sqlite:///path or postgresql://…",
                                         location.substr(0, scheme_end)));
  std::error_code error;
  const std::filesystem::path path = std::filesystem::absolute(location, error);
  if (error) return refusal(location, "can't find the working directory: " + error.message());
  return path.string();
}

} // namespace

Result<std::unique_ptr<StateStore>> open_state_store(const std::string& location, std::vector<std::string>& warnings,
                                                     const StateOptions& options) {
  if (location.starts_with("postgresql://") || location.starts_with("postgres://")) {
#ifdef CHECKVALVE_WITHOUT_POSTGRES
    return refusal(location, "this program was built without PostgreSQL");
#else
    CV_TRY(std::unique_ptr<SqlDatabase> database, open_postgres(location, options));
    return std::make_unique<StateStore>(std::move(database));
#endif
  }
  CV_TRY(const std::string path, sqlite_path(location));
  CV_TRY(std::unique_ptr<SqlDatabase> database, open_sqlite(path, options.busy_timeout, warnings));
  return std::make_unique<StateStore>(std::move(database));
}

} // namespace checkvalve
