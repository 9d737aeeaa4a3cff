#include "backends/sftp/sftp_publish.h"

#include <sys/stat.h>

#include "backends/set_aside.h"
#include "core/path.h"

namespace checkvalve {
namespace {

using SessionPtr = std::shared_ptr<SftpSession>;
using std::chrono::seconds;

constexpr std::string_view posix_rename = "posix-rename@openssh.com";
constexpr std::string_view hard_link = "hardlink@openssh.com";

Failure name_exists() { return Failure(make_error(ErrorKind::exists, "the name exists at the target")); }

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
    co_return make_error(ErrorKind::is_a_directory, "a directory has this name at the target");
  co_return co_await session->diagnose(std::move(error), std::string(parent_path(path)));
}

Task<Result<std::string>> rename_new(SessionPtr session, std::string temporary, std::string path, seconds work) {
  auto renamed = co_await session->rename(std::move(temporary), path, work);
  if (renamed) co_return std::string("rename");
  if (renamed.error().kind != ErrorKind::io) co_return Failure(std::move(renamed.error()));
  CV_CO_TRY(const bool there, co_await exists(session, path));
  if (there) co_return name_exists();
  co_return Failure(co_await session->diagnose(std::move(renamed.error()), std::string(parent_path(path))));
}

Task<Result<std::string>> publish_if_absent(SessionPtr session, std::string temporary, std::string path, seconds work) {
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
  if (there) co_return name_exists();
  co_return co_await rename_new(std::move(session), std::move(temporary), std::move(path), work);
}

// The replacement is proved by its size and mtime, which it had once all its bytes were acknowledged, and which a
// rename keeps.
Task<Result<void>> move_aside(SessionPtr session, std::string temporary, std::string path, std::string& set_aside) {
  CV_CO_TRY(const FileAttributes replacement, co_await session->lstat(std::move(temporary)));
  CV_CO_TRY(set_aside, set_aside_path(path, replacement.size_bytes.value_or(0), replacement.mtime_s.value_or(0)));
  auto moved = co_await session->rename(std::move(path), set_aside);
  if (!moved && session->alive()) set_aside.clear();
  co_return moved;
}

Task<Result<std::string>> publish_with_gap(SessionPtr session, std::string temporary, std::string path, seconds work,
                                           std::string& set_aside) {
  auto renamed = co_await session->rename(temporary, path, work);
  if (renamed) co_return std::string("rename");
  if (renamed.error().kind != ErrorKind::io && renamed.error().kind != ErrorKind::exists)
    co_return Failure(std::move(renamed.error()));
  auto found = co_await session->lstat(path);
  if (!found || is_directory(*found)) co_return Failure(co_await explain(session, path, std::move(renamed.error())));
  // The old file is moved aside, not removed: it goes back if the new one can't take its name.
  CV_CO_CHECK(co_await move_aside(session, temporary, path, set_aside));
  auto published = co_await session->rename(temporary, path, work);
  if (published) {
    // If it stays, the next plan settles it.
    (void)co_await session->remove(std::exchange(set_aside, {}));
    co_return std::string("rename");
  }
  if (!session->alive()) co_return Failure(std::move(published.error()));
  const auto outcome = co_await settle_set_aside(session, set_aside, path);
  if (!outcome)
    published.error().message +=
        ", and the old file could not be put back: it is " + escape_bytes(base_name(set_aside));
  // A run that plans at this moment may have put the old file back.
  if (outcome && *outcome == SetAsideOutcome::kept) published.error().kind = ErrorKind::changed;
  if (session->alive()) set_aside.clear();
  co_return Failure(std::move(published.error()));
}

} // namespace

Task<Result<SetAsideOutcome>> settle_set_aside(SessionPtr session, std::string set_aside, std::string path) {
  const auto there = co_await session->lstat(path);
  if (there) {
    const auto name = parse_set_aside(base_name(set_aside));
    if (!name || !there->size_bytes || !there->mtime_s || !is_replacement(*name, *there->size_bytes, *there->mtime_s))
      co_return SetAsideOutcome::kept;
    auto removed = co_await session->remove(std::move(set_aside));
    if (!removed && removed.error().kind != ErrorKind::not_found) co_return Failure(std::move(removed.error()));
    co_return SetAsideOutcome::replaced;
  }
  if (there.error().kind != ErrorKind::not_found) co_return Failure(there.error());
  CV_CO_CHECK(co_await rename_new(session, std::move(set_aside), std::move(path), seconds(0)));
  co_return SetAsideOutcome::put_back;
}

Task<Result<std::string>> publish(SessionPtr session, std::string temporary, std::string path, Replace replace,
                                  seconds work, std::string& set_aside) {
  set_aside.clear();
  if (replace == Replace::if_absent)
    co_return co_await publish_if_absent(std::move(session), std::move(temporary), std::move(path), work);
  if (session->has(posix_rename)) {
    auto renamed = co_await session->posix_rename(temporary, path, work);
    if (renamed) co_return std::string("posix-rename");
    if (renamed.error().kind != ErrorKind::unsupported)
      co_return Failure(co_await explain(session, path, std::move(renamed.error())));
    session->disable(posix_rename);
  }
  if (replace == Replace::allow_gap)
    co_return co_await publish_with_gap(std::move(session), std::move(temporary), std::move(path), work, set_aside);
  CV_CO_TRY(const bool there, co_await exists(session, path));
  if (there)
    co_return Failure(make_error(ErrorKind::unsupported, "the server can't replace an existing file in one step (no "
                                                         "posix-rename@openssh.com)")
                          .with_hint("--on-conflict overwrite-non-atomic allows a moment without the file"));
  co_return co_await rename_new(std::move(session), std::move(temporary), std::move(path), work);
}

} // namespace checkvalve
