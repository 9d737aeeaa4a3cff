// An example of a backend, whole: objects in a dictionary of this process, "dictionary://NAME/prefix". The page
// docs/add-a-backend.md goes through it; tests/conformance runs the conformance suite on it.
#include <algorithm>
#include <array>
#include <chrono>
#include <map>
#include <memory>
#include <set>

#include "backends/orphans.h"
#include "backends/registry.h"
#include "core/path.h"

namespace checkvalve {
namespace {

// --- the store: what a real backend would reach over a protocol ------------------------------------------------------

struct Object {
  std::shared_ptr<const std::string> content;
  std::int64_t mtime_ns = 0;
  std::uint64_t version = 0;
};

struct Dictionary {
  std::map<std::string, Object> objects; // by key
  std::uint64_t last_version = 0;
};

std::shared_ptr<Dictionary> dictionary_named(const std::string& name) {
  static std::map<std::string, std::shared_ptr<Dictionary>> all;
  auto& found = all[name];
  if (!found) found = std::make_shared<Dictionary>();
  return found;
}

// What both sides share.
struct Place {
  std::shared_ptr<Dictionary> store;
  std::string prefix; // of all keys; empty, or with a '/' at its end
  Capabilities capabilities;

  std::string key(std::string_view path) const { return prefix + std::string(path); }

  Entry entry_of(std::string path, const Object& object) const {
    Entry entry;
    entry.path = std::move(path);
    entry.size_bytes = object.content->size();
    entry.mtime_ns = object.mtime_ns;
    entry.etag = std::to_string(object.version);
    return entry;
  }
};
using SharedPlace = std::shared_ptr<const Place>;

Error error(ErrorKind kind, const char* operation, std::string_view path, std::string message) {
  return make_error(kind, operation, escape_bytes(path), std::move(message));
}

Result<Entry> stat_at(const Place& place, const std::string& path) {
  if (const auto found = place.store->objects.find(place.key(path)); found != place.store->objects.end())
    return place.entry_of(path, found->second);
  Entry directory;
  directory.path = path;
  directory.type = EntryType::directory;
  const std::string below = path.empty() ? place.prefix : place.key(path) + "/";
  const auto first = place.store->objects.lower_bound(below);
  if (path.empty() || (first != place.store->objects.end() && first->first.starts_with(below))) return directory;
  return Failure(error(ErrorKind::not_found, "stat", path, "does not exist"));
}

// --- listing ---------------------------------------------------------------------------------------------------------

// All keys below a directory, or one level of them: what lies deeper shows as the directories of that level. A page
// goes on where the last one ended, so that what changes meanwhile does no harm and memory stays bounded.
class DictionaryListing : public Listing {
public:
  DictionaryListing(SharedPlace place, const std::string& directory, bool recursive)
      : place_(std::move(place)), below_(place_->key(directory.empty() ? "" : directory + "/")), recursive_(recursive) {
  }

  Task<Result<std::vector<Entry>>> next() override {
    std::vector<Entry> page;
    const auto& objects = place_->store->objects;
    auto at = after_.empty() ? objects.lower_bound(below_) : objects.upper_bound(after_);
    for (; at != objects.end() && at->first.starts_with(below_) && page.size() < page_entries; ++at) {
      after_ = at->first;
      std::string path = at->first.substr(place_->prefix.size());
      const std::size_t slash = at->first.find('/', below_.size());
      if (recursive_ || slash == std::string::npos) {
        page.push_back(place_->entry_of(std::move(path), at->second));
      } else if (directories_.insert(at->first.substr(0, slash)).second) {
        Entry directory;
        directory.path = at->first.substr(place_->prefix.size(), slash - place_->prefix.size());
        directory.type = EntryType::directory;
        page.push_back(std::move(directory));
      }
    }
    co_return page;
  }

private:
  static constexpr std::size_t page_entries = 1'000;
  SharedPlace place_;
  const std::string below_;
  const bool recursive_;
  std::string after_;
  std::set<std::string> directories_;
};

// --- reading ---------------------------------------------------------------------------------------------------------

class DictionaryReader : public Reader {
public:
  DictionaryReader(SharedPlace place, std::string path, Object object)
      : place_(std::move(place)), path_(std::move(path)), object_(std::move(object)) {}
  Task<Result<Chunk>> read(std::uint64_t offset, std::uint32_t size) override {
    const std::string_view all = *object_.content;
    co_return Chunk::copy_of(all.substr(std::min<std::uint64_t>(offset, all.size()), size));
  }
  Task<Result<Entry>> stat() override { co_return stat_at(*place_, path_); }

private:
  SharedPlace place_;
  const std::string path_;
  const Object object_;
};

class DictionarySource : public Source {
public:
  explicit DictionarySource(SharedPlace place) : place_(std::move(place)) {}
  Task<Result<void>> connect() override { co_return Result<void>(); }
  const Capabilities& capabilities() const override { return place_->capabilities; }
  Task<Result<std::unique_ptr<Listing>>> list(std::string directory, bool recursive) override {
    co_return std::make_unique<DictionaryListing>(place_, directory, recursive);
  }
  Task<Result<Entry>> stat(std::string path, bool) override { co_return stat_at(*place_, path); }
  Task<Result<std::unique_ptr<Reader>>> open(Entry entry) override {
    const auto found = place_->store->objects.find(place_->key(entry.path));
    if (found == place_->store->objects.end())
      co_return Failure(error(ErrorKind::not_found, "open", entry.path, "does not exist"));
    co_return std::make_unique<DictionaryReader>(place_, std::move(entry.path), found->second);
  }
  Task<Result<std::string>> read_link(std::string path) override {
    co_return Failure(error(ErrorKind::unsupported, "read link", path, "there are no symbolic links here"));
  }
  Task<Result<std::string>> real_path(std::string path) override {
    co_return Failure(error(ErrorKind::unsupported, "resolve", path, "there are no symbolic links here"));
  }
  Task<void> disconnect() override { co_return; }

private:
  SharedPlace place_;
};

// --- writing ---------------------------------------------------------------------------------------------------------

// The bytes wait in the upload itself, so that a dropped one leaves nothing behind; commit() is the one step in which
// the name changes.
class DictionaryUpload : public Upload {
public:
  DictionaryUpload(SharedPlace place, std::string path) : place_(std::move(place)), path_(std::move(path)) {}

