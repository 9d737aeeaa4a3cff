// What both sides of the memory backend share: a part of a store, seen through the capabilities that its options set.
#pragma once

#include <algorithm>
#include <memory>
#include <string>

#include "backends/capabilities.h"
#include "backends/source.h"
#include "backends/target.h"
#include "core/async.h"
#include "doubles/memory/memory_store.h"

namespace checkvalve {

struct MemoryTree {
  std::shared_ptr<MemoryStore> store;
  std::string name; // of the store
  std::string root; // within the store, without a '/' in front
  Capabilities capabilities;
  std::string names = "exact";                                                    // the option of this name
  bool hashes = true;                                                             // has server-side checksums
  std::shared_ptr<std::uint64_t> files_open = std::make_shared<std::uint64_t>(0); // of this side

  // Relative to the root → in the store, under the name that it has or would get there.
  std::string full(std::string_view path) const;
  // The same, with symbolic links followed; without directories a name is just a name.
  std::optional<std::string> resolved(std::string_view path, bool follow_last = true) const;
  // The path as the user knows it, for errors.
  std::string shown(std::string_view path) const;
  Entry entry(std::string path, const MemoryNode& node) const;
  std::int64_t kept_mtime(std::int64_t mtime_ns) const;

  // As it stands, or would be stored, in this directory of the store.
  std::string name_in(const std::string& directory, std::string_view name) const;

  Result<void> connect(bool root_may_be_missing) const;
  // Whether one more file may be opened.
  Result<void> check_open_files(std::string_view operation, std::string_view path) const;
  Result<Entry> stat(const std::string& path, bool follow) const;
  Failure failure(ErrorKind kind, std::string_view operation, std::string_view path, std::string message) const;
};
using SharedMemoryTree = std::shared_ptr<const MemoryTree>;

Result<std::unique_ptr<Listing>> list_memory(SharedMemoryTree tree, std::string directory, bool recursive);

// Suspends once, as a call that goes to a server does.
inline auto next_turn() {
  struct Awaiter {
    bool await_ready() const { return false; }
    void await_suspend(std::coroutine_handle<> handle) { Loop::current()->resume_soon(handle); }
    void await_resume() const {}
  };
  return Awaiter{};
}

// One of the open files that Capabilities::files_in_flight bounds.
class OpenFile {
public:
  explicit OpenFile(SharedMemoryTree tree) : tree_(std::move(tree)) {
    MemoryStore& store = *tree_->store;
    store.max_files_open = std::max(store.max_files_open, ++store.files_open);
    ++*tree_->files_open;
  }
  ~OpenFile() {
    --tree_->store->files_open;
    --*tree_->files_open;
  }
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;

private:
  SharedMemoryTree tree_;
};

std::unique_ptr<Source> make_memory_source(SharedMemoryTree tree);
std::unique_ptr<Target> make_memory_target(SharedMemoryTree tree);

} // namespace checkvalve
