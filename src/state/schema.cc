#include "state/schema.h"

#include <fmt/format.h>

#include <array>

namespace checkvalve {
namespace {

// A migration: statements, each ended by ";\n".
constexpr std::array<std::string_view, 6> migrations = {
    // 1: plans, batches, files, failures, published, runs
    R"(CREATE TABLE cv_plans (
  id TEXT NOT NULL PRIMARY KEY,
  state BIGINT NOT NULL,
  created_ms BIGINT NOT NULL,
  source {bytes} NOT NULL,
  target {bytes} NOT NULL,
  job_json TEXT NOT NULL,
  files BIGINT NOT NULL,
  bytes BIGINT NOT NULL,
  skipped BIGINT NOT NULL,
  batches BIGINT NOT NULL
);
CREATE TABLE cv_batches (
  plan TEXT NOT NULL REFERENCES cv_plans (id) ON DELETE CASCADE,
  number BIGINT NOT NULL,
  state BIGINT NOT NULL,
  files BIGINT NOT NULL,
  bytes BIGINT NOT NULL,
  files_done BIGINT NOT NULL,
  bytes_done BIGINT NOT NULL,
  files_failed BIGINT NOT NULL,
  generation BIGINT NOT NULL,
  nonce TEXT NOT NULL,
  holder {bytes} NOT NULL,
  lease_until_ms BIGINT NOT NULL,
  PRIMARY KEY (plan, number)
) {clustered};
CREATE TABLE cv_files (
  plan TEXT NOT NULL,
  batch BIGINT NOT NULL,
  number BIGINT NOT NULL,
  state BIGINT NOT NULL,
  action BIGINT NOT NULL,
  path {bytes} NOT NULL,
  target_path {bytes} NOT NULL,
  size_bytes BIGINT NOT NULL,
  mtime_ns BIGINT,
  mode BIGINT,
  etag {bytes} NOT NULL,
  replaces BIGINT NOT NULL,
  attempts BIGINT,
  published_bytes BIGINT,
  digest TEXT,
  target_digest TEXT,
  method TEXT,
  reason {bytes},
  read_size_bytes BIGINT,
  read_mtime_ns BIGINT,
  read_etag {bytes},
  PRIMARY KEY (plan, batch, number)
) {clustered};
CREATE TABLE cv_failures (
  id {identity},
  plan TEXT NOT NULL REFERENCES cv_plans (id) ON DELETE CASCADE,
  batch BIGINT NOT NULL,
  file BIGINT NOT NULL,
  path {bytes} NOT NULL,
  kind TEXT NOT NULL,
  status TEXT NOT NULL,
  operation {bytes} NOT NULL,
  error_path {bytes} NOT NULL,
  message {bytes} NOT NULL
);
CREATE INDEX cv_failures_by_path ON cv_failures (plan, path, id);
CREATE TABLE cv_pairs (
  id {identity},
  pair {bytes} NOT NULL UNIQUE
);
CREATE TABLE cv_published (
  pair BIGINT NOT NULL,
  path {bytes} NOT NULL,
  size_bytes BIGINT NOT NULL,
  mtime_ns BIGINT,
  etag {bytes} NOT NULL,
  chain TEXT NOT NULL,
  target_bytes BIGINT NOT NULL,
  PRIMARY KEY (pair, path)
) {clustered};
CREATE TABLE cv_runs (
  id TEXT NOT NULL PRIMARY KEY,
  plan TEXT NOT NULL,
  host {bytes} NOT NULL,
  process BIGINT NOT NULL,
  started_ms BIGINT NOT NULL,
  ended_ms BIGINT NOT NULL,
  summary_json TEXT NOT NULL
);
CREATE INDEX cv_runs_by_plan ON cv_runs (plan, started_ms);
)",
    // 2: what an earlier plan left of a file, to resume from
    R"(ALTER TABLE cv_files ADD COLUMN leftover TEXT;
)",
    // 3: lists of checksums, and what they say of published files
    R"(ALTER TABLE cv_published ADD COLUMN target_path {bytes};
ALTER TABLE cv_published ADD COLUMN list {bytes};
ALTER TABLE cv_published ADD COLUMN list_digest TEXT;
ALTER TABLE cv_published ADD COLUMN published_ms BIGINT;
CREATE TABLE cv_lists (
  target {bytes} NOT NULL,
  name {bytes} NOT NULL,
  digest TEXT NOT NULL,
  bytes BIGINT NOT NULL,
  holder {bytes} NOT NULL,
  temporary TEXT NOT NULL,
  lease_until_ms BIGINT NOT NULL,
  PRIMARY KEY (target, name)
) {clustered};
)",
    // 4: keys are identities; what states before have by display names waits for HistoryStore::claim
    R"(ALTER TABLE cv_pairs ADD COLUMN source {bytes};
