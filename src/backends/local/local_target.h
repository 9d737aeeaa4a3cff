// The writing side of the local backend.
#pragma once

#include <unistd.h>

#include <mutex>
#include <set>

#include "backends/basic.h"
#include "backends/local/local_files.h"
#include "backends/target.h"

namespace checkvalve {

// What workers share of a local target. Thread-safe; calls block.
class LocalTree {
public:
  LocalTree(std::string root, RootDirectory::Links links) : holder_(std::move(root), links) {}

  // The root, if it exists; kind not_found if it does not yet.
  Result<SharedRoot> root() { return holder_.open(); }
  RootHolder& holder() { return holder_; }
  // The same, after creating it and its parents if need be.
  Result<SharedRoot> made_root();
  // Fails unless the root, or what exists of the way to it, consists of directories.
  Result<void> check_way_to_root();
  Result<void> make_directory(const std::string& path, std::optional<mode_t> mode);
  // Makes the names in `directory` survive power loss, and that of each directory on the way that we created.
  Result<void> sync_names(const RootDirectory& root, const std::string& directory);

  // Whether files are made without a name (O_TMPFILE) until they are published; until one call finds out otherwise.
  bool makes_nameless_files();
  void make_no_nameless_files();

private:
  Result<bool> make_one(const RootDirectory& root, const std::string& path, std::optional<mode_t> mode);

  RootHolder holder_;
  std::mutex mutex_;
  bool makes_nameless_files_ = ::access("/proc/self/fd", X_OK) == 0; // guarded by mutex_
  std::set<std::string> unsynced_; // guarded by mutex_: directories that hold names of directories we created
};

class LocalTarget : public BasicTarget {
public:
  LocalTarget(ThreadPool& workers, std::string root, RootDirectory::Links links, bool sparse)
      : workers_(workers), tree_(std::make_shared<LocalTree>(std::move(root), links)), sparse_(sparse) {}
  Task<Result<void>> connect() override;
  const Capabilities& capabilities() const override { return capabilities_; }
  Task<Result<std::unique_ptr<Listing>>> list(std::string directory, bool recursive) override;
  Task<Result<Entry>> stat(std::string path, bool follow) override;
  Result<void> accepts(std::string_view path) const override;
  Task<Result<void>> make_directory(std::string path, std::optional<std::uint32_t> mode) override;
  Task<Result<void>> make_link(std::string path, std::string text, TemporaryName temporary, Replace replace) override;
  Task<Result<std::unique_ptr<Upload>>> begin(std::string path, UploadHints hints) override;
  Task<Result<std::unique_ptr<DirectCopy>>> begin_direct_copy(std::shared_ptr<const Origin> origin, Entry entry,
                                                              std::string path, UploadHints hints) override;
  Task<Result<void>> discard(std::string path, TemporaryName temporary) override;
  Task<Result<void>> remove_orphan(Orphan orphan) override;
  Task<Result<HashAlgorithm>> server_side_checksum() override;
  Task<void> disconnect() override;

private:
  SharedHolder holder() const { return {tree_, &tree_->holder()}; }

  ThreadPool& workers_;
  std::shared_ptr<LocalTree> tree_;
  bool sparse_;
  Capabilities capabilities_ = local_capabilities(nullptr);
};

} // namespace checkvalve
