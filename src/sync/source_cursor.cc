#include "sync/source_cursor.h"

#include <fmt/format.h>

#include <cstring>

#include "core/path.h"

namespace checkvalve {
namespace {

constexpr char side_name = 127; // in the place of a PublishedVersion::Record

PublishedVersion::Record published_version(const HistoryRecord& record, const Entry& entry, std::string_view chain) {
  using Record = PublishedVersion::Record;
  if (record.chain == chain_in_doubt) return Record::in_doubt;
  if (record.chain != chain) return Record::differently;
  const bool same =
      record.size_bytes == entry.size_bytes && record.mtime_ns == entry.mtime_ns && record.etag == entry.etag;
  return same ? Record::this_version : Record::other_version;
}

Error taken_error(const std::string& path, const std::string& other, const std::string& target_path) {
  return make_error(
      ErrorKind::exists, "plan", escape_bytes(path),
      fmt::format("'{}' and this file would both become '{}' at the target: exclude one of them, or give the "
                  "transform a rename= of its own",
                  escape_bytes(other), escape_bytes(target_path)));
}

// Nothing may stand where the list of checksums goes, nor below it.
bool takes_name_of(const ChecksumList& list, std::string_view target_path) {
  return target_path.substr(0, target_path.find('/')) == list.name;
}

Error list_error(const std::string& path, const std::string& list) {
  return make_error(ErrorKind::exists, "plan", escape_bytes(path),
                    fmt::format("'{}' at the target is the list of checksums: exclude this file, or give the list "
                                "another name",
                                escape_bytes(list)));
}

} // namespace

SourceCursor::SourceCursor(Engine& engine, const PairKey& pair, const Chain& chain, Walk& walk)
    : chain_(chain), walk_(walk), memory_(engine, pair) {}

Task<Result<void>> SourceCursor::begin() {
  if (!chain_.empty()) CV_CO_CHECK(co_await spool_by_target_name());
  co_return co_await advance();
}

Task<Result<void>> SourceCursor::advance() {
  if (chain_.empty()) {
    CV_CO_TRY(present_, co_await next_by_source_name());
  } else {
    CV_CO_TRY(present_, next_by_target_name());
  }
  co_return Result<void>();
}

Task<Result<std::optional<Candidate>>> SourceCursor::next_by_source_name() {
  CV_CO_CHECK(walk_.source.advance());
  const Entry* entry = walk_.source.present();
  if (!entry) co_return std::nullopt;
  Candidate wanted;
  wanted.entry = *entry;
  wanted.target_path = entry->path;
  CV_CO_TRY(const HistoryRecord* record, co_await memory_.find(entry->path));
  if (record)
    wanted.history = {published_version(*record, *entry, chain_.digest()), record->target_bytes, record->target_etag};
  co_return wanted;
}

// A row: what the history says (a PublishedVersion::Record, or side_name), published bytes (8), length of the source's
// name (4), that name, the entry. The key is the target's name.
Task<Result<void>> SourceCursor::spool_by_target_name() {
  while (true) {
    CV_CO_TRY(std::optional<Candidate> wanted, co_await next_by_source_name());
    if (!wanted) break;
    const Entry& entry = wanted->entry;
    const auto length = static_cast<std::uint32_t>(entry.path.size());
    std::string row(13, '\0');
    row[0] = static_cast<char>(wanted->history.record);
    std::memcpy(row.data() + 1, &wanted->history.bytes, 8);
    std::memcpy(row.data() + 9, &length, 4);
    row += entry.path;
    if (entry.type != EntryType::file) { // links and directories are not transformed
      CV_CO_CHECK(spool_.add(entry.path, row + encode_entry(entry)));
      continue;
    }
    const auto name = chain_.renamed(entry.path);
    // A name that can't be is reported when the row is read again: it is the only row without a good target name.
    const std::string target_path = name ? *name : entry.path;
    CV_CO_CHECK(spool_.add(target_path, row + encode_entry(entry)));
    row[0] = side_name;
    if (name)
      for (const std::string& suffix : chain_.side_suffixes()) CV_CO_CHECK(spool_.add(target_path + suffix, row));
  }
  CV_CO_CHECK(spool_.finish());
  co_return read_ahead();
}

Result<void> SourceCursor::read_ahead() {
  std::string_view key;
  std::string_view row;
  ahead_.reset();
  CV_TRY(const bool more, spool_.next(key, row));
  if (!more) return {};
  std::uint32_t length = 0;
  std::memcpy(&length, row.data() + 9, 4);
  Row next{std::string(key), std::nullopt, std::string(row.substr(13, length))};
  if (row[0] != side_name) {
    Candidate& wanted = next.wanted.emplace();
    wanted.entry = decode_entry(next.owner, row.substr(13 + length));
    wanted.target_path = next.target_path;
    wanted.history.record = static_cast<PublishedVersion::Record>(row[0]);
    std::memcpy(&wanted.history.bytes, row.data() + 1, 8);
    if (wanted.entry.type == EntryType::file)
      if (auto name = chain_.renamed(next.owner); !name) wanted.refused = std::move(name.error());
  }
  ahead_ = std::move(next);
  return {};
}

Result<std::optional<Candidate>> SourceCursor::next_by_target_name() {
  while (ahead_) {
    Row row = std::move(*ahead_);
    CV_CHECK(read_ahead());
    const bool taken_before = !taken_by_.empty() && taken_name_ == row.target_path;
    const bool taken_after = ahead_ && ahead_->target_path == row.target_path;
    const std::string other = taken_before ? taken_by_ : taken_after ? ahead_->owner : "";
    taken_name_ = row.target_path;
    taken_by_ = row.owner;
    if (!row.wanted) continue;
    if ((taken_before || taken_after) && !row.wanted->refused)
      row.wanted->refused = taken_error(row.wanted->entry.path, other, row.target_path);
    const auto& list = chain_.checksum_list();
    if (list && !row.wanted->refused && takes_name_of(*list, row.target_path))
      row.wanted->refused = list_error(row.wanted->entry.path, list->name);
    return std::move(row.wanted);
  }
  return std::nullopt;
}

} // namespace checkvalve
