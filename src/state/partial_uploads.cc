#include "state/partial_uploads.h"

#include <fmt/format.h>

#include "state/rows.h"

namespace checkvalve {
namespace {

constexpr std::string_view columns =
    "p.source, p.target, u.path, u.temporary, u.holder, u.plan, u.size_bytes, u.mtime_ns, u.etag, "
    "u.acknowledged_bytes, "
    "u.digest, u.recorded_ms FROM cv_partial_uploads u JOIN cv_pairs p ON p.id = u.pair";

void read_upload(const SqlRow& row, PartialUploadRecord& upload) {
  read_row(row, upload.pair.source, upload.pair.target, upload.path, upload.temporary, upload.holder, upload.plan,
           upload.size_bytes, upload.mtime_ns, upload.etag, upload.acknowledged_bytes, upload.digest,
           upload.recorded_ms);
}

} // namespace

Task<Result<void>> PartialUploadStore::record(const Lease& lease, const PartialUploadRecord& upload) {
  co_return co_await thread_.transact(StateThread::Repeat::yes, [&](SqlDatabase& database) -> Result<void> {
    CV_TRY(const std::int64_t pair, pair_number(database, upload.pair));
    CV_CHECK(database.run(
        "INSERT INTO cv_partial_uploads (pair, path, temporary, holder, plan, size_bytes, mtime_ns, etag, "
        "acknowledged_bytes, digest, recorded_ms) SELECT CAST($1 AS BIGINT), CAST($2 AS {bytes}), CAST($3 AS TEXT), "
        "CAST($4 AS {bytes}), CAST($5 AS TEXT), CAST($6 AS BIGINT), CAST($7 AS BIGINT), CAST($8 AS {bytes}), "
        "CAST($9 AS BIGINT), CAST($10 AS TEXT), {now_ms} FROM cv_batches WHERE plan = $11 AND number = $12 AND "
        "generation = $13 AND nonce = $14 AND state = $15 ON CONFLICT (pair, path) DO UPDATE SET temporary = "
        "excluded.temporary, holder = excluded.holder, plan = excluded.plan, size_bytes = excluded.size_bytes, "
        "mtime_ns = excluded.mtime_ns, etag = excluded.etag, acknowledged_bytes = excluded.acknowledged_bytes, digest "
        "= excluded.digest, recorded_ms = excluded.recorded_ms",
        pair, SqlBytes{upload.path}, SqlText{upload.temporary}, SqlBytes{upload.holder}, SqlText{upload.plan},
        sql_value(upload.size_bytes), sql_value(upload.mtime_ns), SqlBytes{upload.etag},
        sql_value(upload.acknowledged_bytes), SqlText{upload.digest}, SqlText{lease.plan}, std::int64_t{lease.batch},
        std::int64_t{lease.generation}, SqlText{lease.nonce}, sql_value(BatchState::leased)));
    return {};
  });
}

Task<Result<std::optional<PartialUploadRecord>>> PartialUploadStore::find(const PairKey& pair,
                                                                          const std::string& path) {
  using Found = std::optional<PartialUploadRecord>;
  co_return co_await thread_.read([&](SqlDatabase& database) -> Result<Found> {
    CV_TRY(std::vector<PartialUploadRecord> found,
           select_records<PartialUploadRecord>(
               database, read_upload,
               fmt::format("SELECT {} WHERE p.source = $1 AND p.target = $2 AND u.path = $3", columns),
               SqlBytes{pair.source}, SqlBytes{pair.target}, SqlBytes{path}));
    return found.empty() ? Found() : Found(std::move(found.front()));
  });
}

Task<Result<std::vector<PartialUploadRecord>>> PartialUploadStore::newest(std::size_t limit) {
  co_return co_await thread_.read([&](SqlDatabase& database) {
    return select_records<PartialUploadRecord>(
        database, read_upload, fmt::format("SELECT {} ORDER BY u.recorded_ms DESC, u.path LIMIT $1", columns),
        sql_value(std::uint64_t{limit}));
  });
}

Task<Result<void>> PartialUploadStore::claim(const std::string& plan, const std::vector<std::string>& temporaries) {
  co_return co_await thread_.transact(StateThread::Repeat::yes, [&](SqlDatabase& database) {
    return database.execute_many("UPDATE cv_partial_uploads SET plan = $1, recorded_ms = {now_ms} WHERE temporary = $2",
                                 2, temporaries.size(), [&](std::size_t index, std::span<SqlValue> values) {
                                   values[0] = SqlText{plan};
                                   values[1] = SqlText{temporaries[index]};
                                 });
  });
}

Task<Result<void>> PartialUploadStore::remove(const std::string& temporary) {
  co_return co_await thread_.transact(StateThread::Repeat::yes, [&](SqlDatabase& database) -> Result<void> {
    CV_CHECK(database.run("DELETE FROM cv_partial_uploads WHERE temporary = $1", SqlText{temporary}));
    return {};
  });
}

} // namespace checkvalve
