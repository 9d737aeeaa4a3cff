// What both sides of the local backend share: entries, listings and the way to a worker. All functions that take a
// SharedRoot by value are safe to outlive the Source or Target they were called on.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "backends/capabilities.h"
#include "backends/entry.h"
#include "backends/local/root_directory.h"
#include "backends/source.h"
#include "core/async.h"

namespace checkvalve {

using SharedRoot = std::shared_ptr<const RootDirectory>;

// Those of the file system that holds the root; null: a root that does not exist yet.
Capabilities local_capabilities(const RootDirectory* root);

Entry entry_from(const struct stat& status, std::string path);

// Blocking.
Result<std::string> read_link_beneath(const RootDirectory& root, const std::string& path);

Task<Result<std::unique_ptr<Listing>>> list_local(ThreadPool& workers, SharedRoot root, std::string directory);
Task<Result<Entry>> stat_local(ThreadPool& workers, SharedRoot root, std::string path, bool follow);

// Gives a descriptor up on a worker, since close(2) may wait for a network file system. It is closed once no call that
// is under way uses it any more. Does not wait.
void close_on_worker(ThreadPool& workers, std::shared_ptr<UniqueFd> fd);

} // namespace checkvalve
