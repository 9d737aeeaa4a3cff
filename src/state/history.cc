#include "state/history.h"

#include <fmt/format.h>

#include "state/rows.h"

namespace checkvalve {
namespace {

std::string displayed_text(const PairKey& displayed) { return displayed.source + "\n" + displayed.target; }

Result<bool> known(SqlDatabase& database, const PairKey& pair) {
  bool found = false;
  CV_CHECK(database.select([&](const SqlRow&) { found = true; },
                           "SELECT 1 FROM cv_pairs WHERE source = $1 AND target = $2", SqlBytes{pair.source},
                           SqlBytes{pair.target}));
  return found;
}

// cv_pairs.id, locked; nothing if it was claimed, or never was there.
Result<std::optional<std::int64_t>> unclaimed_number(SqlDatabase& database, const PairKey& displayed) {
  std::optional<std::int64_t> number;
  CV_CHECK(database.select([&](const SqlRow& row) { number = row.integer(0); },
                           "SELECT id FROM cv_pairs WHERE pair = $1 AND source IS NULL {for_update}",
                           SqlBytes{displayed_text(displayed)}));
  return number;
}

Result<void> doubt_unproven(SqlDatabase& database, std::int64_t pair, const PairKey& displayed) {
  CV_CHECK(database.run(
      "UPDATE cv_published SET chain = $2 WHERE pair = $1 AND path IN (SELECT path FROM (SELECT path, size_bytes, "
      "mtime_ns, etag FROM cv_published WHERE pair = $1 EXCEPT SELECT path, read_size_bytes, read_mtime_ns, read_etag "
      "FROM cv_files WHERE plan IN (SELECT id FROM cv_plans WHERE source = $3 AND target = $4) AND state = $5) AS "
      "unproven)",
      pair, SqlText{chain_in_doubt}, SqlBytes{displayed.source}, SqlBytes{displayed.target},
      sql_value(FileState::committed)));
  return {};
}

// What the lists hold is not known: the lines of other histories may be missing from now on.
Result<void> claim_lists(SqlDatabase& database, std::int64_t pair, const std::string& displayed,
                         const std::string& target) {
  constexpr std::string_view named =
      "target = $2 AND name IN (SELECT list FROM cv_published WHERE pair = $1 AND list IS NOT NULL)";
  CV_CHECK(database.run(
      fmt::format("INSERT INTO cv_lists (target, name, digest, bytes, holder, temporary, lease_until_ms) SELECT $3, "
                  "name, '', bytes, holder, temporary, lease_until_ms FROM cv_lists_by_name WHERE {} ON CONFLICT "
                  "(target, name) DO NOTHING",
                  named),
      pair, SqlBytes{displayed}, SqlBytes{target}));
  CV_CHECK(database.run(fmt::format("DELETE FROM cv_lists_by_name WHERE {}", named), pair, SqlBytes{displayed}));
  return {};
}

Result<void> claim_history(SqlDatabase& database, const PairKey& displayed, const PairKey& pair) {
  CV_TRY(const std::optional<std::int64_t> number, unclaimed_number(database, displayed));
  CV_TRY(const bool has_one, known(database, pair));
  if (!number || has_one) return {};
  CV_CHECK(database.run("UPDATE cv_pairs SET pair = $2, source = $3, target = $4 WHERE id = $1", *number,
                        SqlBytes{pair_text(pair)}, SqlBytes{pair.source}, SqlBytes{pair.target}));
  CV_CHECK(doubt_unproven(database, *number, displayed));
  return claim_lists(database, *number, displayed.target, pair.target);
}

Result<void> copy_doubts(SqlDatabase& database, const PairKey& displayed, const PairKey& pair) {
  CV_TRY(const std::optional<std::int64_t> number, unclaimed_number(database, displayed));
  CV_TRY(const std::int64_t own, pair_number(database, pair));
  if (!number) return {};
  CV_CHECK(database.run("INSERT INTO cv_published (pair, path, size_bytes, mtime_ns, etag, chain, target_bytes) SELECT "
                        "CAST($1 AS BIGINT), path, size_bytes, mtime_ns, etag, chain, target_bytes FROM cv_published "
                        "WHERE pair = $2 AND chain = $3 ON CONFLICT (pair, path) DO NOTHING",
                        own, *number, SqlText{chain_in_doubt}));
  return {};
}

// Those whose names end with the target's.
Result<std::vector<UnclaimedHistory>> unclaimed_to(SqlDatabase& database, const std::string& target) {
  const std::string end = "\n" + target;
  std::vector<UnclaimedHistory> found;
  CV_CHECK(database.select(
      [&](const SqlRow& row) {
        const std::string_view pair = row.bytes(0);
        found.push_back({{std::string(pair.substr(0, pair.size() - end.size())), target}, {}});
      },
      "SELECT pair FROM cv_pairs WHERE source IS NULL AND length(pair) >= $2 AND substr(pair, length(pair) - CAST($2 "
      "AS "
      "INTEGER) + 1) = $1 ORDER BY pair",
      SqlBytes{end}, static_cast<std::int64_t>(end.size())));
  for (UnclaimedHistory& each : found)
    CV_CHECK(database.select([&](const SqlRow& row) { each.jobs.push_back(row.text(0)); },
                             "SELECT DISTINCT job_json FROM cv_plans WHERE source = $1 AND target = $2",
                             SqlBytes{each.displayed.source}, SqlBytes{target}));
  return found;
}

// A record's key; the next page of records begins behind it.
struct Position {
  std::int64_t pair = 0;
  std::string path;
};

Result<std::optional<Position>> position_after(SqlDatabase& database, const Position& after, std::size_t records) {
  std::optional<Position> end;
  CV_CHECK(database.select([&](const SqlRow& row) { read_row(row, end.emplace().pair, end->path); },
                           "SELECT pair, path FROM cv_published WHERE (pair, path) > ($1, $2) ORDER BY pair, path "
                           "LIMIT 1 OFFSET $3",
                           after.pair, SqlBytes{after.path}, sql_value(std::uint64_t{records - 1})));
  return end;
}

Result<void> prune_page(SqlDatabase& database, std::int64_t unused_for_ms, std::size_t max_records) {
  CV_CHECK(database.run("INSERT INTO cv_retention (id, pair, path) VALUES (1, 0, $1) ON CONFLICT (id) DO NOTHING",
                        SqlBytes{}));
  Position begin;
  std::int64_t now_ms = 0;
  CV_CHECK(database.select([&](const SqlRow& row) { read_row(row, begin.pair, begin.path, now_ms); },
                           "SELECT pair, path, {now_ms} FROM cv_retention {for_update}"));
  CV_TRY(const std::optional<Position> next, position_after(database, begin, max_records));
  const Position end = next.value_or(Position{INT64_MAX, ""}); // the last page goes to the end
  constexpr std::string_view in_page = "(pair, path) > ($1, $2) AND (pair, path) <= ($3, $4)";
  // Of schema 4 and older: their time begins when they are first seen.
  CV_CHECK(database.run(fmt::format("UPDATE cv_published SET used_ms = $5 WHERE {} AND used_ms IS NULL", in_page),
                        begin.pair, SqlBytes{begin.path}, end.pair, SqlBytes{end.path}, now_ms));
  CV_CHECK(database.run(
      fmt::format("DELETE FROM cv_published WHERE {} AND used_ms < $5 AND list IS NULL AND chain <> $6", in_page),
      begin.pair, SqlBytes{begin.path}, end.pair, SqlBytes{end.path}, now_ms - unused_for_ms, SqlText{chain_in_doubt}));
  const Position from = next.value_or(Position());
  CV_CHECK(database.run("UPDATE cv_retention SET pair = $1, path = $2", from.pair, SqlBytes{from.path}));
  return {};
}

} // namespace

Task<Result<std::vector<HistoryRecord>>> HistoryStore::page(const PairKey& pair, std::string from, std::size_t limit) {
  const auto read = [](const SqlRow& row, HistoryRecord& record) {
    read_row(row, record.path, record.size_bytes, record.mtime_ns, record.etag, record.chain, record.target_bytes,
             record.target_etag, record.list, record.list_digest, record.target_path, record.published_ms,
             record.unused_ms);
  };
  co_return co_await thread_.read([&](SqlDatabase& database) {
    return select_records<HistoryRecord>(
        database, read,
        "SELECT path, size_bytes, mtime_ns, etag, chain, target_bytes, target_etag, list, list_digest, target_path, "
        "published_ms, {now_ms} - coalesce(used_ms, {now_ms}) FROM cv_published WHERE pair = (SELECT id FROM cv_pairs "
        "WHERE source = $1 AND target = $2) AND "
        "path >= $3 ORDER BY path LIMIT $4",
        SqlBytes{pair.source}, SqlBytes{pair.target}, SqlBytes{from}, sql_value(std::uint64_t{limit}));
  });
}

Task<Result<void>> HistoryStore::touch(const PairKey& pair, const std::vector<std::string>& paths) {
  if (paths.empty()) co_return Result<void>();
  co_return co_await thread_.transact(StateThread::Repeat::yes, [&](SqlDatabase& database) -> Result<void> {
    CV_TRY(const std::int64_t number, pair_number(database, pair));
    return database.execute_many("UPDATE cv_published SET used_ms = {now_ms} WHERE pair = $1 AND path = $2", 2,
                                 paths.size(), [&](std::size_t index, std::span<SqlValue> values) {
                                   values[0] = number;
                                   values[1] = SqlBytes{paths[index]};
                                 });
  });
}

Task<Result<void>> HistoryStore::prune(std::chrono::milliseconds unused_for, std::size_t max_records) {
  co_return co_await thread_.transact(StateThread::Repeat::yes, [&](SqlDatabase& database) {
    return prune_page(database, unused_for.count(), max_records);
  });
}

Task<Result<std::vector<PairKey>>> HistoryStore::pairs_to(const std::string& target) {
  const auto read = [](const SqlRow& row, PairKey& pair) { read_row(row, pair.source, pair.target); };
  co_return co_await thread_.read([&](SqlDatabase& database) {
    return select_records<PairKey>(
        database, read, "SELECT source, target FROM cv_pairs WHERE target = $1 ORDER BY source", SqlBytes{target});
  });
}

Task<Result<std::vector<UnclaimedHistory>>> HistoryStore::unclaimed(const PairKey& own, std::string displayed_target) {
  co_return co_await thread_.read([&](SqlDatabase& database) -> Result<std::vector<UnclaimedHistory>> {
    CV_TRY(const bool is_known, known(database, own));
    if (is_known) return std::vector<UnclaimedHistory>();
    return unclaimed_to(database, displayed_target);
  });
}

Task<Result<void>> HistoryStore::claim(const PairKey& displayed, const PairKey& pair) {
  co_return co_await thread_.transact(StateThread::Repeat::yes,
                                      [&](SqlDatabase& database) { return claim_history(database, displayed, pair); });
}

Task<Result<void>> HistoryStore::claim_doubts(const PairKey& displayed, const PairKey& pair) {
  co_return co_await thread_.transact(StateThread::Repeat::yes,
                                      [&](SqlDatabase& database) { return copy_doubts(database, displayed, pair); });
}

} // namespace checkvalve
