#include "backends/s3/s3_listing.h"

#include <charconv>

#include "core/path.h"

namespace checkvalve {
namespace {

constexpr std::size_t most_refused = 1'000;
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
  KeyListing(std::shared_ptr<S3Client> client, std::string directory, bool recursive)
      : client_(std::move(client)), prefix_(client_->key_of(directory.empty() ? "" : directory + "/")),
        recursive_(recursive), coming_(start(fetch_page(client_, prefix_, recursive_, ""))) {}

  Task<Result<std::vector<Entry>>> next() override {
    std::vector<Entry> entries;
    while (entries.empty() && coming_) { // a page may hold nothing but refused names
      auto page = co_await coming_->get();
      coming_.reset();
      if (!page) co_return Failure(std::move(page.error()));
      if (!page->continuation.empty())
        coming_.emplace(start(fetch_page(client_, prefix_, recursive_, page->continuation)));
      for (S3Object& object : page->objects) take(object, entries);
      for (std::string& prefix : page->prefixes) take_prefix(prefix, entries);
    }
    co_return entries;
  }

  std::vector<Error> take_refused() override { return std::exchange(refused_, {}); }

private:
  // Keys relative to the endpoint's root; nothing for what a server must not have sent.
  std::optional<std::string> path_of(const std::string& key) {
    if (key.starts_with(prefix_)) return key.substr(client_->settings().prefix.size());
    refuse(key, "the server lists a key outside of the prefix it was asked for");
    return std::nullopt;
  }

  void take(S3Object& object, std::vector<Entry>& entries) {
    if (object.key == prefix_) return; // the directory's own marker
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
    if (refused_.size() < most_refused)
      refused_.push_back(make_error(ErrorKind::invalid_name, "list", escape_bytes(key), std::move(why)));
  }

  std::shared_ptr<S3Client> client_;
  const std::string prefix_;
  const bool recursive_;
  std::optional<Started<Result<S3Page>>> coming_;
  std::vector<Error> refused_;
};

} // namespace

std::unique_ptr<Listing> list_keys(std::shared_ptr<S3Client> client, std::string directory, bool recursive) {
  return std::make_unique<KeyListing>(std::move(client), std::move(directory), recursive);
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