ALTER TABLE cv_pairs ADD COLUMN target {bytes};
CREATE UNIQUE INDEX cv_pairs_by_identity ON cv_pairs (source, target);
ALTER TABLE cv_lists RENAME TO cv_lists_by_name;
CREATE TABLE cv_lists (
  target {bytes} NOT NULL,
  name {bytes} NOT NULL,
  digest TEXT NOT NULL,
  bytes BIGINT NOT NULL,
  holder {bytes} NOT NULL,
  temporary TEXT NOT NULL,
  lease_until_ms BIGINT NOT NULL,
  PRIMARY KEY (target, name)
) {clustered};
ALTER TABLE cv_published ADD COLUMN target_etag {bytes};
ALTER TABLE cv_failures ADD COLUMN code TEXT;
ALTER TABLE cv_failures ADD COLUMN hint {bytes};
ALTER TABLE cv_failures ADD COLUMN endpoint {bytes};
)",
    // 5: retention of the history
    R"(ALTER TABLE cv_published ADD COLUMN used_ms BIGINT;
CREATE TABLE cv_retention (
  id BIGINT NOT NULL PRIMARY KEY,
  pair BIGINT NOT NULL,
  path {bytes} NOT NULL
) {clustered};
)",
    // 6: partial uploads that another run may resume
    R"(CREATE TABLE cv_partial_uploads (
  pair BIGINT NOT NULL,
  path {bytes} NOT NULL,
  temporary TEXT NOT NULL,
  holder {bytes} NOT NULL,
  plan TEXT NOT NULL,
  size_bytes BIGINT NOT NULL,
  mtime_ns BIGINT,
  etag {bytes} NOT NULL,
  acknowledged_bytes BIGINT NOT NULL,
  digest TEXT NOT NULL,
  recorded_ms BIGINT NOT NULL,
  PRIMARY KEY (pair, path)
) {clustered};
)",
};

Result<void> run_script(SqlDatabase& database, std::string_view script) {
  while (!script.empty()) {
    const std::size_t end = script.find(";\n");
    CV_CHECK(database.run(script.substr(0, end)));
    script.remove_prefix(end + 2);
  }
  return {};
}

// 0 for a database without our tables.
Result<int> present_version(SqlDatabase& database) {
  bool exists = false;
  CV_CHECK(database.select([&](const SqlRow& row) { exists = row.integer(0) != 0; }, database.dialect().has_schema));
  int version = 0;
  if (exists)
    CV_CHECK(database.select([&](const SqlRow& row) { version = static_cast<int>(row.integer(0)); },
                             "SELECT version FROM cv_schema"));
  if (version > schema_version())
    return Failure(make_error(ErrorKind::state, "open", database.display(),
                              fmt::format("the state was written by a newer checkvalve (schema {}; this program knows "
                                          "{}): upgrade checkvalve, or name another state with --state",
                                          version, schema_version())));
  return version;
}

Result<void> migrate_locked(SqlDatabase& database) {
  if (!database.dialect().lock_schema.empty())
    CV_CHECK(database.select([](const SqlRow&) {}, database.dialect().lock_schema));
  CV_TRY(const int version, present_version(database)); // another process may have been first
  if (version == 0) {
    CV_CHECK(database.run("CREATE TABLE cv_schema (version BIGINT NOT NULL)"));
    CV_CHECK(database.run("INSERT INTO cv_schema (version) VALUES (0)"));
  }
  for (int next = version; next < schema_version(); ++next)
    CV_CHECK(run_script(database, migrations.at(static_cast<std::size_t>(next))));
  CV_CHECK(database.run("UPDATE cv_schema SET version = $1", std::int64_t{schema_version()}));
  return {};
}

} // namespace

int schema_version() { return static_cast<int>(migrations.size()); }

Result<void> migrate(SqlDatabase& database) {
  CV_TRY(const int version, present_version(database));
  if (version == schema_version()) return {};
  CV_CHECK(database.begin());
  if (auto done = migrate_locked(database); !done) {
    database.rollback();
    return done;
  }
  return database.commit();
}

} // namespace checkvalve
