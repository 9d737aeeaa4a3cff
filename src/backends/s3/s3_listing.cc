#include "backends/s3/s3_listing.h"

#include <charconv>
#include <deque>

#include "core/path.h"

namespace checkvalve {
namespace {

constexpr std::size_t max_refused = 1'000;
constexpr std::int64_t ns_per_s = 1'000'000'000;

S3Request page_request(const std::string& prefix, bool recursive, const std::string& continuation) {
  S3Request request;
  request.operation = "list";
  request.query = {{"list-type", "2"}, {"encoding-type", "url"}, {"prefix", prefix}};
  if (!recursive) request.query.emplace_back("delimiter", "/");
  if (!continuation.empty()) request.query.emplace_back("continuation-token", continuation);
  return request;
}

Task<Result<S3Page>> fetch_page(std::shared_ptr<S3Client> client, std::string prefix, bool recursive,
                                std::string continuation) {
  CV_CO_TRY(const HttpResponse response, co_await client->call(page_request(prefix, recursive, continuation)));
  co_return read_page(response.body);
}

class KeyListing : public Listing {
public:
  // own_marker: give the empty object that stands for `directory` itself, too.
  KeyListing(std::shared_ptr<S3Client> client, const std::string& directory, bool recursive, bool own_marker = false)
      : client_(std::move(client)), prefix_(client_->key_of(directory.empty() ? "" : directory + "/")),
        recursive_(recursive), own_marker_(own_marker),
        coming_(client_->spawn(fetch_page(client_, prefix_, recursive_, ""))) {}

  Task<Result<std::vector<Entry>>> next() override {
    std::vector<Entry> entries;
    while (entries.empty() && coming_) { // a page may hold nothing but refused names
      auto page = co_await coming_->get();
      coming_.reset();
      if (!page) co_return Failure(std::move(page.error()));
      if (!page->continuation.empty()) {
        if (page->continuation == continuation_)
          co_return Failure(make_error(ErrorKind::protocol, "list", escape_bytes(prefix_),
                                       "the server's listing goes in circles: a page names itself as the next one"));
        continuation_ = page->continuation;
        coming_.emplace(client_->spawn(fetch_page(client_, prefix_, recursive_, continuation_)));
      }
      take(*page, entries);
    }
    co_return entries;
  }

  std::vector<Error> take_refused() override { return std::exchange(refused_, {}); }

  bool more() const { return coming_.has_value(); }
  const std::string& prefix() const { return prefix_; }
  void take(S3Page& page, std::vector<Entry>& entries) {
    for (S3Object& object : page.objects) take(object, entries);
    for (std::string& prefix : page.prefixes) take_prefix(prefix, entries);
  }

private:
  // Keys relative to the endpoint's root; nothing for a key that is not below the prefix.
  std::optional<std::string> path_of(const std::string& key) {
    if (key.starts_with(prefix_)) return key.substr(client_->settings().prefix.size());
    refuse(key, "the server lists a key outside of the prefix it was asked for");
    return std::nullopt;
  }

  void take(S3Object& object, std::vector<Entry>& entries) {
    if (object.key == prefix_ && !own_marker_) return;
    const auto path = path_of(object.key);
    if (!path) return;
    Entry& entry = entries.emplace_back();
    entry.path = *path;
    entry.mtime_ns = object.modified_s * ns_per_s;
    if (path->ends_with('/') && object.size_bytes == 0 && path->size() > 1) {
      entry.path.pop_back();
      entry.type = EntryType::directory;
      return;
    }
    entry.size_bytes = object.size_bytes;
    entry.etag = std::move(object.etag);
  }

  void take_prefix(std::string& prefix, std::vector<Entry>& entries) {
    auto path = path_of(prefix);
    if (!path) return;
    if (path->ends_with('/')) path->pop_back();
    const std::string_view name = base_name(*path);
    if (auto ok = check_name(name); !ok) return refuse(prefix, ok.error().message);
    Entry& entry = entries.emplace_back();
    entry.path = std::move(*path);
    entry.type = EntryType::directory;
  }

  void refuse(const std::string& key, std::string why) {
    if (refused_.size() < max_refused)
      refused_.push_back(make_error(ErrorKind::invalid_name, "list", escape_bytes(key), std::move(why)));
  }

  std::shared_ptr<S3Client> client_;
  const std::string prefix_;
  const bool recursive_;
  const bool own_marker_;
  std::string continuation_; // of the page that is fetched
  std::optional<JoinHandle<Result<S3Page>>> coming_;
  std::vector<Error> refused_;
};

// All keys below a directory. The pages of a listing can't be requested concurrently, as each one says where the next
// one begins. So if there is more than a page, the prefixes of the first level are listed concurrently, provided that
// the level fits into a page and does not have too many prefixes. (A request each for prefixes of a few keys would be
// slower.)
class WholeListing : public Listing {
public:
  WholeListing(std::shared_ptr<S3Client> client, std::string directory)
      : client_(std::move(client)), directory_(std::move(directory)) {
    open_.push_back(std::make_unique<KeyListing>(client_, directory_, true));
  }

