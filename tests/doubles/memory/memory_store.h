// MemoryStore: a tree of files in this process, by name. For tests and examples: it counts, and it can misbehave on
// purpose. Engine thread only.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "backends/entry.h"

namespace checkvalve {

struct MemoryNode {
  EntryType type = EntryType::file;
  std::shared_ptr<const std::string> content; // of a file; the text of a symbolic link
  std::int64_t mtime_ns = 0;
  std::uint32_t mode = 0644;
  std::uint64_t version = 0; // differs for each content ever stored

  std::uint64_t size_bytes() const { return content ? content->size() : 0; }
};

class MemoryStore {
public:
  // The store of this name, made by its first use. It lives until forget() and for as long as an endpoint uses it.
  static std::shared_ptr<MemoryStore> named(const std::string& name);
  static void forget(const std::string& name);

  // Paths are without a '/' in front; "" is the store itself, a directory that always exists.
  const MemoryNode* find(std::string_view path) const;
  // The content that the node points to may still grow.
  void put_node(const std::string& path, MemoryNode node);
  void put_file(const std::string& path, std::string content, std::int64_t mtime_ns = 0, std::uint32_t mode = 0644);
  void put_link(const std::string& path, std::string text);
  void put_directory(const std::string& path, std::uint32_t mode = 0755);
  bool remove(std::string_view path);
  // Gives the node another name, over whatever had it.
  void rename(const std::string& from, const std::string& to);
  const std::map<std::string, MemoryNode, std::less<>>& nodes() const { return nodes_; }
  // The path without symbolic links in it; a link at its end stays unless follow_last. Nothing if links go in circles
  // or out of the store.
  std::optional<std::string> resolve(std::string path, bool follow_last = true) const;

  // The temporaries that are there now.
  std::vector<std::string> temporaries() const;

  // Misbehaviour. The `reads`-th read of this path from now on comes after its content was replaced.
  void change_at_read(const std::string& path, std::uint32_t reads, std::string content, std::int64_t mtime_ns);
  // Reading the file, or writing into the directory, fails with ErrorKind::permission.
  void deny(const std::string& path) { denied_.insert(path); }
  bool denied(std::string_view path) const { return denied_.contains(path); }
  bool corrupts_uploads = false;               // what is published differs from what was written
  std::optional<std::uint64_t> capacity_bytes; // of all contents; a write beyond it fails with ErrorKind::no_space
  bool has_room(std::uint64_t bytes) const;
  // Called by the backend before each read.
  void on_read(const std::string& path);

  std::uint64_t bytes_read = 0;    // of file contents, by all sources
  std::uint64_t bytes_written = 0; // into temporaries, by all targets
  std::uint64_t uploads = 0;       // that were begun
  std::uint64_t files_open = 0;    // readers and uploads now
  std::uint64_t max_files_open = 0;

private:
  struct PlannedChange {
    std::uint32_t reads_left;
    std::string content;
    std::int64_t mtime_ns;
  };
  std::map<std::string, MemoryNode, std::less<>> nodes_;
  std::map<std::string, PlannedChange> changes_;
  std::set<std::string, std::less<>> denied_;
  std::uint64_t last_version_ = 0;
};

} // namespace checkvalve
