#include "state/rows.h"

#include <fmt/format.h>

#include "core/path.h"

namespace checkvalve {

Result<void> append_failures(SqlDatabase& database, const std::string& plan, std::span<const FailureRow> rows) {
  return database.append("cv_failures",
                         "plan, batch, file, path, kind, status, operation, error_path, message, code, hint, endpoint",
                         rows.size(), [&](std::size_t index, std::span<SqlValue> values) {
                           const FailureRow& row = rows[index];
                           values[0] = SqlText{plan};
                           values[1] = std::int64_t{row.batch};
                           values[2] = row.file;
                           values[3] = SqlBytes{row.path};
                           values[4] = SqlText{to_string(row.error->kind)};
                           values[5] = SqlText{to_string(row.error->status)};
                           values[6] = SqlBytes{row.error->operation};
                           values[7] = SqlBytes{row.error->path};
                           values[8] = SqlBytes{row.error->message};
                           values[9] = SqlText{to_string(row.error->code)};
                           values[10] = SqlBytes{row.error->hint};
                           values[11] = SqlBytes{row.error->endpoint};
                         });
}

Result<void> lock_plan(SqlDatabase& database, const std::string& plan, std::string_view operation) {
  bool exists = false;
  CV_CHECK(database.select([&](const SqlRow&) { exists = true; }, "SELECT 1 FROM cv_plans WHERE id = $1 {for_update}",
                           SqlText{plan}));
  if (exists) return {};
  return Failure(make_error(ErrorKind::state, std::string(operation), escape_bytes(plan), "no such plan"));
}

std::string pair_text(const PairKey& pair) {
  return fmt::format("{}\n{}\n{}", pair.source.size(), pair.source, pair.target);
}

Result<std::int64_t> pair_number(SqlDatabase& database, const PairKey& pair) {
  std::optional<std::int64_t> number;
  const auto find = [&] {
    return database.select([&](const SqlRow& row) { number = row.integer(0); },
                           "SELECT id FROM cv_pairs WHERE source = $1 AND target = $2", SqlBytes{pair.source},
                           SqlBytes{pair.target});
  };
  CV_CHECK(find());
  if (!number) {
    CV_CHECK(
        database.run("INSERT INTO cv_pairs (pair, source, target) VALUES ($1, $2, $3) ON CONFLICT (pair) DO NOTHING",
                     SqlBytes{pair_text(pair)}, SqlBytes{pair.source}, SqlBytes{pair.target}));
    CV_CHECK(find());
  }
  if (number) return *number;
  return Failure(make_error(ErrorKind::state, "checkpoint", database.display(), "the pair was not recorded"));
}

} // namespace checkvalve
