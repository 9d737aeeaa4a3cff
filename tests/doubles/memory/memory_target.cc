// The writing side of the memory backend.
#include <fmt/format.h>

#include "backends/basic.h"
#include "backends/orphans.h"
#include "core/path.h"
#include "core/units.h"
#include "doubles/memory/memory_tree.h"

namespace checkvalve {
namespace {

constexpr std::int64_t ns_per_ms = 1'000'000;

// The part of a store that a target may change.
struct WritableTree {
  SharedMemoryTree tree;

  MemoryStore& store() const { return *tree->store; }
  const Capabilities& capabilities() const { return tree->capabilities; }

  // Creates the directory, in the store, and those above it.
  Result<void> make_directory(const std::string& full, std::optional<std::uint32_t> mode, std::string_view path) const {
    if (!capabilities().directories || full.empty()) return {};
    if (const MemoryNode* there = store().find(store().resolve(full).value_or(full))) {
      if (there->type == EntryType::directory) return {};
      return tree->failure(ErrorKind::not_a_directory, "make directory", path, "exists and is not a directory");
    }
    CV_CHECK(make_directory(std::string(parent_path(full)), std::nullopt, path));
    if (store().denied(parent_path(full)))
      return tree->failure(ErrorKind::permission, "make directory", path, "permission denied");
    store().put_directory(full, mode.value_or(0755));
    return {};
  }

  // Whether a name may be made in the directory of `path`.
  Result<void> check_parent(const std::string& path, std::string_view operation) const {
    if (!capabilities().directories) return {};
    CV_CHECK(make_directory(tree->root, std::nullopt, ""));
    CV_TRY(const Entry parent, tree->stat(std::string(parent_path(path)), true));
    if (parent.type != EntryType::directory)
      return tree->failure(ErrorKind::not_a_directory, operation, path, "a component of the path is not a directory");
    if (store().denied(tree->full(parent_path(path))))
      return tree->failure(ErrorKind::permission, operation, path, "permission denied");
    return {};
  }

  // What stands in the way of publishing under `path`; nothing if it is free or may be replaced.
  Result<void> check_publish(const std::string& path, Replace replace, bool link_gives_way) const {
    const MemoryNode* there = store().find(tree->full(path));
    if (!there) return {};
    if (there->type == EntryType::directory)
      return tree->failure(ErrorKind::is_a_directory, "publish", path, "is a directory");
    if (replace == Replace::if_absent && !(link_gives_way && there->type == EntryType::symlink))
      return tree->failure(ErrorKind::exists, "publish", path, "exists");
    if (replace == Replace::atomic && !capabilities().atomic_replace)
      return tree->failure(ErrorKind::unsupported, "publish", path, "this store cannot replace a file in one step");
    return {};
  }
};

class MemoryUpload : public BasicUpload {
public:
  MemoryUpload(WritableTree tree, std::string path, std::string temporary)
      : tree_(std::move(tree)), path_(std::move(path)), temporary_(std::move(temporary)), open_(tree_.tree) {
    tree_.store().put_node(temporary_, {EntryType::file, content_, now_ms() * ns_per_ms, 0644});
  }

  // Continues what the temporary holds.
  void take_over(std::string content) {
    *content_ = std::move(content);
    resumed_ = announced_ = acknowledged_ = content_->size();
  }

  Task<Result<void>> write(std::uint64_t offset, Chunk chunk) override {
    if (offset != announced_)
      co_return tree_.tree->failure(ErrorKind::io, "write", path_,
                                    fmt::format("offset {} does not follow on {}", offset, announced_));
    announced_ += chunk.size();
    ++under_way_;
    co_await next_turn();
    Result<void> written;
    if (tree_.store().has_room(chunk.size()))
      take(offset, chunk);
    else
      written = tree_.tree->failure(ErrorKind::no_space, "write", path_, "no space left on device");
    if (--under_way_ == 0 && idle_) idle_->set();
    co_return written;
  }

  void take(std::uint64_t offset, const Chunk& chunk) {
    content_->resize(std::max<std::size_t>(content_->size(), offset + chunk.size()));
    chunk.text().copy(content_->data() + offset, chunk.size());
    acknowledged_ += chunk.size();
    tree_.store().bytes_written += chunk.size();
  }

  Task<Result<Published>> commit(CommitOptions options) override {
    co_await next_turn();
    if (acknowledged_ != options.size_bytes)
      co_return tree_.tree->failure(
          ErrorKind::integrity, "commit", path_,
          fmt::format("{} bytes were announced, {} were written", options.size_bytes, acknowledged_));
    if (!tree_.store().find(temporary_))
      co_return tree_.tree->failure(ErrorKind::not_found, "commit", path_, "the temporary is gone");
    CV_CO_CHECK(tree_.check_publish(path_, options.replace, false));
    if (tree_.store().corrupts_uploads && !content_->empty()) content_->front() ^= 1;
    Hasher hasher;
    hasher.update(std::as_bytes(std::span(*content_)));
    CV_CO_CHECK(check_digest(options.content_digest, hasher.digest(), path_));
    const std::string final_name = tree_.tree->full(path_);
    if (!tree_.capabilities().atomic_replace && tree_.store().remove(final_name)) co_await next_turn(); // the gap
    const std::int64_t mtime_ns = options.mtime_ns && tree_.capabilities().keeps_mtime
                                      ? tree_.tree->kept_mtime(*options.mtime_ns)
                                      : now_ms() * ns_per_ms;
    const std::uint32_t mode = options.mode && tree_.capabilities().keeps_mode ? *options.mode & 07777 : 0644;
    tree_.store().put_node(temporary_, {EntryType::file, std::move(content_), mtime_ns, mode});
    tree_.store().rename(temporary_, final_name);
    co_return Published{tree_.capabilities().directories ? "rename" : "put", tree_.tree->stat(path_, false)->etag};
  }

