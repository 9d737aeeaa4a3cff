#include "state/plans.h"

#include <fmt/format.h>

#include "core/path.h"
#include "state/rows.h"

namespace checkvalve {
namespace {

constexpr std::string_view plan_columns =
    "id, state, created_ms, source, target, job_json, files, bytes, skipped, batches, "
    "(SELECT newer.id FROM cv_plans newer WHERE newer.source = cv_plans.source AND newer.target = cv_plans.target AND "
    "newer.job_json = cv_plans.job_json AND newer.created_ms > cv_plans.created_ms AND newer.state <> 0 ORDER BY "
    "newer.created_ms DESC LIMIT 1) AS superseded_by";

void read_plan(const SqlRow& row, PlanRecord& plan) {
  read_row(row, plan.id, plan.state, plan.created_ms, plan.source, plan.target, plan.job_json, plan.files, plan.bytes,
           plan.skipped, plan.batches, plan.superseded_by);
}

ErrorStatus status_from(std::string_view word) {
  if (word == "temporary") return ErrorStatus::transient; // as states of version 0.1.0 have it
  for (const ErrorStatus status : {ErrorStatus::transient, ErrorStatus::exhausted})
    if (to_string(status) == word) return status;
  return ErrorStatus::permanent;
}

constexpr std::string_view failure_columns =
    "batch, path, kind, status, operation, error_path, message, code, hint, endpoint";

void read_failure(const SqlRow& row, FailureRecord& failure) {
  Error& error = failure.error;
  std::string kind;
  std::string status;
  std::string code;
  read_row(row, failure.batch, failure.path, kind, status, error.operation, error.path, error.message, code, error.hint,
           error.endpoint);
  error.kind = error_kind_from(kind);
  error.status = status_from(status);
  error.code = error_code_from(code);
}

Failure refusal(std::string_view operation, std::string_view what, std::string message) {
  return Failure(make_error(ErrorKind::state, std::string(operation), escape_bytes(what), std::move(message)));
}

// The plan exists and can still be added to.
Result<void> require_planning(SqlDatabase& database, const std::string& plan, std::string_view operation) {
  std::optional<PlanState> present;
  CV_CHECK(database.select([&](const SqlRow& row) { present = static_cast<PlanState>(row.integer(0)); },
                           "SELECT state FROM cv_plans WHERE id = $1", SqlText{plan}));
  if (!present) return refusal(operation, plan, "no such plan");
  if (*present != PlanState::planning) return refusal(operation, plan, "the plan is finished: its files can't change");
  return {};
}

Result<void> append_plan_failures(SqlDatabase& database, const std::string& plan,
                                  std::span<const FailureRecord> failures, std::int64_t file) {
  std::vector<FailureRow> rows;
  for (const FailureRecord& failure : failures) rows.push_back({failure.batch, file, failure.path, &failure.error});
  return append_failures(database, plan, rows);
}

Result<PlanRecord> find_plan(SqlDatabase& database, std::string_view id_or_prefix) {
  CV_TRY(std::vector<PlanRecord> found,
         select_records<PlanRecord>(database, read_plan,
                                    fmt::format("SELECT {} FROM cv_plans WHERE id = $1", plan_columns),
                                    SqlText{id_or_prefix}));
  if (found.empty() && !id_or_prefix.empty()) {
    CV_TRY(found, select_records<PlanRecord>(
                      database, read_plan,
                      fmt::format("SELECT {} FROM cv_plans WHERE substr(id, 1, CAST($2 AS INTEGER)) = $1 ORDER BY id "
                                  "LIMIT 4",
                                  plan_columns),
                      SqlText{id_or_prefix}, static_cast<std::int64_t>(id_or_prefix.size())));
  }
  if (found.size() == 1) return std::move(found.front());
  if (found.empty())
    return refusal("plan", id_or_prefix, "there is no such plan in this state (checkvalve status lists them)");
  std::string ids;
  for (std::size_t i = 0; i < found.size(); ++i) ids += (i ? ", " : "") + (i == 3 ? "…" : found[i].id);
  return refusal("plan", id_or_prefix, fmt::format("several plans begin so: {}: write more of the id", ids));
}

// By the database's clock: a worker whose clock is wrong must not remove the plans of others.
Result<void> prune_plans(SqlDatabase& database, std::int64_t older_than_ms) {
  std::int64_t before_ms = 0;
  CV_CHECK(database.select([&](const SqlRow& row) { before_ms = row.integer(0) - older_than_ms; }, "SELECT {now_ms}"));
  std::vector<std::string> old;
  CV_CHECK(database.select([&](const SqlRow& row) { old.push_back(row.text(0)); },
                           "SELECT id FROM cv_plans WHERE created_ms < $1 ORDER BY id {for_update}", before_ms));
  for (const std::string& id : old) {
    bool alive = false;
    CV_CHECK(database.select([&](const SqlRow&) { alive = true; },
                             "SELECT 1 FROM cv_batches WHERE plan = $1 AND state = $2 AND lease_until_ms > {now_ms}",
                             SqlText{id}, sql_value(BatchState::leased)));
    if (alive) continue;
    CV_CHECK(database.run("DELETE FROM cv_files WHERE plan = $1", SqlText{id}));
    CV_CHECK(database.run("DELETE FROM cv_runs WHERE plan = $1 AND started_ms < $2", SqlText{id}, before_ms));
    CV_CHECK(database.run("DELETE FROM cv_plans WHERE id = $1", SqlText{id})); // takes batches and failures along
  }
  CV_CHECK(database.run("DELETE FROM cv_partial_uploads WHERE recorded_ms < $1", before_ms));
  // What remains of the old runs belongs to plans that stay, or to none.
  CV_CHECK(database.run("DELETE FROM cv_runs WHERE started_ms < $1 AND plan NOT IN (SELECT plan FROM cv_batches WHERE "
                        "state = $2 AND lease_until_ms > {now_ms})",
                        before_ms, sql_value(BatchState::leased)));
  return {};
}

} // namespace

Task<Result<void>> PlanStore::create(const PlanRecord& plan) {
  co_return co_await thread_.transact(StateThread::Repeat::no, [&](SqlDatabase& database) -> Result<void> {
    bool exists = false;
    CV_CHECK(database.select([&](const SqlRow&) { exists = true; }, "SELECT 1 FROM cv_plans WHERE id = $1",
                             SqlText{plan.id}));
    if (exists) return refusal("create plan", plan.id, "a plan with this id exists already");
    CV_CHECK(database.run(
        "INSERT INTO cv_plans (id, state, created_ms, source, target, job_json, files, bytes, skipped, "
        "batches) VALUES ($1, $2, CASE WHEN $3 = 0 THEN {now_ms} ELSE $3 END, $4, $5, $6, $7, $8, $9, $10)",
        SqlText{plan.id}, sql_value(PlanState::planning), plan.created_ms, SqlBytes{plan.source}, SqlBytes{plan.target},
        SqlText{plan.job_json}, sql_value(plan.files), sql_value(plan.bytes), sql_value(plan.skipped),
        std::int64_t{plan.batches}));
    return {};
  });
}

Task<Result<void>> PlanStore::add_files(const std::string& plan, std::span<const PlannedFile> files) {
  co_return co_await thread_.transact(StateThread::Repeat::no, [&](SqlDatabase& database) -> Result<void> {
    CV_CHECK(require_planning(database, plan, "add files"));
    return database.append(
        "cv_files",
        "plan, batch, number, state, action, path, target_path, size_bytes, mtime_ns, mode, etag, replaces, "
        "leftover",
        files.size(), [&](std::size_t index, std::span<SqlValue> values) {
          const PlannedFile& file = files[index];
          values[0] = SqlText{plan};
          values[1] = std::int64_t{file.batch};
          values[2] = sql_value(file.number);
          values[3] = sql_value(FileState::planned);
          values[4] = sql_value(file.action);
          values[5] = SqlBytes{file.path};
          values[6] = SqlBytes{file.target_path};
          values[7] = sql_value(file.size_bytes);
          values[8] = sql_value(file.mtime_ns);
          if (file.mode) values[9] = std::int64_t{*file.mode};
          values[10] = SqlBytes{file.etag};
          values[11] = std::int64_t{file.replaces};
          if (!file.orphan.empty()) values[12] = SqlText{file.orphan};
        });
  });
}

Task<Result<void>> PlanStore::add_failures(const std::string& plan, std::span<const FailureRecord> failures) {
  co_return co_await thread_.transact(StateThread::Repeat::no, [&](SqlDatabase& database) -> Result<void> {
    CV_CHECK(lock_plan(database, plan, "add failures"));
    return append_plan_failures(database, plan, failures, failed_planning);
  });
}

Task<Result<void>> PlanStore::set_list_failure(const std::string& plan, const std::optional<FailureRecord>& failure) {
  co_return co_await thread_.transact(StateThread::Repeat::yes, [&](SqlDatabase& database) -> Result<void> {
    CV_CHECK(lock_plan(database, plan, "set list failure"));
    CV_CHECK(database.run("DELETE FROM cv_failures WHERE plan = $1 AND file = $2", SqlText{plan}, failed_list));
    return failure ? append_plan_failures(database, plan, std::span(&*failure, 1), failed_list) : Result<void>();
  });
}

Task<Result<void>> PlanStore::finish(const PlanRecord& plan) {
  CV_CO_CHECK(co_await thread_.transact(StateThread::Repeat::no, [&](SqlDatabase& database) -> Result<void> {
    CV_CHECK(require_planning(database, plan.id, "finish plan"));
    // Sizes are what a server said: their sum may leave the integers' range, and must not fail then.
    CV_CHECK(database.run(
        "INSERT INTO cv_batches (plan, number, state, files, bytes, files_done, bytes_done, files_failed, generation, "
        "nonce, "
        "holder, lease_until_ms) SELECT plan, batch, $2, count(*), CASE WHEN sum(size_bytes * 1.0) < 9e18 THEN "
        "CAST(sum(size_bytes * 1.0) AS BIGINT) ELSE 9000000000000000000 END, 0, 0, 0, 0, '', $3, 0 FROM cv_files "
        "WHERE plan = $1 GROUP BY plan, batch",
        SqlText{plan.id}, sql_value(BatchState::pending), SqlBytes{}));
    PlanRecord sums;
    CV_CHECK(database.select(
        [&](const SqlRow& row) {
          sums.batches = static_cast<std::uint32_t>(row.integer(0));
          sums.files = row.count(1);
          sums.bytes = row.count(2);
        },
        "SELECT count(*), CAST(coalesce(sum(files), 0) AS BIGINT), CASE WHEN sum(bytes * 1.0) >= 9e18 THEN "
        "9000000000000000000 ELSE CAST(coalesce(sum(bytes * 1.0), 0) AS BIGINT) END FROM cv_batches WHERE plan = $1",
        SqlText{plan.id}));
    CV_CHECK(database.run(
        "UPDATE cv_plans SET state = $2, job_json = $3, files = $4, bytes = $5, skipped = $6, batches = "
        "$7 WHERE id = $1",
        SqlText{plan.id}, sql_value(sums.files == 0 ? PlanState::done : PlanState::ready), SqlText{plan.job_json},
        sql_value(sums.files), sql_value(sums.bytes), sql_value(plan.skipped), std::int64_t{sums.batches}));
    return {};
  }));
  co_await thread_.refresh_statistics(); // a run reads the plan page by page
  co_return Result<void>();
}

Task<Result<PlanRecord>> PlanStore::find(std::string_view id_or_prefix) {
  co_return co_await thread_.read([&](SqlDatabase& database) { return find_plan(database, id_or_prefix); });
}

Task<Result<std::vector<PlanRecord>>> PlanStore::newest(std::size_t limit) {
  co_return co_await thread_.read([&](SqlDatabase& database) {
    return select_records<PlanRecord>(
        database, read_plan, fmt::format("SELECT {} FROM cv_plans ORDER BY created_ms DESC, id LIMIT $1", plan_columns),
        sql_value(std::uint64_t{limit}));
  });
}

Task<Result<void>> PlanStore::prune(std::chrono::milliseconds older_than) {
  co_return co_await thread_.transact(StateThread::Repeat::yes,
                                      [&](SqlDatabase& database) { return prune_plans(database, older_than.count()); });
}

Task<Result<std::vector<BatchRecord>>> PlanStore::batches(const std::string& plan) {
  const auto read = [](const SqlRow& row, BatchRecord& batch) {
    std::int64_t now_ms = 0;
    read_row(row, batch.number, batch.state, batch.files, batch.bytes, batch.files_done, batch.bytes_done,
             batch.files_failed, batch.generation, batch.holder, batch.lease_until_ms, now_ms);
    batch.lease_expired = batch.state == BatchState::leased && batch.lease_until_ms <= now_ms;
  };
  co_return co_await thread_.read([&](SqlDatabase& database) {
    return select_records<BatchRecord>(
        database, read,
        "SELECT number, state, files, bytes, files_done, bytes_done, files_failed, generation, holder, lease_until_ms, "
        "{now_ms} FROM cv_batches WHERE plan = $1 ORDER BY number",
        SqlText{plan});
  });
}

Task<Result<std::vector<PlannedFile>>> PlanStore::open_files(const std::string& plan, std::uint32_t batch,
                                                             std::uint64_t after, std::size_t limit) {
  const auto read = [batch](const SqlRow& row, PlannedFile& file) {
    read_row(row, file.number, file.action, file.path, file.target_path, file.size_bytes, file.mtime_ns, file.mode,
             file.etag, file.replaces, file.orphan);
    file.batch = batch;
  };
  co_return co_await thread_.read([&](SqlDatabase& database) {
    return select_records<PlannedFile>(
        database, read,
        "SELECT number, action, path, target_path, size_bytes, mtime_ns, mode, etag, replaces, leftover FROM "
        "cv_files WHERE plan = $1 AND batch = $2 AND number > $3 AND state IN ($4, $5) ORDER BY number LIMIT $6",
        SqlText{plan}, std::int64_t{batch}, sql_value(after), sql_value(FileState::planned),
        sql_value(FileState::failed), sql_value(std::uint64_t{limit}));
  });
}

Task<Result<std::vector<FailureRecord>>> PlanStore::failures(const std::string& plan, std::size_t offset,
                                                             std::size_t limit) {
  co_return co_await thread_.read([&](SqlDatabase& database) {
    return select_records<FailureRecord>(
        database, read_failure,
        fmt::format("SELECT {} FROM cv_failures WHERE plan = $1 ORDER BY path, id LIMIT $2 OFFSET $3", failure_columns),
        SqlText{plan}, sql_value(std::uint64_t{limit}), sql_value(std::uint64_t{offset}));
  });
}

Task<Result<PlanStore::Unplanned>> PlanStore::unplanned(const std::string& plan, std::size_t limit) {
  co_return co_await thread_.read([&](SqlDatabase& database) -> Result<Unplanned> {
    Unplanned found;
    CV_CHECK(database.select([&](const SqlRow& row) { found.count = row.count(0); },
                             "SELECT count(*) FROM cv_failures WHERE plan = $1 AND file = $2", SqlText{plan},
                             failed_planning));
    CV_TRY(found.first,
           select_records<FailureRecord>(
               database, read_failure,
               fmt::format("SELECT {} FROM cv_failures WHERE plan = $1 AND file = $2 ORDER BY path, id LIMIT $3",
                           failure_columns),
               SqlText{plan}, failed_planning, sql_value(std::uint64_t{limit})));
    return found;
  });
}

Task<Result<void>> PlanStore::begin_run(const RunRecord& run) {
  co_return co_await thread_.transact(StateThread::Repeat::yes, [&](SqlDatabase& database) -> Result<void> {
    CV_CHECK(
        database.run("INSERT INTO cv_runs (id, plan, host, process, started_ms, ended_ms, summary_json) VALUES ($1, "
                     "$2, $3, $4, CASE WHEN $5 = 0 THEN {now_ms} ELSE $5 END, $6, $7) ON CONFLICT (id) DO NOTHING",
                     SqlText{run.id}, SqlText{run.plan}, SqlBytes{run.host}, run.process, run.started_ms, run.ended_ms,
                     SqlText{run.summary_json}));
    return {};
  });
}

Task<Result<void>> PlanStore::end_run(const std::string& run, const std::string& summary_json) {
  co_return co_await thread_.transact(StateThread::Repeat::yes, [&](SqlDatabase& database) -> Result<void> {
    CV_TRY(const std::uint64_t changed,
           database.run("UPDATE cv_runs SET ended_ms = {now_ms}, summary_json = $2 WHERE id = $1", SqlText{run},
                        SqlText{summary_json}));
    if (changed == 0) return refusal("end run", run, "no such run");
    return {};
  });
}

Task<Result<std::vector<RunRecord>>> PlanStore::runs(const std::string& plan, std::size_t limit) {
  const auto read = [](const SqlRow& row, RunRecord& run) {
    read_row(row, run.id, run.plan, run.host, run.process, run.started_ms, run.ended_ms, run.summary_json);
  };
  co_return co_await thread_.read([&](SqlDatabase& database) {
    return select_records<RunRecord>(
        database, read,
        fmt::format("SELECT id, plan, host, process, started_ms, ended_ms, summary_json FROM cv_runs {} "
                    "ORDER BY started_ms DESC, id LIMIT $2",
                    plan.empty() ? "WHERE $1 = ''" : "WHERE plan = $1"),
        SqlText{plan}, sql_value(std::uint64_t{limit}));
  });
}

} // namespace checkvalve
