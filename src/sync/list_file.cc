#include "sync/list_file.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/backoff.h"
#include "core/path.h"
#include "sync/content.h"
#include "sync/holder.h"
#include "sync/outputs.h"

namespace checkvalve {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds list_poll{200}; // while another worker writes it

void add_to(Hasher& hasher, std::string_view text) { hasher.update(std::as_bytes(std::span(text))); }

Task<Result<void>> nothing_between() { co_return Result<void>(); }

} // namespace

ListFile::ListFile(Engine& engine, const Job& job, Connections& connections, ChecksumList list, HashAlgorithm hash)
    : engine_(engine), job_(job), connections_(connections), list_(std::move(list)),
      key_{connections.pair.target, list_.name}, hash_(hash) {}

Task<Result<bool>> ListFile::current() {
  CV_CO_TRY(const ListRecord known, co_await engine_.store.lists.find(key_));
  bytes_ = known.bytes;
  if (known.digest.empty() && known.bytes > 0) co_return false;
  ListLines lines(engine_, key_.target, list_);
  CV_CO_CHECK(co_await lines.gather(nothing_between));
  Hasher hasher;
  std::uint64_t bytes = 0;
  while (true) {
    CV_CO_TRY(const std::string line, lines.next());
    if (line.empty()) break;
    add_to(hasher, line);
    bytes += line.size();
  }
  if (bytes == 0) co_return true;
  if (hasher.digest() != known.digest) co_return false;
  const auto there = co_await connections_.target->stat(list_.name, false);
  if (!there && there.error().kind != ErrorKind::not_found) co_return Failure(there.error());
  co_return there && there->type == EntryType::file && there->size_bytes == bytes;
}

Task<Result<void>> ListFile::update() {
  for (std::uint32_t attempt = 1;;) {
    if (engine_.cancellation.requested()) co_return Failure(engine_.cancellation.reason());
    CV_CO_TRY(const bool is_current, co_await current());
    if (is_current) co_return Result<void>();
    const auto written = co_await write_once();
    if (written && *written) co_return Result<void>();
    if (written) { // another worker has it
      co_await engine_.cancellation.sleep(list_poll);
      continue;
    }
    const Error& error = written.error();
    const bool retryable = error.transient() || error.kind == ErrorKind::lease || error.kind == ErrorKind::integrity;
    if (!retryable || attempt > job_.retries) co_return Failure(error);
    const milliseconds delay = Backoff().delay(attempt);
    engine_.events.emit(RetryEvent{list_.name, error, ++attempt, delay.count()});
    co_await engine_.cancellation.sleep(delay);
  }
}

// False: another worker has it.
Task<Result<bool>> ListFile::write_once() {
  CV_CO_TRY(const bool taken, co_await take());
  if (!taken) co_return false;
  const auto digest = co_await publish();
  const ListRecord now{digest.value_or(""), bytes_};
  auto released = co_await engine_.store.lists.release(key_, temporary_.text(), now);
  if (!digest) co_return Failure(digest.error());
  if (!released) co_return Failure(released.error());
  co_return true;
}

Task<Result<bool>> ListFile::take() {
  // Of no plan: whoever plans at this moment takes temporaries of plans that nobody works on for orphans.
  temporary_ = {random_plan_id(), 1, random_nonce(), 0};
  const auto asked = BootClock::now();
  CV_CO_TRY(ListAnswer answer,
            co_await engine_.store.lists.take(key_, this_holder(), temporary_.text(), gone_, job_.lease_ttl));
  if (!answer.taken && is_gone(answer.holder)) gone_ = std::move(answer.holder); // taken over by the next try
  valid_until_ = asked + job_.lease_ttl;
  orphan_ = std::move(answer.orphan);
  co_return answer.taken;
}

