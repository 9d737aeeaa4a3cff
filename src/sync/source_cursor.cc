#include "sync/source_cursor.h"

#include <fmt/format.h>

#include "core/path.h"

namespace checkvalve {
namespace {

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

template <class Archive, class Self>
  requires std::same_as<std::remove_const_t<Self>, NameTaken>
void fields(Archive& archive, Self& name) {
  archive(name.owner, name.side_file, name.entry, name.history.record, name.history.bytes, name.history.etag);
}

SourceCursor::SourceCursor(Engine& engine, const PairKey& pair, std::chrono::milliseconds keep_history,
                           const Chain& chain, Walk& walk)
    : chain_(chain), walk_(walk), memory_(engine, pair, keep_history) {}

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
  if (!entry) {
    CV_CO_CHECK(co_await memory_.finish());
    co_return std::nullopt;
  }
  Candidate wanted;
  wanted.entry = *entry;
  wanted.target_path = entry->path;
  CV_CO_TRY(const HistoryRecord* record, co_await memory_.find(entry->path));
  if (record)
    wanted.history = {published_version(*record, *entry, chain_.digest()), record->target_bytes, record->target_etag};
  co_return wanted;
}

Task<Result<void>> SourceCursor::spool_by_target_name() {
  while (true) {
    CV_CO_TRY(std::optional<Candidate> wanted, co_await next_by_source_name());
    if (!wanted) break;
    NameTaken name;
    name.owner = wanted->entry.path;
    name.entry = std::move(wanted->entry);
    name.history = std::move(wanted->history);
    if (name.entry.type != EntryType::file) { // links and directories are not transformed
      CV_CO_CHECK(spool_.add(name.owner, name));
      continue;
    }
    const auto renamed = chain_.renamed(name.owner);
    // A name that can't be is reported when the record is read again: it is the only one without a good target name.
    const std::string target_path = renamed ? *renamed : name.owner;
    CV_CO_CHECK(spool_.add(target_path, name));
    name = {.owner = name.owner, .side_file = true};
    if (renamed)
      for (const std::string& suffix : chain_.side_suffixes()) CV_CO_CHECK(spool_.add(target_path + suffix, name));
  }
  CV_CO_CHECK(spool_.finish());
  co_return read_ahead();
}

Result<void> SourceCursor::read_ahead() {
  std::string_view target_path;
  NameTaken next;
  CV_TRY(const bool more, spool_.next(target_path, next));
  ahead_.reset();
  if (!more) return {};
  next.target_path = target_path;
  ahead_ = std::move(next);
  return {};
}

Result<std::optional<Candidate>> SourceCursor::next_by_target_name() {
  while (ahead_) {
    NameTaken name = std::move(*ahead_);
    CV_CHECK(read_ahead());
    const bool taken_before = !taken_by_.empty() && taken_name_ == name.target_path;
    const bool taken_after = ahead_ && ahead_->target_path == name.target_path;
    const std::string other = taken_before ? taken_by_ : taken_after ? ahead_->owner : "";
    taken_name_ = name.target_path;
    taken_by_ = name.owner;
    if (name.side_file) continue;
    Candidate wanted{std::move(name.entry), std::move(name.target_path), std::move(name.history), std::nullopt};
    wanted.entry.path = std::move(name.owner);
    const auto& list = chain_.checksum_list();
    const auto renamed = wanted.entry.type == EntryType::file ? chain_.renamed(wanted.entry.path) : wanted.target_path;
    if (!renamed)
      wanted.refused = renamed.error();
    else if (taken_before || taken_after)
      wanted.refused = taken_error(wanted.entry.path, other, wanted.target_path);
    else if (list && takes_name_of(*list, wanted.target_path))
      wanted.refused = list_error(wanted.entry.path, list->name);
    return wanted;
  }
  return std::nullopt;
}

} // namespace checkvalve
