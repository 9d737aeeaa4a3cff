// Leases and checkpoints. Whoever changes a batch locks its row first; who may change a plan's state locks the plan's
// row before that, so that two workers that end the last two batches at once see each other.
#include <fmt/format.h>

#include <map>
#include <random>
#include <set>
#include <unordered_map>

#include "core/path.h"
#include "core/units.h"
#include "state/leases.h"
#include "state/rows.h"

namespace checkvalve {
namespace {

std::string draw_nonce() {
  static std::random_device device;
  return fmt::format("{:08x}", static_cast<std::uint32_t>(device()));
}

struct LockedBatch {
  BatchState state = BatchState::pending;
  std::uint64_t files = 0;
  std::uint64_t files_done = 0;
  std::uint64_t files_failed = 0;
  std::uint32_t generation = 0;
  std::string nonce;
  std::string holder;
  std::int64_t lease_until_ms = 0;
  std::int64_t now_ms = 0; // the store's clock

  bool held() const { return state == BatchState::leased && lease_until_ms > now_ms; }
  bool belongs_to(const Lease& lease) const { return generation == lease.generation && nonce == lease.nonce; }
};

std::string batch_name(const std::string& plan, std::uint32_t batch) { return fmt::format("{} batch {}", plan, batch); }

Result<LockedBatch> lock_batch(SqlDatabase& database, const std::string& plan, std::uint32_t batch,
                               std::string_view operation) {
  std::optional<LockedBatch> found;
  CV_CHECK(database.select(
      [&](const SqlRow& row) {
        LockedBatch& batch = found.emplace();
        read_row(row, batch.state, batch.files, batch.files_done, batch.files_failed, batch.generation, batch.nonce,
                 batch.holder, batch.lease_until_ms, batch.now_ms);
      },
      "SELECT state, files, files_done, files_failed, generation, nonce, holder, lease_until_ms, {now_ms} FROM "
      "cv_batches "
      "WHERE plan = $1 AND number = $2 {for_update}",
      SqlText{plan}, std::int64_t{batch}));
  if (found) return std::move(*found);
  return Failure(make_error(ErrorKind::state, std::string(operation), batch_name(plan, batch),
                            "no such batch: the plan is not finished, or was removed"));
}

Failure lost(const Lease& lease, const LockedBatch& batch, std::string_view operation) {
  std::string message;
  if (batch.generation == lease.generation)
    message = fmt::format("the lease of generation {} has ended", lease.generation);
  else
    message = fmt::format("the lease of generation {} was taken over by {} (generation {})", lease.generation,
                          escape_bytes(batch.holder), batch.generation);
  // Another run may take the batch again, or finds it done.
  return Failure(transient_error(ErrorKind::lease, std::string(operation), batch_name(lease.plan, lease.batch),
                                 std::move(message)));
}

// The batch, locked, if this lease still is the one that may change it.
Result<LockedBatch> lock_leased(SqlDatabase& database, const Lease& lease, std::string_view operation) {
  CV_TRY(LockedBatch batch, lock_batch(database, lease.plan, lease.batch, operation));
  if (!batch.belongs_to(lease) || batch.state != BatchState::leased) return lost(lease, batch, operation);
  return batch;
}

BatchState ended_state(const LockedBatch& batch) {
  if (batch.files_done + batch.files_failed < batch.files) return BatchState::pending;
  return batch.files_failed == 0 ? BatchState::done : BatchState::failed;
}

Result<void> set_batch_state(SqlDatabase& database, const std::string& plan, std::uint32_t batch, BatchState state) {
  CV_CHECK(database.run("UPDATE cv_batches SET state = $3 WHERE plan = $1 AND number = $2", SqlText{plan},
                        std::int64_t{batch}, sql_value(state)));
  return {};
}

// What is known of a file before the outcomes are recorded.
struct KnownFile {
  FileState state = FileState::planned;
  std::uint64_t size_bytes = 0;
  std::string path;
  std::string target_path;
};
using KnownFiles = std::unordered_map<std::uint64_t, KnownFile>;

Result<KnownFiles> known_files(SqlDatabase& database, const Lease& lease, std::span<const FileOutcome> outcomes) {
  std::string numbers = "[";
  for (const FileOutcome& outcome : outcomes)
    numbers += fmt::format("{}{}", numbers.size() > 1 ? "," : "", outcome.number);
  numbers += ']';
  KnownFiles known;
  CV_CHECK(database.select(
      [&](const SqlRow& row) {
        known[row.count(0)] = {static_cast<FileState>(row.integer(1)), row.count(2), row.text(3), row.text(4)};
      },
      "SELECT number, state, size_bytes, path, target_path FROM cv_files WHERE plan = $1 AND batch = $2 AND number IN "
      "(SELECT "
      "CAST(value AS BIGINT) FROM {json_each}(CAST($3 AS {json})))",
      SqlText{lease.plan}, std::int64_t{lease.batch}, SqlText{numbers}));
  for (const FileOutcome& outcome : outcomes)
    if (!known.contains(outcome.number))
      return Failure(make_error(ErrorKind::state, "checkpoint", batch_name(lease.plan, lease.batch),
                                fmt::format("file {} is not in this batch", outcome.number)));
  return known;
}

// By how much outcomes change the batch's counts. A file may have had an outcome before.
struct Change {
  std::int64_t files_done = 0;
  std::int64_t bytes_done = 0;
  std::int64_t files_failed = 0;

