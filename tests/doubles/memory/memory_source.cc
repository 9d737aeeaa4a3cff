// The reading side of the memory backend.
#include <algorithm>

#include "backends/basic.h"
#include "doubles/memory/memory_tree.h"

namespace checkvalve {
namespace {

class MemoryReader : public BasicReader {
public:
  MemoryReader(SharedMemoryTree tree, std::string path, std::string target)
      : tree_(std::move(tree)), path_(std::move(path)), target_(std::move(target)), open_(tree_) {}

  // Each read sees the content of its time, as a server that opens by name does.
  Task<Result<Chunk>> read(std::uint64_t offset, std::uint32_t size) override {
    const SharedMemoryTree tree = tree_;
    if (!tree->capabilities.ranged_reads) {
      const MemoryNode* now = tree->store->find(target_);
      if (offset != expected_ && now && offset < now->size_bytes())
        co_return tree->failure(ErrorKind::unsupported, "read", path_, "offsets must ascend without gaps");
      expected_ = offset + size;
    }
    co_await next_turn();
    tree->store->on_read(target_);
    const MemoryNode* node = tree->store->find(target_);
    if (!node) co_return tree->failure(ErrorKind::not_found, "read", path_, "no such file");
    const std::string_view content = *node->content;
    const std::string_view part = content.substr(std::min<std::uint64_t>(offset, content.size()), size);
    tree->store->bytes_read += part.size();
    co_return Chunk::copy_of(part);
  }
  Task<Result<Entry>> stat() override {
    co_await next_turn();
    co_return tree_->stat(path_, true);
  }

private:
  SharedMemoryTree tree_;
  std::string path_;   // relative to the root
  std::string target_; // in the store, links followed
  OpenFile open_;
  std::uint64_t expected_ = 0; // the next offset, without ranged reads
};

class MemorySource : public BasicSource {
public:
  explicit MemorySource(SharedMemoryTree tree) : tree_(std::move(tree)) {}

  Task<Result<void>> connect() override {
    co_await next_turn();
    co_return tree_->connect(false);
  }
  const Capabilities& capabilities() const override { return tree_->capabilities; }
  Task<Result<std::unique_ptr<Listing>>> list(std::string directory, bool recursive) override {
    co_await next_turn();
    co_return list_memory(tree_, std::move(directory), recursive);
  }
  Task<Result<Entry>> stat(std::string path, bool follow) override {
    co_await next_turn();
    co_return tree_->stat(path, follow);
  }
  Task<Result<std::unique_ptr<Reader>>> open(Entry entry) override {
    co_await next_turn();
    CV_CO_TRY(const Entry found, tree_->stat(entry.path, true));
    if (found.type == EntryType::directory)
      co_return tree_->failure(ErrorKind::is_a_directory, "open", entry.path, "is a directory");
    const std::string target = *tree_->resolved(entry.path);
    if (tree_->store->denied(target))
      co_return tree_->failure(ErrorKind::permission, "open", entry.path, "permission denied");
    CV_CO_CHECK(tree_->check_open_files("open", entry.path));
    co_return std::make_unique<MemoryReader>(tree_, std::move(entry.path), target);
  }
  Task<Result<std::string>> read_link(std::string path) override {
    co_await next_turn();
    if (!tree_->capabilities.symlinks)
      co_return tree_->failure(ErrorKind::unsupported, "read link", path, "this store has no symbolic links");
    const MemoryNode* node = tree_->store->find(tree_->full(path));
    if (!node) co_return tree_->failure(ErrorKind::not_found, "read link", path, "no such link");
    if (node->type != EntryType::symlink)
      co_return tree_->failure(ErrorKind::io, "read link", path, "not a symbolic link");
    co_return *node->content;
  }
  Task<Result<std::string>> real_path(std::string path) override {
    co_await next_turn();
    const auto resolved = tree_->store->resolve(tree_->full(path));
    if (!resolved)
      co_return tree_->failure(ErrorKind::io, "resolve", path, "the link goes in circles or out of the store");
    co_return "/" + *resolved;
  }
  Task<void> disconnect() override { co_return; }

private:
  SharedMemoryTree tree_;
};

} // namespace

std::unique_ptr<Source> make_memory_source(SharedMemoryTree tree) {
  return std::make_unique<MemorySource>(std::move(tree));
}

} // namespace checkvalve
