#include "backends/sftp/sftp_target.h"

#include "backends/orphans.h"
#include "backends/set_aside.h"
#include "backends/sftp/sftp_publish.h"
#include "backends/sftp/sftp_upload.h"
#include "core/path.h"

namespace checkvalve {
namespace {

constexpr std::uint32_t create_new = open_flag::write | open_flag::create | open_flag::exclusive;

// OpenSSH's errors for an existing name are plain FAILURE.
bool may_exist(const Error& error) { return error.kind == ErrorKind::exists || error.kind == ErrorKind::io; }

} // namespace

struct SftpTarget::Making {
  OneShotEvent done;
  Result<void> result;
};

Task<Result<void>> SftpTarget::connect() {
  CV_CO_CHECK(co_await side_.connect(/*may_be_missing=*/true));
  CV_CO_TRY(auto session, co_await side_.session());
  shared_->capabilities = side_.capabilities(*session, session->limits().write_bytes);
  co_return Result<void>();
}

Task<Result<std::unique_ptr<Listing>>> SftpTarget::list(std::string directory, bool recursive) {
  if (recursive) co_return Failure(make_error(ErrorKind::unsupported, "SFTP lists one directory at a time"));
  co_return co_await side_.list(std::move(directory));
}

Result<void> SftpTarget::accepts(std::string_view path) const { return check_tree_path(path); }

Task<Result<void>> SftpTarget::make_directory(std::string path, std::optional<std::uint32_t> mode) {
  CV_CO_CHECK(check_below_root(path));
  CV_CO_TRY(auto session, co_await side_.session());
  co_return co_await make_absolute(side_.absolute(path), mode);
}

// Calls for one directory wait for the first of them.
Task<Result<void>> SftpTarget::make_absolute(std::string path, std::optional<std::uint32_t> mode) {
  if (const auto running = making_.find(path); running != making_.end()) {
    auto other = running->second;
    co_await other->done;
    co_return other->result;
  }
  auto mine = making_[path] = std::make_shared<Making>();
  mine->result = co_await make_with_parents(path, mode);
  making_.erase(path);
  mine->done.set();
  co_return mine->result;
}

Task<Result<void>> SftpTarget::make_with_parents(std::string path, std::optional<std::uint32_t> mode) {
  CV_CO_TRY(auto session, co_await side_.session());
  FileAttributes attributes;
  attributes.permissions = mode;
  auto made = co_await session->make_directory(path, attributes);
  if (!made && made.error().kind == ErrorKind::not_found) {
    const std::string parent(parent_path(path));
    if (parent.empty()) co_return made;
    CV_CO_CHECK(co_await make_absolute(parent, std::nullopt));
    made = co_await session->make_directory(path, attributes);
  }
  if (made || !session->alive()) co_return made;
  // It exists, as whatever it is; or the server refuses to make what is there (permission on "/", a read-only parent).
  auto found = co_await session->stat(path);
  if (found && entry_from(*found, {}).type == EntryType::directory) co_return Result<void>();
  if (found) co_return Failure(make_error(ErrorKind::not_a_directory, "the name exists and is not a directory"));
  if (made.error().kind == ErrorKind::not_found)
    co_return Failure(make_error(ErrorKind::not_a_directory, "a component of the path is not a directory"));
  co_return Failure(co_await session->diagnose(std::move(made.error()), std::string(parent_path(path))));
}

Task<Result<std::unique_ptr<Upload>>> SftpTarget::begin(std::string path, UploadHints hints) {
  CV_CO_CHECK(check_tree_path(path));
  CV_CO_TRY(auto session, co_await side_.session());
  const std::string temporary = side_.absolute(hints.temporary.beside(path));
  const std::string final_path = side_.absolute(path);
  const std::uint64_t size_bytes = hints.size_bytes.value_or(0);
  auto streams = co_await FileStreams::open(side_.pool(), temporary, create_new, open_flag::write, size_bytes);
  if (!streams && streams.error().kind == ErrorKind::not_found && parent_path(path).empty()) {
    CV_CO_CHECK(co_await make_absolute(side_.root(), std::nullopt));
    streams = co_await FileStreams::open(side_.pool(), temporary, create_new, open_flag::write, size_bytes);
  } else if (!streams && may_exist(streams.error())) {
    // An earlier attempt of ours may have left this very name.
    if (auto removed = co_await session->remove(temporary))
      streams = co_await FileStreams::open(side_.pool(), temporary, create_new, open_flag::write, size_bytes);
  }
  if (!streams) {
    auto error = co_await session->diagnose(std::move(streams.error()), std::string(parent_path(final_path)));
    co_return Failure(std::move(error));
  }
  co_return make_sftp_upload(context_, side_.pool(), shared_, std::move(*streams), temporary, final_path, size_bytes);
}

Task<Result<void>> SftpTarget::make_link(std::string path, std::string text, TemporaryName temporary, Replace replace) {
  CV_CO_CHECK(check_tree_path(path));
  CV_CO_TRY(auto session, co_await side_.session());
  const std::string link = side_.absolute(path);
  const std::string waiting = side_.absolute(temporary.beside(path));
  auto made = co_await session->symlink(text, waiting);
  if (!made && may_exist(made.error())) {
    if (auto removed = co_await session->remove(waiting)) made = co_await session->symlink(text, waiting);
  }
  if (!made) co_return made;
  // A symbolic link gives way to another whatever `replace` says.
  if (replace == Replace::if_absent) {
    auto found = co_await session->lstat(link);
    if (found && entry_from(*found, {}).type == EntryType::symlink) replace = Replace::atomic;
  }
  std::string set_aside;
  auto published = co_await publish(session, waiting, link, replace, set_aside);
  if (published) co_return Result<void>();
  if (auto another = co_await side_.session()) { // the one before may be lost
    (void)co_await (*another)->remove(waiting);
    if (!set_aside.empty()) (void)co_await checkvalve::settle_set_aside(*another, set_aside, link);
  }
  co_return Failure(std::move(published.error()));
}

Task<Result<void>> SftpTarget::discard(std::string path, TemporaryName temporary) {
  CV_CO_CHECK(check_tree_path(path));
  CV_CO_TRY(auto session, co_await side_.session());
  co_return co_await remove_temporary(side_.absolute(temporary.beside(path)));
}

Task<Result<void>> SftpTarget::remove_orphan(Orphan orphan) {
  CV_CO_CHECK(check_orphan(orphan));
  CV_CO_TRY(auto session, co_await side_.session());
  co_return co_await remove_temporary(side_.absolute(orphan.path));
}

Task<Result<void>> SftpTarget::remove_temporary(std::string path) {
  CV_CO_TRY(auto session, co_await side_.session());
  auto removed = co_await session->remove(std::move(path));
  if (!removed && removed.error().kind == ErrorKind::not_found) co_return Result<void>();
  co_return removed;
}

Task<Result<SetAsideOutcome>> SftpTarget::settle_set_aside(std::string path) {
  CV_CO_CHECK(check_tree_path(path));
  CV_CO_TRY(auto session, co_await side_.session());
  co_return co_await checkvalve::settle_set_aside(std::move(session), side_.absolute(path),
                                                  side_.absolute(path_before_set_aside(path)));
}

Task<Result<HashAlgorithm>> SftpTarget::server_side_checksum() {
  CV_CO_TRY(auto session, co_await side_.session());
  const TemporaryName nobodys{random_plan_id(), 1, random_nonce(), 0};
  CV_CO_TRY(const bool has, co_await session->has_check_file(side_.absolute(nobodys.text())));
  if (has) co_return HashAlgorithm::sha256;
  co_return Failure(make_error(ErrorKind::unsupported,
                               "the server can't compute digests of its files (no \"check-file\" extension)"));
}

} // namespace checkvalve
