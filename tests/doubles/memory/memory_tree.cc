#include "doubles/memory/memory_tree.h"

#include <algorithm>

#include "backends/basic.h"
#include "core/path.h"

namespace checkvalve {
namespace {

constexpr std::size_t page_entries = 1'000;

// What names that are one have in common, with each value of the option "names".
std::string as_stored(std::string_view name, std::string_view names) {
  std::string out;
  while (!name.empty()) {
    const auto first = static_cast<unsigned char>(name.front());
    std::size_t length = 1;
    if (names == "folds" && first >= 'A' && first <= 'Z') {
      out += static_cast<char>(first | 0x20);
    } else if (names == "normalises" && name.starts_with("e\xcc\x81")) {
      out += "\xc3\xa9";
      length = 3;
    } else if (names == "replaces" && first >= 0xf8) { // no UTF-8 has these bytes
      out += '?';
    } else {
      out += name.front();
    }
    name.remove_prefix(length);
  }
  return out;
}

// Reads the live store: each page begins behind the last name of the one before.
class MemoryListing : public BasicListing {
public:
  MemoryListing(SharedMemoryTree tree, std::string directory, bool recursive)
      : tree_(std::move(tree)), directory_(std::move(directory)), recursive_(recursive) {
    const std::string full = tree_->resolved(directory_).value_or(tree_->full(directory_));
    prefix_ = full.empty() ? "" : full + "/";
    position_ = prefix_;
  }

  Task<Result<std::vector<Entry>>> next() override {
    co_await next_turn();
    std::vector<Entry> page;
    const auto& nodes = tree_->store->nodes();
    auto node = nodes.lower_bound(position_);
    while (page.size() < page_entries && node != nodes.end() && node->first.starts_with(prefix_)) {
      const std::string_view below = std::string_view(node->first).substr(prefix_.size());
      const std::size_t slash = below.find('/');
      if (slash == below.npos || recursive_) {
        page.push_back(tree_->entry(join_path(directory_, below), node->second));
        position_ = node->first + '\0';
      } else {
        // Without directories, what names have in common up to a '/' is reported as one.
        if (!tree_->capabilities.directories)
          page.push_back(
              {join_path(directory_, below.substr(0, slash)), EntryType::directory, 0, std::nullopt, std::nullopt, ""});
        position_ = prefix_ + std::string(below.substr(0, slash)) + static_cast<char>('/' + 1);
      }
      node = nodes.lower_bound(position_);
    }
    co_return page;
  }

private:
  SharedMemoryTree tree_;
  std::string directory_;
  bool recursive_;
  std::string prefix_;   // of full paths below the directory
  std::string position_; // the first full path that was not looked at
};

} // namespace

std::string MemoryTree::full(std::string_view path) const {
  if (names == "exact") return join_path(root, path);
  std::string out = root;
  for (std::string_view rest = path; !rest.empty();) {
    const std::string_view name = rest.substr(0, rest.find('/'));
    rest.remove_prefix(std::min(rest.size(), name.size() + 1));
    out = join_path(out, name_in(out, name));
  }
  return out;
}

std::string MemoryTree::name_in(const std::string& directory, std::string_view name) const {
  const std::string wanted = as_stored(name, names);
  if (names == "replaces") return wanted;
  const auto& nodes = store->nodes();
  const std::string prefix = directory.empty() ? "" : directory + "/";
  for (auto node = nodes.lower_bound(prefix); node != nodes.end() && node->first.starts_with(prefix); ++node) {
    const std::string_view there = std::string_view(node->first).substr(prefix.size());
    if (there.find('/') == there.npos && as_stored(there, names) == wanted) return std::string(there);
  }
  return std::string(name);
}

std::optional<std::string> MemoryTree::resolved(std::string_view path, bool follow_last) const {
  return capabilities.directories ? store->resolve(full(path), follow_last) : full(path);
}

std::string MemoryTree::shown(std::string_view path) const {
  return escape_bytes("memory://" + join_path(join_path(name, root), path));
}

Failure MemoryTree::failure(ErrorKind kind, std::string_view operation, std::string_view path,
                            std::string message) const {
  return Failure(make_error(kind, std::string(operation), shown(path), std::move(message)));
}

Entry MemoryTree::entry(std::string path, const MemoryNode& node) const {
  Entry out;
  out.path = std::move(path);
  out.type = node.type;
  out.size_bytes = node.size_bytes();
  out.mtime_ns = kept_mtime(node.mtime_ns);
  out.mode = node.mode;
  if (!capabilities.directories) out.etag = std::to_string(node.version);
  return out;
}

std::int64_t MemoryTree::kept_mtime(std::int64_t mtime_ns) const {
  const std::int64_t rest = mtime_ns % capabilities.mtime_precision_ns;
  return mtime_ns - (rest < 0 ? rest + capabilities.mtime_precision_ns : rest);
}

Result<void> MemoryTree::connect(bool root_may_be_missing) const {
  if (!capabilities.directories) return {};
  const MemoryNode* node = store->find(root);
  if (!node && root_may_be_missing) return {};
  if (!node) return failure(ErrorKind::not_found, "open directory", "", "no such directory");
  if (node->type != EntryType::directory)
    return failure(ErrorKind::not_a_directory, "open directory", "", "not a directory");
  return {};
}

Result<void> MemoryTree::check_open_files(std::string_view operation, std::string_view path) const {
  if (*files_open < capabilities.files_in_flight) return {};
  return failure(ErrorKind::io, operation, path, "more files are open than this store allows");
}

Result<Entry> MemoryTree::stat(const std::string& path, bool follow) const {
  const auto found = resolved(path, follow);
  if (!found) return failure(ErrorKind::io, "stat", path, "the link goes in circles or out of the store");
  if (const MemoryNode* node = store->find(*found)) return entry(path, *node);
  // Without directories, a prefix that names have in common is as good as one.
  const auto below = store->nodes().lower_bound(*found + "/");
  if (!capabilities.directories && below != store->nodes().end() && below->first.starts_with(*found + "/"))
    return Entry{path, EntryType::directory, 0, std::nullopt, std::nullopt, ""};
  for (std::string_view up = parent_path(*found); !up.empty(); up = parent_path(up))
    if (const MemoryNode* above = store->find(up); above && above->type == EntryType::file && capabilities.directories)
      return failure(ErrorKind::not_a_directory, "stat", path, "a component of the path is not a directory");
  return failure(ErrorKind::not_found, "stat", path, "no such file or directory");
}

Result<std::unique_ptr<Listing>> list_memory(SharedMemoryTree tree, std::string directory, bool recursive) {
  if (tree->capabilities.directories) {
    CV_TRY(const Entry entry, tree->stat(directory, true));
    if (entry.type != EntryType::directory)
      return tree->failure(ErrorKind::not_a_directory, "list", directory, "not a directory");
  }
  return std::make_unique<MemoryListing>(std::move(tree), std::move(directory), recursive);
}

} // namespace checkvalve