  Task<Result<void>> write(std::uint64_t offset, Chunk chunk) override {
    content_.resize(std::max<std::size_t>(content_.size(), offset + chunk.size()));
    chunk.text().copy(content_.data() + offset, chunk.size());
    co_return Result<void>();
  }

  Task<Result<Published>> commit(CommitOptions options) override {
    if (content_.size() != options.size_bytes)
      co_return Failure(error(ErrorKind::integrity, "commit", path_, "has another size than was announced"));
    auto& objects = place_->store->objects;
    const std::string key = place_->key(path_);
    if (options.replace == Replace::if_absent && objects.contains(key))
      co_return Failure(error(ErrorKind::exists, "publish", path_, "exists already"));
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    const auto now_ns = std::chrono::duration_cast<std::chrono::nanoseconds>(now).count();
    const std::uint64_t version = ++place_->store->last_version;
    objects[key] = {std::make_shared<const std::string>(std::move(content_)), options.mtime_ns.value_or(now_ns),
                    version};
    co_return Published{"put", std::to_string(version)};
  }

  Task<Result<void>> abort() override { co_return Result<void>(); }

private:
  SharedPlace place_;
  const std::string path_;
  std::string content_;
};

class DictionaryTarget : public Target {
public:
  explicit DictionaryTarget(SharedPlace place) : place_(std::move(place)) {}
  Task<Result<void>> connect() override { co_return Result<void>(); }
  const Capabilities& capabilities() const override { return place_->capabilities; }
  Task<Result<std::unique_ptr<Listing>>> list(std::string directory, bool recursive) override {
    co_return std::make_unique<DictionaryListing>(place_, directory, recursive);
  }
  Task<Result<Entry>> stat(std::string path, bool) override { co_return stat_at(*place_, path); }
  Result<void> accepts(std::string_view path) const override { return check_tree_path(path); }
  // Names are all there is.
  Task<Result<void>> make_directory(std::string path, std::optional<std::uint32_t>) override {
    co_return path.empty() ? Result<void>() : accepts(path);
  }
  Task<Result<void>> make_link(std::string path, std::string, TemporaryName, Replace) override {
    co_return Failure(error(ErrorKind::unsupported, "make link", path, "there are no symbolic links here"));
  }
  Task<Result<std::unique_ptr<Upload>>> begin(std::string path, UploadHints) override {
    CV_CO_CHECK(accepts(path));
    co_return std::make_unique<DictionaryUpload>(place_, std::move(path));
  }
  // No attempt leaves anything.
  Task<Result<void>> discard(std::string, TemporaryName) override { co_return Result<void>(); }
  Task<Result<void>> remove_orphan(Orphan orphan) override { co_return check_orphan(orphan); }
  Task<void> disconnect() override { co_return; }

private:
  SharedPlace place_;
};

// --- the descriptor --------------------------------------------------------------------------------------------------

constexpr std::array options = {
    OptionSpec{"chunk_size", OptionType::size, "256KiB", "the best size of one read or write"},
};

Result<SharedPlace> place_of(const Endpoint& endpoint, std::span<const OptionSpec> specs) {
  const OptionValues values(specs, endpoint.options);
  if (endpoint.host.empty())
    return Failure(make_error(ErrorKind::config, "open", endpoint.display(), "write dictionary://NAME/prefix"));
  auto place = std::make_shared<Place>();
  place->store = dictionary_named(endpoint.host);
  place->prefix = endpoint.root.starts_with('/') ? endpoint.root.substr(1) : endpoint.root;
  if (!place->prefix.empty() && !place->prefix.ends_with('/')) place->prefix += '/';
  Capabilities& can = place->capabilities;
  can.directories = false;
  can.recursive_list = true;
  can.keeps_mode = false;
  can.mtime_precision_ns = 1;
  can.chunk_bytes = static_cast<std::uint32_t>(std::max<std::uint64_t>(1, values.number("chunk_size")));
  return place;
}

Result<std::unique_ptr<Source>> make_source_side(BackendContext&, const Endpoint& endpoint) {
  CV_TRY(SharedPlace place, place_of(endpoint, options));
  return std::make_unique<DictionarySource>(std::move(place));
}

Result<std::unique_ptr<Target>> make_target_side(BackendContext&, const Endpoint& endpoint) {
  CV_TRY(SharedPlace place, place_of(endpoint, options));
  return std::make_unique<DictionaryTarget>(std::move(place));
}

} // namespace

extern constinit const BackendDescriptor dictionary_backend = {"dictionary", "objects in this process: an example",
                                                               options, make_source_side, make_target_side};

} // namespace checkvalve
