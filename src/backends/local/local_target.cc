#include "backends/local/local_target.h"

#include <fcntl.h>

#include <cerrno>
#include <filesystem>

#include "backends/local/local_copy.h"
#include "backends/local/local_publish.h"
#include "backends/local/local_upload.h"
#include "backends/orphans.h"
#include "core/path.h"

namespace checkvalve {
namespace {

constexpr std::size_t max_path_bytes = 4095; // PATH_MAX without its NUL

Result<void> remove_temporary(LocalTree& tree, const std::string& temporary) {
  auto root = tree.root();
  if (!root && root.error().kind == ErrorKind::not_found) return {};
  if (!root) return Failure(std::move(root.error()));
  return remove_name(**root, temporary);
}

Result<void> link_and_publish(LocalTree& tree, const std::string& path, const std::string& text,
                              const std::string& temporary, Replace replace) {
  CV_TRY(const SharedRoot root, tree.made_root());
  CV_CHECK(remove_name(*root, temporary));
  CV_TRY(const UniqueFd parent, root->open_parent(path));
  const std::string name(base_name(temporary));
  if (::symlinkat(text.c_str(), parent.get(), name.c_str()) != 0) return Failure(errno_error(errno, {}, {}));
  auto published = publish_name(*root, temporary, path, replace, true);
  if (published) return {};
  if (auto removed = remove_name(*root, temporary); !removed) return removed;
  return Failure(std::move(published.error()));
}

Result<std::unique_ptr<Upload>> begin_upload(ThreadPool& workers, const std::shared_ptr<LocalTree>& tree,
                                             const std::string& path, const std::string& temporary, bool sparse) {
  CV_TRY(auto file, NewFile::create(tree, path, temporary, sparse));
  return make_local_upload(workers, std::move(file));
}

// Makes a root that was just created survive power loss: its name and those of the directories above it, as far as the
// user may read them.
void sync_way_to(const std::string& root) {
  for (std::string here(parent_path(root));; here = parent_path(here)) {
    const UniqueFd fd(::open(here.empty() ? "/" : here.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (fd) ::fsync(fd.get());
    if (here.empty()) return;
  }
}

} // namespace

// --- LocalTree ------------------------------------------------------------------------------------------------------

Result<SharedRoot> LocalTree::made_root() {
  auto opened = holder_.open();
  if (opened || opened.error().kind != ErrorKind::not_found) return opened;
  std::error_code error;
  const bool created = std::filesystem::create_directories(holder_.path(), error);
  if (error) return Failure(errno_error(error.value(), "make directory", escape_bytes(holder_.path())));
  if (created) sync_way_to(holder_.path());
  return holder_.open();
}

Result<void> LocalTree::check_way_to_root() {
  for (std::string path = holder_.path();; path = parent_path(path)) {
    if (path.empty()) path = "/";
    struct stat status{};
    if (::stat(path.c_str(), &status) == 0) {
      if (S_ISDIR(status.st_mode)) return {};
      return Failure(make_error(ErrorKind::not_a_directory, "open directory", escape_bytes(path), "not a directory"));
    }
    if (errno != ENOENT || path == "/") return Failure(errno_error(errno, "open directory", escape_bytes(path)));
  }
}

// Whether the directory was created; false: it was there.
Result<bool> LocalTree::make_one(const RootDirectory& root, const std::string& path, std::optional<mode_t> mode) {
  CV_TRY(const UniqueFd parent, root.open_parent(path));
  const std::string name(base_name(path));
  if (::mkdirat(parent.get(), name.c_str(), mode.value_or(0777)) == 0) {
    // Past the umask, as the mode was asked for.
    if (mode && ::fchmodat(parent.get(), name.c_str(), *mode, 0) != 0) return Failure(errno_error(errno, {}, {}));
    std::lock_guard lock(mutex_);
    unsynced_.emplace(parent_path(path));
    return true;
  }
  if (errno != EEXIST) return Failure(errno_error(errno, {}, {}));
  CV_TRY(const struct stat status, root.stat_at(path, true));
  if (S_ISDIR(status.st_mode)) return false;
  return Failure(make_error(ErrorKind::not_a_directory, "exists and is not a directory"));
}

Result<void> LocalTree::make_directory(const std::string& path, std::optional<mode_t> mode) {
  CV_TRY(const SharedRoot root, made_root());
  if (path.empty()) return {};
  auto made = make_one(*root, path, mode);
  if (!made && made.error().kind == ErrorKind::not_found && !parent_path(path).empty()) {
    CV_CHECK(make_directory(std::string(parent_path(path)), std::nullopt));
    made = make_one(*root, path, mode);
  }
  if (!made) return Failure(std::move(made.error()));
  return {};
}

Result<void> LocalTree::sync_names(const RootDirectory& root, const std::string& directory) {
  for (std::string here = directory;; here = parent_path(here)) {
    bool needed = here == directory;
    {
      std::lock_guard lock(mutex_);
      needed = needed || unsynced_.contains(here);
    }
    if (needed) {
      CV_TRY(const UniqueFd fd, root.open_at(here, O_RDONLY | O_DIRECTORY, 0));
      // Some file systems have no fsync of directories (EINVAL): their names are as durable as they get.
      if (::fsync(fd.get()) != 0 && errno != EINVAL) return Failure(errno_error(errno, "fsync", {}));
      std::lock_guard lock(mutex_);
      unsynced_.erase(here);
    }
    if (here.empty()) return {};
  }
}

bool LocalTree::makes_nameless_files() {
  std::lock_guard lock(mutex_);
  return makes_nameless_files_;
}

void LocalTree::make_no_nameless_files() {
  std::lock_guard lock(mutex_);
  makes_nameless_files_ = false;
}

// --- LocalTarget ----------------------------------------------------------------------------------------------------

Task<Result<void>> LocalTarget::connect() {
  CV_CO_CHECK(co_await workers_.run([tree = tree_] { return tree->check_way_to_root(); }));
  if (auto opened = co_await workers_.run([tree = tree_] { return tree->root(); }))
    capabilities_ = local_capabilities(opened->get());
  else if (opened.error().kind != ErrorKind::not_found)
    co_return Failure(std::move(opened.error()));
  co_return Result<void>();
}

Task<Result<std::unique_ptr<Listing>>> LocalTarget::list(std::string directory, bool) {
  return list_local(workers_, holder(), std::move(directory));
}

Task<Result<Entry>> LocalTarget::stat(std::string path, bool follow) {
  return stat_local(workers_, holder(), std::move(path), follow);
}

Result<void> LocalTarget::accepts(std::string_view path) const {
  CV_CHECK(check_tree_path(path));
  if (path.size() <= max_path_bytes) return {};
  return Failure(make_error(ErrorKind::invalid_name, "path longer than 4095 bytes"));
}

Task<Result<void>> LocalTarget::make_directory(std::string path, std::optional<std::uint32_t> mode) {
  if (!path.empty()) CV_CO_CHECK(accepts(path));
  co_return co_await workers_.run(
      [tree = tree_, path = std::move(path), mode] { return tree->make_directory(path, mode); });
}

Task<Result<void>> LocalTarget::make_link(std::string path, std::string text, TemporaryName temporary,
                                          Replace replace) {
  CV_CO_CHECK(accepts(path));
  co_return co_await workers_.run([tree = tree_, path = std::move(path), text = std::move(text), temporary, replace] {
    return link_and_publish(*tree, path, text, temporary.beside(path), replace);
  });
}

Task<Result<std::unique_ptr<Upload>>> LocalTarget::begin(std::string path, UploadHints hints) {
  CV_CO_CHECK(accepts(path));
  co_return co_await workers_.run(
      [this, &path, &hints] { return begin_upload(workers_, tree_, path, hints.temporary.beside(path), sparse_); });
}

Task<Result<std::unique_ptr<DirectCopy>>>
LocalTarget::begin_direct_copy(std::shared_ptr<const Origin> origin, Entry entry, std::string path, UploadHints hints) {
  CV_CO_CHECK(accepts(path));
  const auto local = std::dynamic_pointer_cast<const LocalOrigin>(origin);
  if (!local || !sparse_) // a copy by the kernel keeps the source's holes
    co_return co_await BasicTarget::begin_direct_copy(std::move(origin), std::move(entry), std::move(path),
                                                      std::move(hints));
  co_return co_await workers_.run([this, &local, &entry, &path, &hints] {
    return begin_local_copy(workers_, *local, entry, tree_, path, hints.temporary.beside(path));
  });
}

Task<Result<void>> LocalTarget::discard(std::string path, TemporaryName temporary) {
  CV_CO_CHECK(accepts(path));
  co_return co_await workers_.run(
      [tree = tree_, name = temporary.beside(path)] { return remove_temporary(*tree, name); });
}

Task<Result<void>> LocalTarget::remove_orphan(Orphan orphan) {
  CV_CO_CHECK(check_orphan(orphan));
  co_return co_await workers_.run(
      [tree = tree_, path = std::move(orphan.path)] { return remove_temporary(*tree, path); });
}

Task<Result<HashAlgorithm>> LocalTarget::server_side_checksum() { co_return HashAlgorithm::xxh128; }

Task<void> LocalTarget::disconnect() { co_return; }

} // namespace checkvalve
