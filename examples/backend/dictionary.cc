// An example of a backend, whole: objects in a dictionary, "dictionary://NAME/prefix". The page docs/add-a-backend.md
// goes through it; example_conformance runs the conformance suite on it.
#include <algorithm>
#include <array>
#include <chrono>
#include <map>
#include <memory>

#include "backends/backend.h"
#include "backends/basic.h"
#include "backends/orphans.h"
#include "core/path.h"

namespace checkvalve {
namespace {

// --- the service -----------------------------------------------------------------------------------------------------

// Stands for a server, which a real backend would reach over a protocol. What it holds is the server's memory: the
// backend below holds one chunk of a file at a time, and one page of a listing.

struct Object {
  std::string content;
  std::int64_t mtime_ns = 0;
  std::uint64_t version = 0;
};

struct Dictionary {
  std::map<std::string, std::shared_ptr<Object>> objects; // by key
  std::uint64_t last_version = 0;
};

std::shared_ptr<Dictionary> dictionary_named(const std::string& name) {
  static std::map<std::string, std::shared_ptr<Dictionary>> all;
  auto& found = all[name];
  if (!found) found = std::make_shared<Dictionary>();
  return found;
}

// --- what both sides share -------------------------------------------------------------------------------------------

struct Prefix {
  std::shared_ptr<Dictionary> store;
  std::string prefix; // of all keys; empty, or with a '/' at its end
  Capabilities capabilities;

  std::string key(std::string_view path) const { return prefix + std::string(path); }

  Entry entry_of(std::string path, const Object& object) const {
    Entry entry;
    entry.path = std::move(path);
    entry.size_bytes = object.content.size();
    entry.mtime_ns = object.mtime_ns;
    entry.etag = std::to_string(object.version);
    return entry;
  }
};
using SharedPrefix = std::shared_ptr<const Prefix>;

Error error(ErrorKind kind, const char* operation, std::string_view path, std::string message) {
  return make_error(kind, operation, escape_bytes(path), std::move(message));
}

Result<Entry> stat_at(const Prefix& at, const std::string& path) {
  if (const auto found = at.store->objects.find(at.key(path)); found != at.store->objects.end())
    return at.entry_of(path, *found->second);
  Entry directory;
  directory.path = path;
  directory.type = EntryType::directory;
  const std::string below = path.empty() ? at.prefix : at.key(path) + "/";
  const auto first = at.store->objects.lower_bound(below);
  if (path.empty() || (first != at.store->objects.end() && first->first.starts_with(below))) return directory;
  return Failure(error(ErrorKind::not_found, "stat", path, "no such object"));
}

// --- listing ---------------------------------------------------------------------------------------------------------

// All keys below a directory, or one level of them: what lies deeper shows as the directories of that level. Each page
// begins behind the last key or directory of the one before, so that changes meanwhile do no harm and memory stays
// bounded.
class DictionaryListing : public BasicListing {
public:
  DictionaryListing(SharedPrefix at, const std::string& directory, bool recursive)
      : at_(std::move(at)), below_(at_->key(directory.empty() ? "" : directory + "/")), recursive_(recursive),
        next_(below_) {}

  Task<Result<std::vector<Entry>>> next() override {
    std::vector<Entry> page;
    const auto& objects = at_->store->objects;
    auto found = objects.lower_bound(next_);
    while (found != objects.end() && found->first.starts_with(below_) && page.size() < page_entries) {
      const std::string& key = found->first;
      const std::size_t slash = key.find('/', below_.size());
      if (recursive_ || slash == key.npos) {
        page.push_back(at_->entry_of(key.substr(at_->prefix.size()), *found->second));
        next_ = key + '\0';
      } else {
        Entry directory;
        directory.path = key.substr(at_->prefix.size(), slash - at_->prefix.size());
        directory.type = EntryType::directory;
        page.push_back(std::move(directory));
        next_ = key.substr(0, slash) + static_cast<char>('/' + 1); // behind all that begins with "directory/"
      }
      found = objects.lower_bound(next_);
    }
    co_return page;
  }

private:
  static constexpr std::size_t page_entries = 1'000;
  SharedPrefix at_;
  const std::string below_; // what all keys begin with
  const bool recursive_;
  std::string next_; // the first key that was not looked at
};

// --- reading ---------------------------------------------------------------------------------------------------------

class DictionaryReader : public BasicReader {
public:
  DictionaryReader(SharedPrefix at, std::string path, std::shared_ptr<const Object> object)
      : at_(std::move(at)), path_(std::move(path)), object_(std::move(object)) {}
  Task<Result<Chunk>> read(std::uint64_t offset, std::uint32_t size) override {
    const std::string_view all = object_->content;
    co_return Chunk::copy_of(all.substr(std::min<std::uint64_t>(offset, all.size()), size));
  }
  Task<Result<Entry>> stat() override { co_return stat_at(*at_, path_); }

private:
  SharedPrefix at_;
  const std::string path_;
  const std::shared_ptr<const Object> object_; // the version that was opened
};

class DictionarySource : public BasicSource {
public:
  explicit DictionarySource(SharedPrefix at) : at_(std::move(at)) {}
  Task<Result<void>> connect() override { co_return Result<void>(); }
  const Capabilities& capabilities() const override { return at_->capabilities; }
  Task<Result<std::unique_ptr<Listing>>> list(std::string directory, bool recursive) override {
    co_return std::make_unique<DictionaryListing>(at_, directory, recursive);
  }
  Task<Result<Entry>> stat(std::string path, bool) override { co_return stat_at(*at_, path); }
  Task<Result<std::unique_ptr<Reader>>> open(Entry entry) override {
    const auto found = at_->store->objects.find(at_->key(entry.path));
    if (found == at_->store->objects.end())
      co_return Failure(error(ErrorKind::not_found, "open", entry.path, "no such object"));
    co_return std::make_unique<DictionaryReader>(at_, std::move(entry.path), found->second);
  }
  Task<void> disconnect() override { co_return; }

private:
  SharedPrefix at_;
};

// --- writing ---------------------------------------------------------------------------------------------------------

// The bytes wait at the service under the temporary name, chunk by chunk; commit() renames them, the one step in which
// the final name changes.
class DictionaryUpload : public BasicUpload {
public:
  DictionaryUpload(SharedPrefix at, std::string path, const TemporaryName& temporary)
      : at_(std::move(at)), path_(std::move(path)), temporary_(at_->key(temporary.beside(path_))) {
    at_->store->objects[temporary_] = std::make_shared<Object>();
  }

