#include "doubles/memory/memory_store.h"

#include "backends/temporary.h"
#include "core/path.h"

namespace checkvalve {
namespace {

constexpr int max_links = 40; // of symbolic links, on the way to one name

std::map<std::string, std::shared_ptr<MemoryStore>>& stores() {
  static std::map<std::string, std::shared_ptr<MemoryStore>> all;
  return all;
}

const MemoryNode& top() {
  static const MemoryNode node{EntryType::directory, nullptr, 0, 0755, 0};
  return node;
}

} // namespace

std::shared_ptr<MemoryStore> MemoryStore::named(const std::string& name) {
  auto& store = stores()[name];
  if (!store) store = std::make_shared<MemoryStore>();
  return store;
}

void MemoryStore::forget(const std::string& name) { stores().erase(name); }

const MemoryNode* MemoryStore::find(std::string_view path) const {
  if (path.empty()) return &top();
  const auto found = nodes_.find(path);
  return found == nodes_.end() ? nullptr : &found->second;
}

void MemoryStore::put_node(const std::string& path, MemoryNode node) {
  node.version = ++last_version_;
  nodes_[path] = std::move(node);
}

void MemoryStore::put_file(const std::string& path, std::string content, std::int64_t mtime_ns, std::uint32_t mode) {
  put_node(path, {EntryType::file, std::make_shared<const std::string>(std::move(content)), mtime_ns, mode});
}

void MemoryStore::put_link(const std::string& path, std::string text) {
  put_node(path, {EntryType::symlink, std::make_shared<const std::string>(std::move(text)), 0, 0777});
}

void MemoryStore::put_directory(const std::string& path, std::uint32_t mode) {
  put_node(path, {EntryType::directory, nullptr, 0, mode});
}

bool MemoryStore::remove(std::string_view path) {
  const auto found = nodes_.find(path);
  if (found == nodes_.end()) return false;
  nodes_.erase(found);
  return true;
}

void MemoryStore::rename(const std::string& from, const std::string& to) {
  auto node = nodes_.extract(from);
  if (!node) return;
  nodes_[to] = std::move(node.mapped());
}

std::optional<std::string> MemoryStore::resolve(std::string path, bool follow_last) const {
  std::string done; // holds no link
  for (int links = 0; !path.empty();) {
    const std::string name = path.substr(0, path.find('/'));
    path.erase(0, name.size() + 1);
    if (name.empty() || name == ".") continue;
    if (name == "..") {
      if (done.empty()) return std::nullopt;
      done = std::string(parent_path(done));
      continue;
    }
    const std::string next = join_path(done, name);
    const MemoryNode* node = find(next);
    if (!node || node->type != EntryType::symlink || (path.empty() && !follow_last)) {
      done = next;
      continue;
    }
    if (++links > max_links || node->content->starts_with('/')) return std::nullopt;
    path = join_path(*node->content, path);
  }
  return done;
}

std::vector<std::string> MemoryStore::temporaries() const {
  std::vector<std::string> out;
  for (const auto& [path, node] : nodes_)
    if (parse_temporary(base_name(path))) out.push_back(path);
  return out;
}

void MemoryStore::change_at_read(const std::string& path, std::uint32_t reads, std::string content,
                                 std::int64_t mtime_ns) {
  changes_[path] = {reads, std::move(content), mtime_ns};
}

bool MemoryStore::has_room(std::uint64_t bytes) const {
  if (!capacity_bytes) return true;
  for (const auto& [path, node] : nodes_) bytes += node.size_bytes();
  return bytes <= *capacity_bytes;
}

void MemoryStore::on_read(const std::string& path) {
  const auto change = changes_.find(path);
  if (change == changes_.end() || --change->second.reads_left != 0) return;
  put_file(path, std::move(change->second.content), change->second.mtime_ns);
  changes_.erase(change);
}

} // namespace checkvalve
