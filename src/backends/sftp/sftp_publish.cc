#include "backends/sftp/sftp_publish.h"

#include <sys/stat.h>

#include "backends/temporary.h"
#include "core/path.h"

namespace checkvalve {
namespace {

using SessionPtr = std::shared_ptr<SftpSession>;

constexpr std::string_view posix_rename = "posix-rename@openssh.com";
constexpr std::string_view hard_link = "hardlink@openssh.com";

Failure name_exists(const std::string& path) {
  return Failure(make_error(ErrorKind::exists, "publish", escape_bytes(path), "the name exists at the target"));
}

bool is_directory(const FileAttributes& attributes) { return (attributes.permissions.value_or(0) & S_IFMT) == S_IFDIR; }

Task<Result<bool>> exists(SessionPtr session, std::string path) {
  auto found = co_await session->lstat(std::move(path));
  if (found) co_return true;
  if (found.error().kind == ErrorKind::not_found) co_return false;
  co_return Failure(std::move(found.error()));
}

// A refused rename is plain FAILURE: a directory of that name is the reason that a user can do something about.
Task<Error> explain(SessionPtr session, std::string path, Error error) {
  if (error.kind != ErrorKind::io) co_return error;
  auto found = co_await session->lstat(path);
  if (found && is_directory(*found))
    co_return make_error(ErrorKind::is_a_directory, "publish", escape_bytes(path),
                         "a directory has this name at the target");
  co_return co_await session->diagnose(std::move(error), std::string(parent_path(path)));
}

Task<Result<std::string>> rename_new(SessionPtr session, std::string temporary, std::string path) {
  auto renamed = co_await session->rename(std::move(temporary), path);
  if (renamed) co_return std::string("rename");
  if (renamed.error().kind != ErrorKind::io) co_return Failure(std::move(renamed.error()));
  CV_CO_TRY(const bool there, co_await exists(session, path));
  if (there) co_return name_exists(path);
  co_return Failure(co_await session->diagnose(std::move(renamed.error()), std::string(parent_path(path))));
}

Task<Result<std::string>> publish_if_absent(SessionPtr session, std::string temporary, std::string path) {
  if (session->has(hard_link)) {
    auto linked = co_await session->hard_link(temporary, path);
    if (linked) {
      // The file is published, whatever becomes of its other name. Who may remove nothing is renamed from now on.
      auto removed = co_await session->remove(std::move(temporary));
      if (!removed && session->alive()) session->disable(hard_link);
      co_return std::string("link");
    }
    if (linked.error().kind == ErrorKind::unsupported)
      session->disable(hard_link);
    else if (linked.error().kind != ErrorKind::io && linked.error().kind != ErrorKind::permission)
      co_return Failure(std::move(linked.error()));
  }
  // Refused: the name exists, or the file system has no hard links.
  CV_CO_TRY(const bool there, co_await exists(session, path));
  if (there) co_return name_exists(path);
  co_return co_await rename_new(std::move(session), std::move(temporary), std::move(path));
}

// Another temporary's name in the same directory.
std::string beside(const std::string& temporary) {
  auto name = parse_temporary(base_name(temporary)).value_or(TemporaryName{random_plan_id()});
  name.nonce = random_nonce();
  return name.beside(temporary);
}

Task<Result<std::string>> publish_with_gap(SessionPtr session, std::string temporary, std::string path) {
  auto renamed = co_await session->rename(temporary, path);
  if (renamed) co_return std::string("rename");
  if (renamed.error().kind != ErrorKind::io && renamed.error().kind != ErrorKind::exists)
    co_return Failure(std::move(renamed.error()));
  auto found = co_await session->lstat(path);
  if (!found || is_directory(*found)) co_return Failure(co_await explain(session, path, std::move(renamed.error())));
  // The old file is moved aside, not removed: it goes back if the new one can't take its name.
  const std::string aside = beside(temporary);
  CV_CO_CHECK(co_await session->rename(path, aside));
  if (auto published = co_await session->rename(temporary, path); !published) {
    if (auto back = co_await session->rename(aside, path); !back)
      published.error().message += ", and the old file could not be put back: it is " + escape_bytes(aside);
    co_return Failure(std::move(published.error()));
  }
  // If it stays, it is an orphan that sweep finds.
  [[maybe_unused]] auto removed = co_await session->remove(aside);
  co_return std::string("rename");
}

} // namespace

Task<Result<std::string>> publish(SessionPtr session, std::string temporary, std::string path, Replace replace) {
  if (replace == Replace::if_absent)
    co_return co_await publish_if_absent(std::move(session), std::move(temporary), std::move(path));
  if (session->has(posix_rename)) {
    auto renamed = co_await session->posix_rename(temporary, path);
    if (renamed) co_return std::string("posix-rename");
    if (renamed.error().kind != ErrorKind::unsupported)
      co_return Failure(co_await explain(session, path, std::move(renamed.error())));
    session->disable(posix_rename);
  }
  if (replace == Replace::allow_gap)
    co_return co_await publish_with_gap(std::move(session), std::move(temporary), std::move(path));
  CV_CO_TRY(const bool there, co_await exists(session, path));
  if (there)
    co_return Failure(make_error(ErrorKind::unsupported, "publish", escape_bytes(path),
                                 "the server can't replace an existing file in one step (no posix-rename@openssh.com); "
                                 "overwrite = \"non-atomic\" allows a moment without the file"));
  co_return co_await rename_new(std::move(session), std::move(temporary), std::move(path));
}

} // namespace checkvalve
