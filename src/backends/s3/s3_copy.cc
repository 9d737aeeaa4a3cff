#include "backends/s3/s3_copy.h"

#include <fmt/format.h>

#include <algorithm>

#include "backends/s3/s3_listing.h"
#include "core/path.h"

namespace checkvalve {
namespace {

constexpr std::size_t parts_in_flight = 4;

// What an upload in parts must name again: nothing of the source is inherited.
constexpr std::string_view kept_headers[] = {"content-type",        "content-encoding", "content-language",
                                             "content-disposition", "cache-control",    "expires"};

} // namespace

std::string copy_source(const S3Settings& settings, const std::string& key) {
  return percent_encode(settings.bucket, false) + "/" + percent_encode(key, true);
}

S3Copy::S3Copy(std::shared_ptr<S3Client> client, std::shared_ptr<S3Store> store,
               std::shared_ptr<S3CopyExperience> experience, const S3Origin& origin, Entry entry, std::string path,
               const UploadHints& hints)
    : client_(std::move(client)), store_(std::move(store)), experience_(std::move(experience)), source_(origin.client),
      entry_(std::move(entry)), path_(std::move(path)), record_key_(client_->key_of(hints.temporary.beside(path_))) {
  record_.session.key = client_->key_of(path_);
  const S3Settings& settings = client_->settings();
  record_.part_bytes =
      std::max(settings.copy_part_bytes, (entry_.size_bytes + settings.max_parts - 1) / settings.max_parts);
}

// An object that the service won't copy, for whatever reason, can be read and written; the error of that is reported.
Error S3Copy::refusal(Error error) const {
  const bool refused =
      !error.transient() && (error.kind == ErrorKind::unsupported || error.kind == ErrorKind::permission ||
                             error.kind == ErrorKind::io || error.kind == ErrorKind::protocol);
  if (!refused) return error;
  experience_->any_refused = true;
  error.kind = ErrorKind::unsupported;
  return error;
}

S3Request S3Copy::copy_request(std::string operation) const {
  S3Request request;
  request.operation = std::move(operation);
  request.method = "PUT";
  request.key = record_.session.key;
  request.headers = {{"x-amz-copy-source", copy_source(source_->settings(), source_->key_of(entry_.path))}};
  if (!entry_.etag.empty()) request.headers.emplace_back("x-amz-copy-source-if-match", "\"" + entry_.etag + "\"");
  return request;
}

Task<Result<void>> S3Copy::begin(std::vector<TemporaryName> left_over) {
  if (entry_.etag.empty() || (experience_->any_refused && !experience_->any_made))
    co_return Failure(make_error(ErrorKind::unsupported, "copy", escape_bytes(path_), "the service makes no copies"));
  for (const TemporaryName& left : left_over)
    CV_CO_CHECK(co_await remove_upload(*store_, client_->key_of(left.beside(path_))));
  if (!goes_in_parts()) co_return Result<void>();
  auto headers = co_await source_headers();
  if (!headers) co_return Failure(refusal(headers.error()));
  co_return co_await begin_upload(*store_, record_key_,
                                  store_->begin_parts_with(record_.session.key, std::move(*headers)), record_);
}

bool S3Copy::goes_in_parts() const {
  if (entry_.size_bytes <= record_.part_bytes) return false;
  return entry_.size_bytes > client_->settings().copy_whole_bytes ||
         (experience_->failed_bytes && entry_.size_bytes >= *experience_->failed_bytes);
}

Task<Result<NameValues>> S3Copy::source_headers() {
  S3Request look;
  look.operation = "look at";
  look.method = "HEAD";
  look.key = source_->key_of(entry_.path);
  look.headers = {{"if-match", "\"" + entry_.etag + "\""}};
  CV_CO_TRY(const HttpResponse response, co_await source_->call(std::move(look)));
  NameValues headers = client_->settings().create_headers;
  for (const auto& [name, value] : response.head.headers)
    if (name.starts_with("x-amz-meta-") || std::ranges::count(kept_headers, name) != 0)
      headers.emplace_back(name, value);
  co_return headers;
}

S3Request S3Copy::part_request(std::uint32_t number, std::uint64_t offset, std::uint64_t size) const {
  S3Request request = copy_request("copy part of");
  request.query = {{"partNumber", std::to_string(number)}, {"uploadId", record_.session.id}};
  request.headers.emplace_back("x-amz-copy-source-range", fmt::format("bytes={}-{}", offset, offset + size - 1));
  request.worked_bytes = size;
  return request;
}

Task<Result<StoredPart>> S3Copy::copy_part(std::shared_ptr<S3Client> client, S3Request request, StoredPart part) {
  CV_CO_TRY(const HttpResponse response, co_await client->call(request));
  part.id = read_element(response.body, "ETag");
  part.checksum = read_element(response.body, "ChecksumCRC32C");
  if (part.id.empty())
    co_return Failure(make_error(ErrorKind::protocol, "copy part of", escape_bytes(request.key),
                                 "the service gave no ETag for a part"));
  co_return part;
}

Task<Result<std::uint64_t>> S3Copy::advance() {
  if (record_.session.id.empty()) co_return entry_.size_bytes; // CopyObject is the last step and the only one
  while (coming_.size() < parts_in_flight && asked_bytes_ < entry_.size_bytes) {
    const std::uint64_t size = std::min(record_.part_bytes, entry_.size_bytes - asked_bytes_);
    const auto number = static_cast<std::uint32_t>(parts_.size() + coming_.size() + 1);
    coming_.push_back(
        client_->spawn(copy_part(client_, part_request(number, asked_bytes_, size), StoredPart{number, size, "", ""})));
    asked_bytes_ += size;
  }
  auto part = co_await coming_.front().get();
  coming_.pop_front();
  if (!part) co_return Failure(refusal(part.error()));
  done_bytes_ += part->size_bytes;
  parts_.push_back(std::move(*part));
  co_return done_bytes_;
}

Task<Result<Published>> S3Copy::commit(CommitOptions options) {
  const bool only_new = options.replace == Replace::if_absent;
  const bool in_parts = !record_.session.id.empty(); // whose last step is a write
  if (only_new) {
    const bool held = in_parts ? co_await store_->conditions().hold_for_writes(path_)
                               : co_await store_->conditions().hold_for_copies(path_);
    if (!held)
      co_return Failure(make_error(ErrorKind::unsupported, "publish", escape_bytes(path_),
                                   "the service's copies can't refuse an existing name"));
  }
  auto published = in_parts ? co_await complete(only_new) : co_await copy_whole(only_new);
  if (published) CV_CO_CHECK(co_await check_published(published->etag));
  if (published) experience_->any_made = true;
  co_return published;
}

Task<Result<Published>> S3Copy::copy_whole(bool only_new) {
  S3Request request = copy_request("publish");
  const NameValues& options = client_->settings().create_headers;
  request.headers.insert(request.headers.end(), options.begin(), options.end());
  if (only_new) request.headers.emplace_back("if-none-match", "*");
  request.worked_bytes = entry_.size_bytes;
  const bool large = entry_.size_bytes > record_.part_bytes;
  if (large) request.tries = 1;
  const auto response = co_await client_->call(std::move(request));
  if (response) co_return Published{"copy", read_element(response->body, "ETag")};
  // A gateway may have given up on a slow answer: the next attempt copies in parts.
  if (large && response.error().transient())
    experience_->failed_bytes = std::min(entry_.size_bytes, experience_->failed_bytes.value_or(entry_.size_bytes));
  if (!only_new || response.error().kind != ErrorKind::changed) co_return Failure(refusal(response.error()));
  // 412 stands for either condition; a HEAD shows which one.
  S3Request look;
  look.operation = "publish";
  look.method = "HEAD";
  look.key = record_.session.key;
  if (co_await client_->call(std::move(look))) co_return Failure(exists_already(path_));
  co_return Failure(response.error());
}

Task<Result<Published>> S3Copy::complete(bool only_new) {
  auto object = co_await store_->complete(record_.session, std::move(parts_), nullptr,
                                          only_new ? ExpectedVersion("") : std::nullopt);
  if (!object && object.error().kind == ErrorKind::exists) co_return Failure(exists_already(path_));
  if (!object) co_return Failure(object.error());
  record_.session.id.clear();
  co_await remove_record(*store_, record_key_);
  co_return Published{"multipart copy", std::move(object->version)};
}

// The same ETag is the same content. If it differs (by encryption or parts), the size is compared.
Task<Result<void>> S3Copy::check_published(const std::string& etag) {
  if (etag == entry_.etag) co_return Result<void>();
  CV_CO_TRY(const Entry there, co_await stat_key(*client_, path_));
  if (there.size_bytes == entry_.size_bytes) co_return Result<void>();
  co_return Failure(make_error(
      ErrorKind::integrity, "publish", escape_bytes(path_),
      fmt::format("the service's copy has {} bytes, the object had {}", there.size_bytes, entry_.size_bytes)));
}

Task<Result<void>> S3Copy::abort() {
  for (auto& part : coming_) (void)co_await part.get();
  coming_.clear();
  if (record_.session.id.empty()) co_return Result<void>();
  CV_CO_CHECK(co_await remove_own_upload(*store_, record_key_, record_.session));
  record_.session.id.clear();
  co_return Result<void>();
}

} // namespace checkvalve