  std::uint64_t resumed_bytes() const override { return resumed_; }
  Task<Result<void>> reopen(std::uint64_t acknowledged_bytes, TemporaryName temporary) override {
    co_await next_turn();
    if (acknowledged_bytes > content_->size())
      co_return tree_.tree->failure(ErrorKind::io, "reopen", path_, "too short");
    const std::string fresh = tree_.tree->full(temporary.beside(path_));
    tree_.store().rename(temporary_, fresh);
    temporary_ = fresh;
    content_->resize(acknowledged_bytes);
    resumed_ = announced_ = acknowledged_ = acknowledged_bytes;
    co_return Result<void>();
  }

  Task<Result<void>> abort() override {
    while (under_way_ != 0) {
      if (!idle_ || idle_->is_set()) idle_ = std::make_shared<OneShotEvent>();
      const std::shared_ptr<OneShotEvent> idle = idle_;
      co_await *idle;
    }
    tree_.store().remove(temporary_);
    co_return Result<void>();
  }

private:
  WritableTree tree_;
  std::string path_;      // relative to the root
  std::string temporary_; // in the store
  OpenFile open_;
  std::shared_ptr<std::string> content_ = std::make_shared<std::string>(); // the temporary's, too
  std::uint64_t resumed_ = 0;
  std::uint64_t announced_ = 0;
  std::uint64_t acknowledged_ = 0;
  std::size_t under_way_ = 0;
  std::shared_ptr<OneShotEvent> idle_; // set when no write is under way
};

class MemoryTarget : public BasicTarget {
public:
  explicit MemoryTarget(SharedMemoryTree tree) : tree_{std::move(tree)} {}

  Task<Result<void>> connect() override {
    co_await next_turn();
    co_return tree_.tree->connect(true);
  }
  const Capabilities& capabilities() const override { return tree_.capabilities(); }
  Task<Result<std::unique_ptr<Listing>>> list(std::string directory, bool recursive) override {
    co_await next_turn();
    co_return list_memory(tree_.tree, std::move(directory), recursive);
  }
  Task<Result<Entry>> stat(std::string path, bool follow) override {
    co_await next_turn();
    co_return tree_.tree->stat(path, follow);
  }
  Result<void> accepts(std::string_view path) const override { return check_tree_path(path); }

  Task<Result<void>> make_directory(std::string path, std::optional<std::uint32_t> mode) override {
    if (!path.empty()) CV_CO_CHECK(accepts(path));
    co_await next_turn();
    co_return tree_.make_directory(tree_.tree->full(path), mode, path);
  }

  Task<Result<void>> make_link(std::string path, std::string text, TemporaryName, Replace replace) override {
    CV_CO_CHECK(accepts(path));
    co_await next_turn();
    if (!capabilities().symlinks)
      co_return tree_.tree->failure(ErrorKind::unsupported, "make link", path, "this store has no symbolic links");
    CV_CO_CHECK(tree_.check_parent(path, "make link"));
    CV_CO_CHECK(tree_.check_publish(path, replace, true));
    tree_.store().put_link(tree_.tree->full(path), std::move(text));
    co_return Result<void>();
  }

  Task<Result<std::unique_ptr<Upload>>> begin(std::string path, UploadHints hints) override {
    CV_CO_CHECK(accepts(path));
    co_await next_turn();
    CV_CO_CHECK(tree_.check_parent(path, "begin"));
    CV_CO_CHECK(tree_.tree->check_open_files("begin", path));
    ++tree_.store().uploads;
    std::string temporary = tree_.tree->full(hints.temporary.beside(path));
    std::optional<std::string> left;
    if (hints.partial && capabilities().resumes_temporaries) left = take_left(path, *hints.partial);
    auto upload = std::make_unique<MemoryUpload>(tree_, std::move(path), std::move(temporary));
    if (left) upload->take_over(std::move(*left));
    co_return upload;
  }

  // Removes the temporary, and returns what it holds.
  std::optional<std::string> take_left(const std::string& path, const UploadHints::Partial& partial) {
    for (const TemporaryName& name : partial.names) {
      const std::string full = tree_.tree->full(name.beside(path));
      const MemoryNode* node = tree_.store().find(full);
      if (!node || node->size_bytes() < partial.acknowledged_bytes) continue;
      std::string content = node->content->substr(0, partial.acknowledged_bytes);
      tree_.store().remove(full);
      return content;
    }
    return std::nullopt;
  }

  Task<Result<void>> discard(std::string path, TemporaryName temporary) override {
    CV_CO_CHECK(accepts(path));
    co_await next_turn();
    tree_.store().remove(tree_.tree->full(temporary.beside(path)));
    co_return Result<void>();
  }
  Task<Result<void>> remove_orphan(Orphan orphan) override {
    CV_CO_CHECK(check_orphan(orphan));
    co_await next_turn();
    tree_.store().remove(tree_.tree->full(orphan.path));
    co_return Result<void>();
  }
  Task<Result<HashAlgorithm>> server_side_checksum() override {
    if (tree_.tree->hashes) co_return HashAlgorithm::xxh128;
    co_return co_await BasicTarget::server_side_checksum();
  }
  Task<void> disconnect() override { co_return; }

private:
  WritableTree tree_;
};

} // namespace

std::unique_ptr<Target> make_memory_target(SharedMemoryTree tree) {
  return std::make_unique<MemoryTarget>(std::move(tree));
}

} // namespace checkvalve
