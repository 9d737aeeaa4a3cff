#include "sync/list_lines.h"

#include <algorithm>
#include <cstring>

#include "transforms/checksum_line.h"

namespace checkvalve {
namespace {

constexpr std::size_t page_records = 2'000; // fetched at once

// The name, which has no NUL, a NUL, and the time in big-endian order: records of one name lie together, the latest
// last.
std::string key_of(const std::string& path, std::int64_t published_ms) {
  const std::uint64_t time = __builtin_bswap64(static_cast<std::uint64_t>(published_ms));
  std::string key = path;
  key += '\0';
  return key.append(reinterpret_cast<const char*>(&time), sizeof time);
}

} // namespace

ListLines::ListLines(Engine& engine, std::string target, ChecksumList list)
    : engine_(engine), target_(std::move(target)), list_(std::move(list)) {}

Task<Result<void>> ListLines::gather(const Between& between) {
  CV_CO_TRY(const std::vector<PairKey> pairs, co_await engine_.store.history.pairs_to(target_));
  for (const PairKey& pair : pairs) CV_CO_CHECK(co_await gather_pair(pair, between));
  CV_CO_CHECK(spool_.finish());
  co_return read_ahead();
}

Task<Result<void>> ListLines::gather_pair(PairKey pair, const Between& between) {
  const std::string prefix = list_.algorithm + ":";
  std::string from;
  while (true) {
    CV_CO_TRY(const std::vector<HistoryRecord> page, co_await engine_.store.history.page(pair, from, page_records));
    for (const HistoryRecord& record : page) {
      if (record.list != list_.name || !record.list_digest.starts_with(prefix)) continue;
      const std::string& path = record.target_path.empty() ? record.path : record.target_path;
      CV_CO_CHECK(spool_.add(key_of(path, record.published_ms), record.list_digest.substr(prefix.size())));
    }
    if (page.size() < page_records) co_return Result<void>();
    from = path_after(page.back().path);
    if (engine_.cancellation.requested()) co_return Failure(engine_.cancellation.reason());
    CV_CO_CHECK(co_await between());
  }
}

Result<void> ListLines::read_ahead() {
  std::string_view key;
  std::string_view digest;
  digest_ahead_.clear();
  CV_TRY(const bool more, spool_.next(key, digest));
  if (!more) return {};
  path_ahead_ = key.substr(0, key.find('\0'));
  digest_ahead_ = digest;
  return {};
}

Result<std::string> ListLines::next() {
  while (!digest_ahead_.empty()) {
    const std::string path = std::move(path_ahead_);
    const std::string digest = std::move(digest_ahead_);
    CV_CHECK(read_ahead());
    if (digest_ahead_.empty() || path_ahead_ != path) return checksum_line(digest, path);
  }
  return "";
}

} // namespace checkvalve