  Task<Result<std::vector<Entry>>> next() override {
    if (!std::exchange(begun_, true)) {
      CV_CO_TRY(std::vector<Entry> first, co_await open_.front()->next());
      if (!open_.front()->more()) co_return first;
      CV_CO_CHECK(co_await split_up(first));
      co_return first;
    }
    while (!open_.empty()) {
      std::unique_ptr<KeyListing> listing = std::move(open_.front());
      open_.pop_front();
      auto page = co_await listing->next();
      keep_refused(*listing);
      if (!page) co_return Failure(std::move(page.error()));
      if (listing->more()) open_.push_back(std::move(listing)); // in turn, so that all make progress
      open_more();
      if (!page->empty()) co_return page;
    }
    co_return std::vector<Entry>();
  }

  std::vector<Error> take_refused() override {
    for (const auto& listing : open_) keep_refused(*listing);
    return std::exchange(refused_, {});
  }

private:
  static constexpr std::size_t at_once = 16;
  static constexpr std::size_t max_prefixes = 256;

  // Continues by prefixes, if that pays off: then sets `entries` to those of the first level.
  Task<Result<void>> split_up(std::vector<Entry>& entries) {
    KeyListing& flat = *open_.front();
    CV_CO_TRY(S3Page level, co_await fetch_page(client_, flat.prefix(), false, ""));
    if (!level.continuation.empty() || level.prefixes.size() < 2 || level.prefixes.size() > max_prefixes)
      co_return Result<void>();
    (void)flat.take_refused(); // reported by the listing of their prefix
    for (const std::string& prefix : std::exchange(level.prefixes, {}))
      ahead_.push_back(prefix.substr(client_->settings().prefix.size()));
    entries.clear();
    flat.take(level, entries);
    keep_refused(flat);
    open_.clear();
    open_more();
    if (entries.empty()) {
      CV_CO_TRY(entries, co_await next());
    }
    co_return Result<void>();
  }

  void open_more() {
    while (open_.size() < at_once && !ahead_.empty()) {
      std::string directory = std::move(ahead_.back());
      ahead_.pop_back();
      if (directory.ends_with('/')) directory.pop_back();
      open_.push_back(std::make_unique<KeyListing>(client_, std::move(directory), true, true));
    }
  }

  void keep_refused(KeyListing& listing) {
    for (Error& error : listing.take_refused())
      if (refused_.size() < max_refused) refused_.push_back(std::move(error));
  }

  std::shared_ptr<S3Client> client_;
  const std::string directory_;
  bool begun_ = false;
  std::deque<std::unique_ptr<KeyListing>> open_;
  std::vector<std::string> ahead_; // directories
  std::vector<Error> refused_;
};

} // namespace

std::unique_ptr<Listing> list_keys(std::shared_ptr<S3Client> client, std::string directory, bool recursive) {
  if (recursive) return std::make_unique<WholeListing>(std::move(client), std::move(directory));
  return std::make_unique<KeyListing>(std::move(client), std::move(directory), false);
}

Entry entry_of(std::string path, const HttpHead& head) {
  Entry entry;
  entry.path = std::move(path);
  const std::string_view size = head.header("content-length");
  std::from_chars(size.data(), size.data() + size.size(), entry.size_bytes);
  if (const std::int64_t modified_s = read_time(head.header("last-modified")); modified_s != 0)
    entry.mtime_ns = modified_s * ns_per_s;
  entry.etag = unquoted_etag(head);
  return entry;
}

Task<Result<Entry>> stat_key(S3Client& client, std::string path) {
  Entry directory;
  directory.path = path;
  directory.type = EntryType::directory;
  if (path.empty()) co_return directory;
  S3Request request;
  request.operation = "stat";
  request.method = "HEAD";
  request.key = client.key_of(path);
  const auto found = co_await client.call(request);
  if (found) co_return entry_of(std::move(path), found->head);
  if (found.error().kind != ErrorKind::not_found) co_return Failure(found.error());
  S3Request below = page_request(client.key_of(path + "/"), true, "");
  below.query.emplace_back("max-keys", "1");
  CV_CO_TRY(const HttpResponse response, co_await client.call(below));
  CV_CO_TRY(const S3Page page, read_page(response.body));
  if (page.objects.empty()) co_return Failure(found.error());
  co_return directory;
}

} // namespace checkvalve
