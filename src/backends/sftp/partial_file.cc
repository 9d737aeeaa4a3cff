#include "backends/sftp/partial_file.h"

#include "backends/sftp/sftp_side.h"

namespace checkvalve {

Task<Result<std::unique_ptr<FileStreams>>> open_partial(std::shared_ptr<ConnectionPool> pool, PartialFile partial) {
  CV_CO_TRY(auto session, co_await pool->get());
  for (const std::string& from : partial.names) {
    if (from == partial.name) continue;
    auto renamed = co_await session->rename(from, partial.name);
    if (renamed) break;
    if (renamed.error().kind != ErrorKind::not_found) co_return Failure(std::move(renamed.error()));
  }
  // OPEN would write through a symbolic link.
  CV_CO_TRY(const FileAttributes found, co_await session->lstat(partial.name));
  if (type_of(found).value_or(EntryType::file) != EntryType::file)
    co_return Failure(make_error(ErrorKind::integrity, "the partial upload is not a file"));
  if (found.size_bytes.value_or(0) < partial.acknowledged_bytes)
    co_return Failure(make_error(ErrorKind::integrity, "the partial upload is shorter than what was acknowledged"));
  co_return co_await FileStreams::open(
      pool, {.path = partial.name, .flags = open_flag::write, .size_bytes = partial.size_bytes});
}

} // namespace checkvalve