  Task<Result<void>> write(std::uint64_t offset, Chunk chunk) override {
    const auto found = at_->store->objects.find(temporary_);
    if (found == at_->store->objects.end()) co_return Failure(gone("write"));
    std::string& content = found->second->content;
    content.resize(std::max<std::size_t>(content.size(), offset + chunk.size()));
    chunk.text().copy(content.data() + offset, chunk.size());
    co_return Result<void>();
  }

  Task<Result<Published>> commit(CommitOptions options) override {
    auto& objects = at_->store->objects;
    const auto found = objects.find(temporary_);
    if (found == objects.end()) co_return Failure(gone("commit"));
    if (found->second->content.size() != options.size_bytes)
      co_return Failure(error(ErrorKind::integrity, "commit", path_, "the service holds another number of bytes"));
    const std::string key = at_->key(path_);
    if (options.replace == Replace::if_absent && objects.contains(key))
      co_return Failure(error(ErrorKind::exists, "publish", path_, "the name exists"));
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    found->second->mtime_ns =
        options.mtime_ns.value_or(std::chrono::duration_cast<std::chrono::nanoseconds>(now).count());
    found->second->version = ++at_->store->last_version;
    objects[key] = found->second;
    objects.erase(temporary_);
    co_return Published{"rename", std::to_string(at_->store->last_version)};
  }

  Task<Result<void>> abort() override {
    at_->store->objects.erase(temporary_);
    co_return Result<void>();
  }

private:
  Error gone(const char* operation) const {
    return error(ErrorKind::not_found, operation, path_, "the temporary is gone");
  }
  SharedPrefix at_;
  const std::string path_;
  const std::string temporary_; // a key
};

class DictionaryTarget : public BasicTarget {
public:
  explicit DictionaryTarget(SharedPrefix at) : at_(std::move(at)) {}
  Task<Result<void>> connect() override { co_return Result<void>(); }
  const Capabilities& capabilities() const override { return at_->capabilities; }
  Task<Result<std::unique_ptr<Listing>>> list(std::string directory, bool recursive) override {
    co_return std::make_unique<DictionaryListing>(at_, directory, recursive);
  }
  Task<Result<Entry>> stat(std::string path, bool) override { co_return stat_at(*at_, path); }
  Result<void> accepts(std::string_view path) const override { return check_tree_path(path); }
  // There are only names.
  Task<Result<void>> make_directory(std::string path, std::optional<std::uint32_t>) override {
    co_return path.empty() ? Result<void>() : accepts(path);
  }
  Task<Result<std::unique_ptr<Upload>>> begin(std::string path, UploadHints hints) override {
    CV_CO_CHECK(accepts(path));
    co_return std::make_unique<DictionaryUpload>(at_, std::move(path), hints.temporary);
  }
  Task<Result<void>> discard(std::string path, TemporaryName temporary) override {
    at_->store->objects.erase(at_->key(temporary.beside(path)));
    co_return Result<void>();
  }
  Task<Result<void>> remove_orphan(Orphan orphan) override {
    CV_CO_CHECK(check_orphan(orphan));
    at_->store->objects.erase(at_->key(orphan.path));
    co_return Result<void>();
  }
  Task<void> disconnect() override { co_return; }

private:
  SharedPrefix at_;
};

// --- the descriptor --------------------------------------------------------------------------------------------------

constexpr std::array options = {
    OptionSpec{"chunk_size", OptionType::size, "256KiB", "max size of one read or write"},
};

Result<SharedPrefix> prefix_of(const Endpoint& endpoint) {
  const OptionValues values(options, endpoint.options);
  auto at = std::make_shared<Prefix>();
  at->store = dictionary_named(endpoint.host);
  at->prefix = endpoint.root.starts_with('/') ? endpoint.root.substr(1) : endpoint.root;
  if (!at->prefix.empty() && !at->prefix.ends_with('/')) at->prefix += '/';
  Capabilities& can = at->capabilities;
  can.directories = false;
  can.recursive_list = true;
  can.keeps_mode = false;
  can.mtime_precision_ns = 1;
  can.chunk_bytes = static_cast<std::uint32_t>(std::max<std::uint64_t>(1, values.number("chunk_size")));
  return at;
}

Result<std::unique_ptr<Source>> make_source_side(BackendContext&, const Endpoint& endpoint) {
  CV_TRY(SharedPrefix at, prefix_of(endpoint));
  return std::make_unique<DictionarySource>(std::move(at));
}

Result<std::unique_ptr<Target>> make_target_side(BackendContext&, const Endpoint& endpoint) {
  CV_TRY(SharedPrefix at, prefix_of(endpoint));
  return std::make_unique<DictionaryTarget>(std::move(at));
}

} // namespace

extern constinit const BackendDescriptor dictionary_backend = {.scheme = "dictionary",
                                                               .summary = "objects in this process: an example",
                                                               .options = options,
                                                               .make_source = make_source_side,
                                                               .make_target = make_target_side};

} // namespace checkvalve