  void count(FileState state, std::uint64_t size_bytes, std::int64_t sign) {
    if (state == FileState::failed) files_failed += sign;
    if (state != FileState::committed && state != FileState::skipped) return;
    files_done += sign;
    bytes_done += sign * static_cast<std::int64_t>(size_bytes);
  }
};

Result<void> write_outcomes(SqlDatabase& database, const Lease& lease, std::span<const FileOutcome> outcomes) {
  return database.execute_many("UPDATE cv_files SET state = $4, attempts = $5, published_bytes = $6, digest = $7, "
                               "target_digest = $8, method = $9, "
                               "reason = $10, read_size_bytes = $11, read_mtime_ns = $12, read_etag = $13 WHERE plan = "
                               "$1 AND batch = $2 AND number "
                               "= $3",
                               13, outcomes.size(), [&](std::size_t index, std::span<SqlValue> values) {
                                 const FileOutcome& outcome = outcomes[index];
                                 values[0] = SqlText{lease.plan};
                                 values[1] = std::int64_t{lease.batch};
                                 values[2] = sql_value(outcome.number);
                                 values[3] = sql_value(outcome.state);
                                 values[4] = std::int64_t{outcome.attempts};
                                 values[5] = sql_value(outcome.bytes);
                                 values[6] = SqlText{outcome.digest};
                                 values[7] = SqlText{outcome.target_digest};
                                 values[8] = SqlText{outcome.method};
                                 values[9] = SqlBytes{outcome.error ? std::string_view(outcome.error->message)
                                                                    : std::string_view()};
                                 values[10] = sql_value(outcome.size_bytes);
                                 values[11] = sql_value(outcome.mtime_ns);
                                 values[12] = SqlBytes{outcome.etag};
                               });
}

// The failures of files whose last try failed, and of no others.
Result<void> write_failures(SqlDatabase& database, const Lease& lease, const KnownFiles& known,
                            std::span<const FileOutcome> outcomes) {
  std::vector<std::pair<std::uint64_t, const KnownFile*>> stale;
  std::map<std::uint64_t, const FileOutcome*> failed;
  for (const FileOutcome& outcome : outcomes) {
    const KnownFile& before = known.at(outcome.number);
    if (before.state == FileState::failed) stale.emplace_back(outcome.number, &before);
    if (outcome.state == FileState::failed)
      failed[outcome.number] = &outcome;
    else
      failed.erase(outcome.number);
  }
  CV_CHECK(database.execute_many("DELETE FROM cv_failures WHERE plan = $1 AND path = $2 AND file = $3", 3, stale.size(),
                                 [&](std::size_t index, std::span<SqlValue> values) {
                                   values[0] = SqlText{lease.plan};
                                   values[1] = SqlBytes{stale[index].second->path};
                                   values[2] = sql_value(stale[index].first);
                                 }));
  static const Error unknown = make_error(ErrorKind::io, "", "", "no reason was recorded");
  std::vector<FailureRow> rows;
  for (const auto& [number, outcome] : failed)
    rows.push_back({lease.batch, static_cast<std::int64_t>(number), known.at(number).path,
                    outcome->error ? &*outcome->error : &unknown});
  return append_failures(database, lease.plan, rows);
}

// What was found at the target was not what was written: it may look up to date.
bool in_doubt(const FileOutcome& outcome) {
  return outcome.state == FileState::failed && outcome.error && outcome.error->kind == ErrorKind::integrity;
}

constexpr std::string_view instead_of_the_last =
    "ON CONFLICT (pair, path) DO UPDATE SET size_bytes = excluded.size_bytes, mtime_ns = excluded.mtime_ns, etag = "
    "excluded.etag, chain = excluded.chain, target_bytes = excluded.target_bytes, target_etag = excluded.target_etag, "
    "list = excluded.list, list_digest = "
    "excluded.list_digest, target_path = excluded.target_path, published_ms = excluded.published_ms, used_ms = "
    "excluded.used_ms";

Result<void> write_published(SqlDatabase& database, std::int64_t pair, const HistoryScope& scope, std::int64_t now_ms,
                             const KnownFiles& known, std::span<const FileOutcome> outcomes) {
  // In the order of paths: two workers that record the same ones wait for each other instead of locking each other out.
  std::map<std::string_view, const FileOutcome*> published;
  for (const FileOutcome& outcome : outcomes)
    if ((outcome.state == FileState::committed && !scope.only_doubts) || in_doubt(outcome))
      published[known.at(outcome.number).path] = &outcome;
  auto next = published.begin();
  return database.execute_many(
      fmt::format("INSERT INTO cv_published (pair, path, size_bytes, mtime_ns, etag, chain, target_bytes, list, "
                  "list_digest, target_path, published_ms, target_etag, used_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, "
                  "$8, $9, $10, $11, $12, $13) {}",
                  instead_of_the_last),
      13, published.size(), [&](std::size_t, std::span<SqlValue> values) {
        const auto& [path, outcome] = *next++;
        values[0] = pair;
        values[1] = SqlBytes{path};
        values[2] = sql_value(outcome->size_bytes);
        values[3] = sql_value(outcome->mtime_ns);
        values[4] = SqlBytes{outcome->etag};
        values[5] = SqlText{in_doubt(*outcome) ? chain_in_doubt : std::string_view(scope.chain)};
        values[6] = sql_value(outcome->bytes);
        values[12] = now_ms;
        if (!outcome->target_etag.empty()) values[11] = SqlBytes{outcome->target_etag};
        if (scope.list.empty() || outcome->list_digest.empty() || in_doubt(*outcome)) return;
        values[7] = SqlBytes{scope.list};
        values[8] = SqlText{outcome->list_digest};
        values[9] = SqlBytes{known.at(outcome->number).target_path};
        values[10] = now_ms;
      });
}

Result<void> end_doubts(SqlDatabase& database, std::int64_t pair, const KnownFiles& known,
                        std::span<const FileOutcome> outcomes) {
  std::set<std::string_view> committed; // in the order of paths, as above
  for (const FileOutcome& outcome : outcomes)
    if (outcome.state == FileState::committed) committed.insert(known.at(outcome.number).path);
  auto next = committed.begin();
  return database.execute_many("DELETE FROM cv_published WHERE pair = $1 AND path = $2 AND chain = $3", 3,
                               committed.size(), [&](std::size_t, std::span<SqlValue> values) {
                                 values[0] = pair;
                                 values[1] = SqlBytes{*next++};
                                 values[2] = SqlText{chain_in_doubt};
                               });
}

// Gives the plan its state, from its batches.
Result<PlanState> settle_plan(SqlDatabase& database, const std::string& plan) {
  std::int64_t open = 0;
  std::int64_t failed = 0;
  CV_CHECK(database.select(
      [&](const SqlRow& row) {
        open = row.integer(0);
        failed = row.integer(1);
      },
      "SELECT count(CASE WHEN state IN ($2, $3) THEN 1 END), count(CASE WHEN state = $4 THEN 1 END) FROM cv_batches "
      "WHERE plan = $1",
      SqlText{plan}, sql_value(BatchState::pending), sql_value(BatchState::leased), sql_value(BatchState::failed)));
  const PlanState state = open > 0 ? PlanState::ready : failed > 0 ? PlanState::failed : PlanState::done;
  CV_CHECK(
      database.run("UPDATE cv_plans SET state = $2 WHERE id = $1 AND state <> $2", SqlText{plan}, sql_value(state)));
  return state;
}

// `drawn`: its nonce is given; the rest is kept for a transaction that has to be repeated.
Result<LeaseAnswer> take_lease(SqlDatabase& database, const std::string& plan, std::uint32_t batch,
                               const std::string& holder, std::int64_t ttl_ms, Lease& drawn) {
  CV_CHECK(lock_plan(database, plan, "take lease"));
  CV_TRY(const LockedBatch before, lock_batch(database, plan, batch, "take lease"));
  LeaseAnswer answer;
  if (before.belongs_to(drawn)) { // taken by this very call, but the connection was lost while committing
    answer.lease = drawn;
    return answer;
  }
  if (before.held()) {
    answer.holder = before.holder;
    answer.held_until_ms = before.lease_until_ms;
    return answer;
  }
  if (before.files_done == before.files) {
    answer.already_done = true;
    if (before.state == BatchState::done) return answer;
    CV_CHECK(set_batch_state(database, plan, batch, BatchState::done)); // its worker ended before it could say so
    CV_CHECK(settle_plan(database, plan));
    return answer;
  }
  drawn = Lease{plan, batch, before.generation + 1, drawn.nonce, before.generation, before.nonce};
  CV_CHECK(
      database.run("UPDATE cv_batches SET state = $3, generation = $4, nonce = $5, holder = $6, lease_until_ms = $7 "
                   "WHERE plan = $1 AND number = $2",
                   SqlText{plan}, std::int64_t{batch}, sql_value(BatchState::leased), std::int64_t{drawn.generation},
                   SqlText{drawn.nonce}, SqlBytes{holder}, before.now_ms + ttl_ms));
  CV_CHECK(settle_plan(database, plan));
  answer.lease = drawn;
  return answer;
}

// The plan's state after that.
Result<PlanState> release_lease(SqlDatabase& database, const Lease& lease) {
  CV_CHECK(lock_plan(database, lease.plan, "release lease"));
  CV_TRY(const LockedBatch batch, lock_batch(database, lease.plan, lease.batch, "release lease"));
  if (!batch.belongs_to(lease)) return lost(lease, batch, "release lease");
  if (batch.state != BatchState::leased) return PlanState::ready; // released before
  CV_CHECK(set_batch_state(database, lease.plan, lease.batch, ended_state(batch)));
  return settle_plan(database, lease.plan);
}

Result<void> abandon_lease(SqlDatabase& database, const std::string& plan, std::uint32_t batch,
                           const std::string& holder) {
  CV_CHECK(lock_plan(database, plan, "abandon lease"));
  CV_TRY(const LockedBatch locked, lock_batch(database, plan, batch, "abandon lease"));
  if (locked.state != BatchState::leased || locked.holder != holder) return {};
  CV_CHECK(set_batch_state(database, plan, batch, ended_state(locked)));
  CV_CHECK(settle_plan(database, plan));
  return {};
}

Result<void> doubt_files(SqlDatabase& database, const Lease& lease, const PairKey& pair) {
  CV_CHECK(lock_leased(database, lease, "doubt batch"));
  CV_TRY(const std::int64_t key, pair_number(database, pair));
  CV_CHECK(database.run(
      fmt::format("INSERT INTO cv_published (pair, path, size_bytes, mtime_ns, etag, chain, target_bytes, used_ms) "
                  "SELECT CAST($3 AS BIGINT), path, size_bytes, mtime_ns, etag, CAST($4 AS TEXT), 0, {{now_ms}} FROM "
                  "cv_files WHERE "
                  "plan = $1 AND batch = $2 AND state IN ($5, $6) AND action = $7 ORDER BY path {}",
                  instead_of_the_last),
      SqlText{lease.plan}, std::int64_t{lease.batch}, key, SqlText{chain_in_doubt}, sql_value(FileState::planned),
      sql_value(FileState::failed), sql_value(FileAction::copy)));
  return {};
}

Result<void> write_checkpoint(SqlDatabase& database, const Lease& lease, std::span<const FileOutcome> outcomes,
                              const std::optional<HistoryScope>& scope) {
  CV_TRY(const LockedBatch batch, lock_leased(database, lease, "checkpoint"));
  if (outcomes.empty()) return {};
  CV_TRY(KnownFiles known, known_files(database, lease, outcomes));
  CV_CHECK(write_outcomes(database, lease, outcomes));
  CV_CHECK(write_failures(database, lease, known, outcomes));
  if (scope) {
    CV_TRY(const std::int64_t pair, pair_number(database, scope->pair));
    CV_CHECK(write_published(database, pair, *scope, batch.now_ms, known, outcomes));
    if (scope->only_doubts) CV_CHECK(end_doubts(database, pair, known, outcomes));
  }
  Change change;
  for (const FileOutcome& outcome : outcomes) {
    KnownFile& file = known.at(outcome.number);
    change.count(file.state, file.size_bytes, -1);
    file.state = outcome.state;
    change.count(file.state, file.size_bytes, 1);
  }
  CV_CHECK(database.run(
      "UPDATE cv_batches SET files_done = files_done + $3, bytes_done = bytes_done + $4, files_failed = "
      "files_failed + $5 WHERE plan = $1 AND number = $2",
      SqlText{lease.plan}, std::int64_t{lease.batch}, change.files_done, change.bytes_done, change.files_failed));
  return {};
}

} // namespace

Task<Result<LeaseAnswer>> LeaseStore::take(const std::string& plan, std::uint32_t batch, const std::string& holder,
                                           std::chrono::milliseconds ttl) {
  Lease drawn;
  drawn.nonce = draw_nonce();
  co_return co_await thread_.transact(StateThread::Repeat::yes, [&](SqlDatabase& database) {
    return take_lease(database, plan, batch, holder, ttl.count(), drawn);
  });
}

Task<Result<void>> LeaseStore::renew(const Lease& lease, std::chrono::milliseconds ttl) {
  co_return co_await thread_.transact(StateThread::Repeat::yes, [&](SqlDatabase& database) -> Result<void> {
    CV_TRY(const LockedBatch batch, lock_leased(database, lease, "renew lease"));
    CV_CHECK(database.run("UPDATE cv_batches SET lease_until_ms = $3 WHERE plan = $1 AND number = $2",
                          SqlText{lease.plan}, std::int64_t{lease.batch}, batch.now_ms + ttl.count()));
    return {};
  });
}

Task<Result<void>> LeaseStore::release(const Lease& lease) {
  CV_CO_TRY(const PlanState plan, co_await thread_.transact(StateThread::Repeat::yes, [&](SqlDatabase& database) {
    return release_lease(database, lease);
  }));
  if (plan != PlanState::ready) co_await thread_.refresh_statistics(); // the next comparison reads the history
  co_return Result<void>();
}

Task<Result<void>> LeaseStore::abandon(const std::string& plan, std::uint32_t batch, const std::string& holder) {
  co_return co_await thread_.transact(
      StateThread::Repeat::yes, [&](SqlDatabase& database) { return abandon_lease(database, plan, batch, holder); });
}

Task<Result<std::optional<std::vector<std::string>>>> LeaseStore::live_holders(const std::string& plan) {
  using Holders = std::optional<std::vector<std::string>>;
  co_return co_await thread_.read([&](SqlDatabase& database) -> Result<Holders> {
    Holders holders;
    CV_CHECK(database.select([&](const SqlRow&) { holders.emplace(); },
                             "SELECT 1 FROM cv_batches WHERE plan = $1 LIMIT 1", SqlText{plan}));
    if (holders)
      CV_CHECK(database.select([&](const SqlRow& row) { holders->push_back(row.text(0)); },
                               "SELECT DISTINCT holder FROM cv_batches WHERE plan = $1 AND state = $2 AND "
                               "lease_until_ms > {now_ms}",
                               SqlText{plan}, sql_value(BatchState::leased)));
    return holders;
  });
}

Task<Result<void>> LeaseStore::doubt_batch(const Lease& lease, const PairKey& pair) {
  co_return co_await thread_.transact(
      StateThread::Repeat::yes, [&](SqlDatabase& database) { return doubt_files(database, lease, pair); },
      Flush::at_commit);
}

Task<Result<void>> LeaseStore::checkpoint(const Lease& lease, std::span<const FileOutcome> outcomes,
                                          const std::optional<HistoryScope>& scope) {
  co_return co_await thread_.transact(StateThread::Repeat::yes, [&](SqlDatabase& database) {
    return write_checkpoint(database, lease, outcomes, scope);
  });
}

Task<Result<std::int64_t>> LeaseStore::now_ms() {
  co_return co_await thread_.read([](SqlDatabase& database) -> Result<std::int64_t> {
    std::int64_t now = 0;
    CV_CHECK(database.select([&](const SqlRow& row) { now = row.integer(0); }, "SELECT {now_ms}"));
    return now;
  });
}

} // namespace checkvalve
