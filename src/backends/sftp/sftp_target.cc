#include "backends/sftp/sftp_target.h"

#include "backends/orphans.h"
#include "backends/set_aside.h"
#include "backends/sftp/partial_file.h"
#include "backends/sftp/sftp_publish.h"
#include "backends/sftp/sftp_upload.h"
#include "core/path.h"

namespace checkvalve {
namespace {

constexpr std::uint32_t create_new = open_flag::write | open_flag::create | open_flag::exclusive;
constexpr std::uint32_t create_or_empty = open_flag::write | open_flag::create | open_flag::truncate;
constexpr std::size_t max_inside = 20'000; // directories that are remembered; about 2 MiB of names

// OpenSSH's errors for an existing name are plain FAILURE.
bool may_exist(const Error& error) { return error.kind == ErrorKind::exists || error.kind == ErrorKind::io; }

} // namespace

struct SftpTarget::Making {
  OneShotEvent done;
  Result<void> result;
};

Task<Result<void>> SftpTarget::connect() {
  CV_CO_CHECK(co_await side_.connect(/*is_target=*/true));
  CV_CO_TRY(auto session, co_await side_.session());
  const auto& settings = side_.pool()->settings();
  shared_->capabilities = side_.capabilities(*session, session->limits().write_bytes);
  if (settings.inplace) shared_->capabilities.atomic_replace = false;
  shared_->writes_anywhere = settings.parallel_writes.value_or(session->is_openssh());
  shared_->capabilities.resumes_temporaries = shared_->writes_anywhere && !settings.inplace;
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
  CV_CO_CHECK(co_await check_links(std::string(parent_path(path))));
  // MKDIR and LSTAT leave together.
  auto making = spawn(make_absolute(side_.absolute(path), mode));
  auto inside = co_await check_links(path);
  auto made = co_await making.get();
  co_return made ? std::move(inside) : std::move(made);
}

// One LSTAT for each directory on the way that was not seen before, all at once. A link that is planted there later is
// not noticed.
Task<Result<void>> SftpTarget::check_links(std::string directory) {
  if (directory.empty() || side_.pool()->settings().follow_outside) co_return Result<void>();
  CV_CO_TRY(auto session, co_await side_.session());
  if (inside_.contains(side_.absolute(directory))) co_return Result<void>();
  std::vector<std::string> paths;
  for (std::size_t end = 0; end != directory.npos;) {
    end = directory.find('/', end + 1);
    if (std::string path = side_.absolute(directory.substr(0, end)); !inside_.contains(path))
      paths.push_back(std::move(path));
  }
  std::vector<JoinHandle<Result<FileAttributes>>> looks;
  for (const std::string& path : paths) looks.push_back(spawn(session->lstat(path)));
  if (inside_.size() + paths.size() > max_inside) inside_.clear();
  Result<void> all;
  for (std::size_t i = 0; i < paths.size(); ++i) {
    auto found = co_await looks[i].get();
    if (!all || (!found && found.error().kind == ErrorKind::not_found)) continue;
    if (!session->alive()) co_return Failure(session->end_error());
    // A server that refuses LSTAT, or shows no types, gives no way to know.
    if (found && type_of(*found) == EntryType::symlink) all = co_await check_link(session, paths[i]);
    if (all) inside_.insert(paths[i]);
  }
  co_return all;
}

Task<Result<void>> SftpTarget::check_link(std::shared_ptr<SftpSession> session, std::string path) {
  if (real_root_.empty()) {
    CV_CO_TRY(real_root_, co_await session->real_path(side_.root()));
  }
  auto leads_to = co_await session->real_path(path);
  if (!leads_to) co_return Failure(std::move(leads_to.error()));
  if (*leads_to == real_root_ || real_root_ == "/" || leads_to->starts_with(real_root_ + "/")) co_return Result<void>();
  co_return Failure(make_error(ErrorKind::permission, "the symbolic link " + escape_bytes(path) +
                                                          " leads out of the root, to " + escape_bytes(*leads_to))
                        .with_hint("remove the link, make the directory that it leads to the target, or set the "
                                   "endpoint option follow_outside=yes"));
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
  const bool refused = !found && found.error().kind != ErrorKind::not_found;
  auto type = found ? type_of(*found) : std::nullopt;
  if (!type && (found || refused) && co_await opens_as_directory(session, path)) type = EntryType::directory;
  if (type == EntryType::directory) co_return Result<void>();
  // A user who may look at nothing may still have a directory to write to: opening a file in it will show.
  if (refused && session->alive() && made.error().kind != ErrorKind::unsupported) co_return Result<void>();
  if (found) co_return Failure(make_error(ErrorKind::not_a_directory, "the name exists and is not a directory"));
  if (auto link = co_await session->lstat(path); link && type_of(*link) == EntryType::symlink)
    co_return Failure(make_error(ErrorKind::not_a_directory, "the name is a symbolic link that leads nowhere"));
  if (made.error().kind == ErrorKind::not_found)
    co_return Failure(make_error(ErrorKind::not_a_directory, "a component of the path is not a directory"));
  co_return Failure(co_await session->diagnose(std::move(made.error()), std::string(parent_path(path))));
}

Task<Result<std::unique_ptr<Upload>>> SftpTarget::begin(std::string path, UploadHints hints) {
  CV_CO_CHECK(check_tree_path(path));
  CV_CO_TRY(auto session, co_await side_.session());
  CV_CO_CHECK(co_await check_links(std::string(parent_path(path))));
  const bool in_place = side_.pool()->settings().inplace;
  const std::string final_path = side_.absolute(path);
  const std::string written = in_place ? final_path : side_.absolute(hints.temporary.beside(path));
  const std::uint64_t size_bytes = hints.size_bytes.value_or(0);
  if (hints.partial && shared_->capabilities.resumes_temporaries) {
    PartialFile partial{{}, written, hints.partial->acknowledged_bytes, size_bytes};
    for (const TemporaryName& name : hints.partial->names) partial.names.push_back(side_.absolute(name.beside(path)));
    auto resumed = co_await open_partial(side_.pool(), std::move(partial));
    if (resumed)
      co_return make_sftp_upload(context_, side_.pool(), shared_, std::move(*resumed), written, final_path, size_bytes,
                                 hints.partial->acknowledged_bytes);
    if (resumed.error().transient()) co_return Failure(std::move(resumed.error()));
  }
  const auto open = [&] {
    return in_place ? open_in_place(written, hints.replaces, size_bytes) : open_new(written, size_bytes);
  };
  auto streams = co_await open();
  if (!streams && streams.error().kind == ErrorKind::not_found && parent_path(path).empty()) {
    CV_CO_CHECK(co_await make_absolute(side_.root(), std::nullopt));
    streams = co_await open();
  }
  if (!streams)
    co_return Failure(co_await session->diagnose(std::move(streams.error()), std::string(parent_path(final_path))));
  co_return make_sftp_upload(context_, side_.pool(), shared_, std::move(*streams), written, final_path, size_bytes, 0);
}

FileStreams::Open SftpTarget::to_write(std::string path, std::uint32_t flags, std::uint64_t size_bytes) const {
  return {.path = std::move(path),
          .flags = flags,
          .size_bytes = size_bytes,
          .parallel = shared_->writes_anywhere,
          .extra_flags = open_flag::write};
}

// A name of our own, which nobody else has.
Task<Result<std::unique_ptr<FileStreams>>> SftpTarget::open_new(std::string path, std::uint64_t size_bytes) {
  if (!shared_->takes_exclusive)
    co_return co_await FileStreams::open(side_.pool(), to_write(path, create_or_empty, size_bytes));
  auto opened = co_await FileStreams::open(side_.pool(), to_write(path, create_new, size_bytes));
  if (opened || (!may_exist(opened.error()) && opened.error().kind != ErrorKind::unsupported)) co_return opened;
  CV_CO_TRY(auto session, co_await side_.session());
  // An earlier attempt of ours may have left this very name.
  auto removed = co_await session->remove(path);
  if (removed) co_return co_await FileStreams::open(side_.pool(), to_write(path, create_new, size_bytes));
  if (removed.error().kind != ErrorKind::not_found) co_return opened;
  // Or the server does not take the flag.
  auto plain = co_await FileStreams::open(side_.pool(), to_write(path, create_or_empty, size_bytes));
  if (!plain) co_return opened;
  shared_->takes_exclusive = false;
  co_return plain;
}

Task<Result<std::unique_ptr<FileStreams>>> SftpTarget::open_in_place(std::string path, bool replaces,
                                                                     std::uint64_t size_bytes) {
  if (replaces || shared_->unfinished.contains(path)) {
    CV_CO_TRY(auto session, co_await side_.session());
    auto there = co_await session->lstat(path);
    if (there && type_of(*there) == EntryType::symlink) // which OPEN would write through
      co_return Failure(make_error(ErrorKind::exists, "a symbolic link has this name at the target"));
    co_return co_await FileStreams::open(side_.pool(), to_write(path, create_or_empty, size_bytes));
  }
  auto opened = co_await FileStreams::open(side_.pool(), to_write(path, create_new, size_bytes));
  if (!opened && (may_exist(opened.error()) || opened.error().kind == ErrorKind::unsupported)) {
    CV_CO_TRY(auto session, co_await side_.session());
    auto there = co_await session->lstat(path);
    if (there) co_return Failure(make_error(ErrorKind::exists, "the name exists at the target"));
    if (there.error().kind != ErrorKind::not_found) co_return opened;
    if (auto plain = co_await FileStreams::open(side_.pool(), to_write(path, create_or_empty, size_bytes)))
      opened = std::move(plain);
  }
  if (opened) shared_->unfinished.insert(path);
  co_return opened;
}

Task<Result<void>> SftpTarget::make_link(std::string path, std::string text, TemporaryName temporary, Replace replace) {
  CV_CO_CHECK(check_tree_path(path));
  CV_CO_TRY(auto session, co_await side_.session());
  CV_CO_CHECK(co_await check_links(std::string(parent_path(path))));
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
    if (found && type_of(*found) == EntryType::symlink) replace = Replace::atomic;
  }
  std::string set_aside;
  auto published = co_await publish(session, waiting, link, replace, std::chrono::seconds(0), set_aside);
  if (published) co_return Result<void>();
  if (auto another = co_await side_.session()) { // the one before may be lost
    (void)co_await (*another)->remove(waiting);
    if (!set_aside.empty()) (void)co_await checkvalve::settle_set_aside(*another, set_aside, link);
  }
  co_return Failure(std::move(published.error()));
}

Task<Result<void>> SftpTarget::discard(std::string path, TemporaryName temporary) {
  CV_CO_CHECK(check_tree_path(path));
  CV_CO_CHECK(co_await check_links(std::string(parent_path(path))));
  CV_CO_TRY(auto session, co_await side_.session());
  co_return co_await remove_temporary(side_.absolute(temporary.beside(path)));
}

Task<Result<void>> SftpTarget::remove_orphan(Orphan orphan) {
  CV_CO_CHECK(check_orphan(orphan));
  CV_CO_CHECK(co_await check_links(std::string(parent_path(orphan.path))));
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
  CV_CO_CHECK(co_await check_links(std::string(parent_path(path))));
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