// The digest of what was published; without lines nothing is, and the digest is that of no bytes.
Task<Result<std::string>> ListFile::publish() {
  Target& target = *connections_.target;
  CV_CO_CHECK(co_await check_ours());
  if (const auto left = parse_temporary(orphan_)) (void)co_await target.discard(list_.name, *left);
  ListLines lines(engine_, key_.target, list_);
  CV_CO_CHECK(co_await lines.gather([this] { return keep(); }));
  CV_CO_TRY(std::string first, lines.next());
  if (first.empty()) co_return Hasher().digest();

  CommitOptions options;
  options.durable = job_.durable;
  options.replace = target.capabilities().atomic_replace ? Replace::atomic
                    : job_.overwrites_non_atomically()   ? Replace::allow_gap
                                                         : Replace::if_absent;
  const std::uint64_t window = std::min(job_.memory_bytes, target.capabilities().window_bytes);
  CV_CO_TRY(std::unique_ptr<Upload> upload, co_await target.begin(list_.name, {.temporary = temporary_}));
  Outputs outputs(target, std::move(upload), list_.name, temporary_, options, window, {[this] { return ours(); }, {}});
  auto digest = co_await send(std::move(first), lines, outputs);
  if (!digest) (void)co_await outputs.abort();
  if (!digest && digest.error().kind == ErrorKind::exists)
    co_return Failure(
        make_error(ErrorKind::unsupported, "publish", escape_bytes(list_.name),
                   "the target can't replace the list in one step; --on-conflict overwrite-non-atomic allows a "
                   "moment in which the old one is gone and the new one not there yet"));
  if (digest && job_.verify == VerifyMode::readback) CV_CO_CHECK(co_await read_back(*digest));
  co_return digest;
}

Task<Result<void>> ListFile::check_ours() {
  if (job_.overwrites() || bytes_ > 0 || !orphan_.empty()) co_return Result<void>();
  const auto there = co_await connections_.target->stat(list_.name, false);
  if (!there && there.error().kind == ErrorKind::not_found) co_return Result<void>();
  if (!there) co_return Failure(there.error());
  co_return Failure(
      make_error(ErrorKind::exists, "publish", escape_bytes(list_.name),
                 "exists at the target, and is not a list that this state knows of: move it away, or give "
                 "the list another name"));
}

Task<Result<std::string>> ListFile::send(std::string text, ListLines& lines, Outputs& outputs) {
  const std::size_t chunk_bytes = connections_.target->capabilities().chunk_bytes;
  Hasher hasher;
  Hasher server_side(hash_); // what the target's server-side checksum must be
  for (bool more = true; more;) {
    CV_CO_TRY(const std::string line, lines.next());
    more = !line.empty();
    text += line;
    if (more && text.size() < chunk_bytes) continue;
    add_to(hasher, text);
    if (job_.verify == VerifyMode::hash) add_to(server_side, text);
    for (std::string_view left = text; !left.empty(); left.remove_prefix(std::min(left.size(), chunk_bytes)))
      CV_CO_CHECK(co_await outputs.write({0, Chunk::copy_of(left.substr(0, chunk_bytes)), "", false}));
    text.clear();
    if (engine_.cancellation.requested()) co_return Failure(engine_.cancellation.reason());
    CV_CO_CHECK(co_await keep());
  }
  CV_CO_CHECK(ours());
  bytes_ = outputs.file_bytes(); // from here on what is there may be ours
  CV_CO_CHECK(co_await outputs.commit(job_.verify == VerifyMode::hash ? server_side.digest() : ""));
  co_return hasher.digest();
}

Result<void> ListFile::ours() const {
  if (BootClock::now() < valid_until_) return {};
  return Failure(make_error(ErrorKind::lease, "publish", escape_bytes(list_.name),
                            "the right to write the list has run out: another worker may have taken it"));
}

// Renews the taking in time.
Task<Result<void>> ListFile::keep() {
  const auto now = BootClock::now();
  if (now < valid_until_ - job_.lease_ttl * 2 / 3) co_return Result<void>();
  CV_CO_CHECK(co_await engine_.store.lists.renew(key_, temporary_.text(), job_.lease_ttl));
  valid_until_ = now + job_.lease_ttl;
  co_return Result<void>();
}

Task<Result<void>> ListFile::read_back(const std::string& digest) {
  Entry there;
  there.path = list_.name;
  there.size_bytes = bytes_;
  std::uint64_t read_bytes = 0;
  CV_CO_TRY(const std::string found, co_await content_digest(*connections_.readback, there, read_bytes));
  if (found == digest) co_return Result<void>();
  co_return Failure(make_error(ErrorKind::integrity, "verify", escape_bytes(list_.name),
                               "the published list reads back with other content than was written"));
}

} // namespace checkvalve
