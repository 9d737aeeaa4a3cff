// What both sides of the local backend share: entries, listings and the way to a worker. Each call goes to a worker
// once, and outlives the Source or Target it was made on.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "backends/capabilities.h"
#include "backends/entry.h"
#include "backends/local/root_directory.h"
#include "backends/source.h"
#include "core/async.h"

namespace checkvalve {

using SharedRoot = std::shared_ptr<const RootDirectory>;

// A root that may not exist yet: opened by the first call that finds it. Thread-safe; calls block.
class RootHolder {
public:
  RootHolder(std::string path, RootDirectory::Links links) : path_(std::move(path)), links_(links) {}
  // Kind not_found if it does not exist (yet).
  Result<SharedRoot> open();
  const std::string& path() const { return path_; }
  // A path below as the user knows it, for errors.
  std::string shown(std::string_view path) const;

private:
  const std::string path_;
  const RootDirectory::Links links_;
  std::mutex mutex_;
  SharedRoot root_; // guarded by mutex_
};

using SharedHolder = std::shared_ptr<RootHolder>;

// For targets on this machine.
struct LocalOrigin : Origin {
  explicit LocalOrigin(SharedHolder held) : holder(std::move(held)) {}
  const SharedHolder holder;
};

// Those of the file system that holds the root; null: a root that does not exist yet.
Capabilities local_capabilities(const RootDirectory* root);

Entry entry_from(const struct stat& status, std::string path);

// Blocking. A regular file; anything else is is_a_directory or unsupported.
Result<UniqueFd> open_for_reading(RootHolder& holder, const std::string& path);

// Blocking.
Result<std::string> read_link_beneath(RootHolder& holder, const std::string& path);
Result<std::string> real_path_beneath(RootHolder& holder, const std::string& path);

Task<Result<std::unique_ptr<Listing>>> list_local(ThreadPool& workers, SharedHolder holder, std::string directory);
Task<Result<Entry>> stat_local(ThreadPool& workers, SharedHolder holder, std::string path, bool follow);

// Gives a descriptor up on a worker, since close(2) may wait for a network file system. It is closed once no call that
// is under way uses it any more. Does not wait.
void close_on_worker(ThreadPool& workers, std::shared_ptr<UniqueFd> fd);

} // namespace checkvalve
