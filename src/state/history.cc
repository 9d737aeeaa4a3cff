#include "state/history.h"

namespace checkvalve {

Task<Result<std::vector<HistoryRecord>>> HistoryStore::page(const std::string& pair, const std::string& from,
                                                            std::size_t limit) {
  co_return co_await thread_.read([&](SqlDatabase& database) -> Result<std::vector<HistoryRecord>> {
    std::vector<HistoryRecord> found;
    CV_CHECK(database.select(
        [&](const SqlRow& row) {
          HistoryRecord& record = found.emplace_back();
          record.path = row.text(0);
          record.size_bytes = row.count(1);
          record.mtime_ns = row.maybe_integer(2);
          record.etag = row.text(3);
          record.chain = row.text(4);
          record.target_bytes = row.count(5);
          if (row.is_null(6)) return;
          record.list = row.text(6);
          record.list_digest = row.text(7);
          record.target_path = row.text(8);
          record.published_ms = row.integer(9);
        },
        "SELECT path, size_bytes, mtime_ns, etag, chain, target_bytes, list, list_digest, target_path, published_ms "
        "FROM cv_published WHERE pair = (SELECT id FROM cv_pairs WHERE pair = $1) AND path >= $2 ORDER BY path LIMIT "
        "$3",
        SqlBytes{pair}, SqlBytes{from}, sql_value(std::uint64_t{limit})));
    return found;
  });
}

Task<Result<std::vector<std::string>>> HistoryStore::pairs_ending(const std::string& end) {
  co_return co_await thread_.read([&](SqlDatabase& database) -> Result<std::vector<std::string>> {
    std::vector<std::string> found;
    CV_CHECK(database.select([&](const SqlRow& row) { found.push_back(row.text(0)); },
                             "SELECT pair FROM cv_pairs WHERE length(pair) >= $2 AND substr(pair, length(pair) - "
                             "CAST($2 AS INTEGER) + 1) = $1 ORDER BY pair",
                             SqlBytes{end}, static_cast<std::int64_t>(end.size())));
    return found;
  });
}

} // namespace checkvalve
