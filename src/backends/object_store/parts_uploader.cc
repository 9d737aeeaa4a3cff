#include "backends/object_store/parts_uploader.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/hash.h"
#include "core/path.h"
#include "core/text.h"

namespace checkvalve {
namespace {

constexpr std::uint64_t mib = 1 << 20;

std::uint64_t part_bytes_for(const StoreLimits& limits, const UploadHints& hints) {
  const std::uint64_t needed = (hints.size_bytes.value_or(0) + limits.max_parts - 1) / limits.max_parts;
  if (needed <= limits.part_bytes) return std::max(limits.part_bytes, limits.min_part_bytes);
  return (needed + mib - 1) / mib * mib;
}

// The outputs of one source file have temporaries whose numbers differ in bits 48 and above (sync/outputs.cc).
std::uint64_t source_file(const TemporaryName& temporary) { return temporary.file & ((1ULL << 48) - 1); }

} // namespace

struct PartsUploader::Part {
  explicit Part(ChecksumKind kind) : checksum(kind) {}
  std::uint32_t number = 0;
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
  std::uint64_t filled = 0;
  std::vector<Chunk> chunks;
  Checksum checksum;
  OneShotEvent done;
  std::optional<StoredPart> stored;
};

// The state of parts under way, which may outlive the uploader.
struct PartsUploader::Shared {
  Shared(std::shared_ptr<ObjectStore> parts_store, std::shared_ptr<PartMemory> part_memory, std::uint64_t owner)
      : store(std::move(parts_store)), memory(std::move(part_memory), owner) {}
  std::shared_ptr<ObjectStore> store;
  PartMemory::Share memory;
  PartsSession session;
  Semaphore turns{store->limits().parts_in_flight};
  Cancellation cancellation;
  std::optional<Error> failed; // the first failure: later calls give it
};

PartsUploader::PartsUploader(const std::shared_ptr<ObjectStore>& store, std::shared_ptr<PartMemory> memory,
                             std::string path, UploadHints hints)
    : path_(std::move(path)), hints_(std::move(hints)), record_key_(store->key_of(hints_.temporary.beside(path_))),
      write_{path_, hints_.mtime_ns, hints_.mode},
      shared_(std::make_shared<Shared>(store, std::move(memory), source_file(hints_.temporary))),
      whole_(store->limits().checksum) {
  record_.part_bytes = part_bytes_for(store->limits(), hints_);
  record_.version = hints_.version;
  record_.options = shared_->store->options_text(write_);
}

// Cancels the parts under way, as the session won't be completed.
PartsUploader::~PartsUploader() { shared_->cancellation.request(error(ErrorKind::interrupted, "was given up")); }

Error PartsUploader::error(ErrorKind kind, std::string message) const {
  return make_error(kind, "write", escape_bytes(path_), std::move(message));
}

bool PartsUploader::goes_in_parts() const { return hints_.size_bytes && *hints_.size_bytes > record_.part_bytes; }

// --- beginning -------------------------------------------------------------------------------------------------------

Task<Result<void>> PartsUploader::begin() {
  ObjectStore& store = *shared_->store;
  bool resumed = false;
  for (const TemporaryName& left : hints_.continues) {
    const std::string left_key = store.key_of(left.beside(path_));
    if (goes_in_parts() && !resumed) {
      CV_CO_TRY(resumed, co_await resume(left_key));
    }
    if (!resumed || left_key != record_key_) CV_CO_CHECK(co_await remove_upload(store, left_key));
  }
  if (!goes_in_parts() || resumed) co_return Result<void>();
  co_return co_await begin_session();
}

// Takes over the session of an earlier attempt, under a record of this upload's own. The record at `left_key`, if that
// is another one, is removed.
Task<Result<bool>> PartsUploader::resume(std::string left_key) {
  ObjectStore& store = *shared_->store;
  CV_CO_TRY(const std::optional<UploadRecord> left, co_await fetch_record(store, left_key));
  const bool usable = left && left->session.key == store.key_of(path_) && !left->version.empty() &&
                      left->version == record_.version && left->options == record_.options &&
                      left->part_bytes >= store.limits().min_part_bytes &&
                      *hints_.size_bytes / left->part_bytes < store.limits().max_parts;
  if (!usable) co_return false;
  auto parts = co_await store.list_parts(left->session);
  if (!parts) co_return false;
  // A size proves nothing: versitygw lists a part that broke off with the size that it should have had. The service
  // keeps a checksum only of a part that came whole.
  std::erase_if(*parts, [](const StoredPart& part) { return part.checksum.empty(); });
  if (parts->empty()) co_return false;
  record_.part_bytes = left->part_bytes;
  record_.session = shared_->session = left->session;
  for (StoredPart& part : *parts) held_.insert_or_assign(part.number, std::move(part));
  if (left_key == record_key_) co_return true;
  // First the new record, so that the upload is never without one.
  CV_CO_CHECK(co_await store.write_small(record_key_, write_record(record_)));
  CV_CO_CHECK(co_await store.remove_small(std::move(left_key)));
  co_return true;
}

Task<Result<void>> PartsUploader::begin_session() {
  ObjectStore& store = *shared_->store;
  if (store.limits().secret_sessions) {
    CV_CO_TRY(record_.session, co_await store.begin_parts(write_));
  } else {
    CV_CO_CHECK(co_await begin_upload(store, record_key_, store.begin_parts(write_), record_));
  }
  shared_->session = record_.session;
  co_return Result<void>();
}

// --- writing ---------------------------------------------------------------------------------------------------------

std::uint64_t PartsUploader::part_size(std::uint64_t begin) const {
  return hints_.size_bytes ? std::min(record_.part_bytes, *hints_.size_bytes - begin) : record_.part_bytes;
}

Task<void> PartsUploader::send(std::shared_ptr<Shared> shared, std::shared_ptr<Part> part) {
  auto body = std::make_shared<const std::vector<Chunk>>(std::move(part->chunks));
  const auto turn = co_await shared->turns.acquire(1, shared->cancellation);
  if (!shared->failed) {
    auto stored = co_await shared->store->put_part(shared->session, part->number, part->offset, std::move(body),
                                                   shared->cancellation);
    if (stored)
      part->stored = std::move(*stored);
    else if (!shared->failed)
      shared->failed = std::move(stored.error());
  }
  shared->memory.shrink(part->filled);
  part->done.set();
}

// The part is complete: sends it, unless the session holds it already.
void PartsUploader::dispatch() {
  auto part = std::exchange(filling_, nullptr);
  whole_.append(part->checksum, part->filled);
  parts_.push_back(part);
  const auto held = held_.find(part->number);
  if (held != held_.end() && held->second.size_bytes == part->filled &&
      held->second.checksum == part->checksum.base64()) {
    part->stored = held->second;
    part->chunks.clear();
    shared_->memory.shrink(part->filled);
    return part->done.set();
  }
  shared_->memory.expect_back(part->filled);
  shared_->store->spawn(send(shared_, std::move(part)));
}

// Cuts the chunk where parts end.
Task<Result<void>> PartsUploader::take(Chunk chunk) {
  if (hints_.size_bytes && taken_bytes_ + chunk.size() > *hints_.size_bytes)
    co_return Failure(error(ErrorKind::changed, "is longer than expected"));
  while (!chunk.empty()) {
    if (filling_ && filling_->filled == filling_->size) { // was kept, as it could have been the last one
      if (record_.session.id.empty()) CV_CO_CHECK(co_await begin_session());
      dispatch();
    }
    if (!filling_) {
      filling_ = std::make_shared<Part>(shared_->store->limits().checksum);
      filling_->number = static_cast<std::uint32_t>(parts_.size() + 1);
      filling_->offset = taken_bytes_;
      filling_->size = part_size(taken_bytes_);
      if (filling_->number > shared_->store->limits().max_parts)
        co_return Failure(error(ErrorKind::unsupported, "has more parts than the service allows: raise part_size"));
    }
    const auto piece =
        static_cast<std::size_t>(std::min<std::uint64_t>(chunk.size(), filling_->size - filling_->filled));
    co_await shared_->memory.grow(piece);
    Chunk now;
    if (piece == chunk.size()) {
      now = std::exchange(chunk, Chunk());
    } else {
      now = Chunk::copy_of(chunk.bytes().first(piece));
      chunk.narrow(piece, chunk.size() - piece);
    }
    append(std::move(now));
    const bool completes = shared_->store->limits().last_part_completes;
    if (goes_in_parts() && !completes && filling_->filled == filling_->size) dispatch();
  }
  co_return Result<void>();
}

void PartsUploader::append(Chunk chunk) {
  filling_->checksum.update(chunk.bytes());
  filling_->filled += chunk.size();
  taken_bytes_ += chunk.size();
  filling_->chunks.push_back(std::move(chunk));
}

Task<Result<void>> PartsUploader::write(std::uint64_t, Chunk chunk) { // calls come in the order of the file
  const auto turn = co_await turn_.acquire();
  if (!shared_->failed)
    if (auto taken = co_await take(std::move(chunk)); !taken && !shared_->failed) shared_->failed = taken.error();
  if (shared_->failed) co_return Failure(*shared_->failed);
  co_return Result<void>();
}

// --- the end ---------------------------------------------------------------------------------------------------------

// The condition of the request that publishes. Where the store can't refuse an existing name, it is looked up first.
Task<Result<ExpectedVersion>> PartsUploader::expected(Replace replace) {
  if (replace != Replace::if_absent) co_return std::nullopt;
  if (co_await shared_->store->refuses_existing(path_)) co_return "";
  const auto there = co_await shared_->store->look_at(shared_->store->key_of(path_));
  if (there) co_return Failure(exists_already(path_));
  if (there.error().kind != ErrorKind::not_found) co_return Failure(there.error());
  co_return std::nullopt;
}

Task<Result<StoredObject>> PartsUploader::complete(ExpectedVersion expected) {
  ObjectBody last;
  if (filling_ && shared_->store->limits().last_part_completes) {
    whole_.append(filling_->checksum, filling_->filled);
    last = std::make_shared<const std::vector<Chunk>>(std::move(filling_->chunks));
  } else if (filling_) {
    dispatch();
  }
  for (const auto& part : parts_) co_await part->done;
  if (shared_->failed) co_return Failure(*shared_->failed);
  std::vector<StoredPart> parts;
  for (const auto& part : parts_) parts.push_back(*part->stored);
  CV_CO_TRY(const StoredObject object,
            co_await shared_->store->complete(record_.session, std::move(parts), std::move(last), std::move(expected)));
  record_.session.id.clear();
  if (!shared_->store->limits().secret_sessions) co_await remove_record(*shared_->store, record_key_);
  co_return object;
}

Task<Result<Published>> PartsUploader::commit(CommitOptions options) {
  if (shared_->failed) co_return Failure(*shared_->failed);
  if (taken_bytes_ != options.size_bytes || (hints_.size_bytes && *hints_.size_bytes != taken_bytes_))
    co_return Failure(error(ErrorKind::integrity, fmt::format("{} bytes were written, but {} were expected",
                                                              taken_bytes_, options.size_bytes)));
  CV_CO_TRY(ExpectedVersion expectation, co_await expected(options.replace));
  const bool in_parts = !record_.session.id.empty();
  Result<StoredObject> published;
  if (in_parts) {
    published = co_await complete(std::move(expectation));
  } else {
    auto body = std::make_shared<std::vector<Chunk>>();
    if (filling_) {
      whole_.append(filling_->checksum, filling_->filled);
      *body = std::move(filling_->chunks);
    }
    published = co_await shared_->store->put({path_, options.mtime_ns, options.mode}, body, std::move(expectation));
  }
  if (filling_) shared_->memory.shrink(std::exchange(filling_, nullptr)->filled);
  if (!published) co_return Failure(published.error());
  CV_CO_TRY(std::string version, co_await check(*published, options.content_digest));
  co_return Published{in_parts ? "multipart" : "put", std::move(version)};
}

// The checksum of the whole object in the store's answer proves the content. Without it the object is looked up for its
// size, and for a checksum if there is one. Gives the version under which the object will be listed; "" if the store
// names one when it publishes and another one when it is asked (rclone serve s3, for objects made of parts).
Task<Result<std::string>> PartsUploader::check(const StoredObject& said, const std::string& content_digest) {
  StoredObject there = said;
  if (there.checksum.empty() || !content_digest.empty()) {
    CV_CO_TRY(there, co_await shared_->store->look_at(shared_->store->key_of(path_)));
  }
  if (there.size_bytes && *there.size_bytes != taken_bytes_)
    co_return Failure(
        make_error(ErrorKind::integrity, "publish", escape_bytes(path_),
                   fmt::format("{} bytes were written, but the service holds {}", taken_bytes_, *there.size_bytes)));
  if (!there.checksum.empty() && there.checksum != whole_.base64())
    co_return Failure(make_error(ErrorKind::integrity, "publish", escape_bytes(path_),
                                 "the checksum that the service has of the object is not that of what was written"));
  std::string version = there.version == said.version ? said.version : "";
  if (content_digest.empty()) co_return version;
  const auto crc32c = from_base64(there.checksum);
  if (shared_->store->limits().checksum != ChecksumKind::crc32c || !crc32c || crc32c->size() != 4)
    co_return Failure(make_error(ErrorKind::unsupported, "look at the checksum of", escape_bytes(path_),
                                 "the service keeps no CRC-32C of the whole object"));
  CV_CO_CHECK(check_digest(content_digest, digest_text(HashAlgorithm::crc32c, *crc32c), path_));
  co_return version;
}

Task<Result<void>> PartsUploader::abort() {
  const Error aborted = error(ErrorKind::interrupted, "was aborted");
  if (!shared_->failed) shared_->failed = aborted;
  shared_->cancellation.request(aborted);
  // A part that the service still takes in would outlive the session.
  for (const auto& part : parts_) co_await part->done;
  if (filling_) shared_->memory.shrink(std::exchange(filling_, nullptr)->filled);
  if (record_.session.id.empty()) co_return Result<void>();
  ObjectStore& store = *shared_->store;
  CV_CO_CHECK(co_await (store.limits().secret_sessions ? store.abort(record_.session)
                                                       : remove_own_upload(store, record_key_, record_.session)));
  record_.session.id.clear();
  co_return Result<void>();
}

} // namespace checkvalve
