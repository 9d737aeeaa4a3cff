#include "state/checksum_lists.h"

#include "core/path.h"

namespace checkvalve {
namespace {

Failure lost(const ListKey& key) {
  return Failure(
      transient_error(ErrorKind::lease, "write list", escape_bytes(key.name), "another worker has taken it over"));
}

Result<ListAnswer> take_list(SqlDatabase& database, const ListKey& key, const std::string& holder,
                             const std::string& temporary, const std::string& gone, std::int64_t ttl_ms) {
  CV_CHECK(database.run("INSERT INTO cv_lists (target, name, digest, bytes, holder, temporary, lease_until_ms) VALUES "
                        "($1, $2, '', 0, $3, '', 0) ON CONFLICT (target, name) DO NOTHING",
                        SqlBytes{key.target}, SqlBytes{key.name}, SqlBytes{}));
  ListAnswer answer;
  bool held = false;
  std::int64_t now_ms = 0;
  CV_CHECK(database.select(
      [&](const SqlRow& row) {
        answer.holder = row.text(0);
        answer.orphan = row.text(1);
        now_ms = row.integer(3);
        held = !answer.orphan.empty() && row.integer(2) > now_ms;
      },
      "SELECT holder, temporary, lease_until_ms, {now_ms} FROM cv_lists WHERE target = $1 AND name = $2 {for_update}",
      SqlBytes{key.target}, SqlBytes{key.name}));
  // Our own: taken by this very call, but the connection was lost while committing.
  const bool ours = answer.orphan == temporary;
  if (held && !ours && answer.holder != gone) {
    answer.orphan.clear();
    return answer;
  }
  CV_CHECK(database.run("UPDATE cv_lists SET digest = '', holder = $3, temporary = $4, lease_until_ms = $5 "
                        "WHERE target = $1 AND name = $2",
                        SqlBytes{key.target}, SqlBytes{key.name}, SqlBytes{holder}, SqlText{temporary},
                        now_ms + ttl_ms));
  return ListAnswer{.taken = true, .orphan = ours ? "" : answer.orphan};
}

} // namespace

Task<Result<ListRecord>> ChecksumListStore::find(const ListKey& key) {
  co_return co_await thread_.read([&](SqlDatabase& database) -> Result<ListRecord> {
    ListRecord record;
    CV_CHECK(database.select(
        [&](const SqlRow& row) {
          record.digest = row.text(0);
          record.bytes = row.count(1);
        },
        "SELECT digest, bytes FROM cv_lists WHERE target = $1 AND name = $2", SqlBytes{key.target},
        SqlBytes{key.name}));
    return record;
  });
}

Task<Result<ListAnswer>> ChecksumListStore::take(const ListKey& key, const std::string& holder,
                                                 const std::string& temporary, const std::string& gone,
                                                 std::chrono::milliseconds ttl) {
  co_return co_await thread_.transact(StateThread::Repeat::yes, [&](SqlDatabase& database) {
    return take_list(database, key, holder, temporary, gone, ttl.count());
  });
}

Task<Result<void>> ChecksumListStore::renew(const ListKey& key, const std::string& temporary,
                                            std::chrono::milliseconds ttl) {
  co_return co_await thread_.transact(StateThread::Repeat::yes, [&](SqlDatabase& database) -> Result<void> {
    CV_TRY(const std::uint64_t changed,
           database.run("UPDATE cv_lists SET lease_until_ms = {now_ms} + $4 WHERE target = $1 AND name = $2 AND "
                        "temporary = $3",
                        SqlBytes{key.target}, SqlBytes{key.name}, SqlText{temporary}, ttl.count()));
    return changed == 0 ? Result<void>(lost(key)) : Result<void>();
  });
}

Task<Result<void>> ChecksumListStore::release(const ListKey& key, const std::string& temporary, const ListRecord& now) {
  CV_CO_TRY(
      const bool ours, co_await thread_.transact(StateThread::Repeat::yes, [&](SqlDatabase& database) -> Result<bool> {
        CV_TRY(const std::uint64_t changed,
               database.run("UPDATE cv_lists SET digest = $4, bytes = $5, temporary = '', lease_until_ms = 0 WHERE "
                            "target = $1 AND name = $2 AND temporary = $3",
                            SqlBytes{key.target}, SqlBytes{key.name}, SqlText{temporary}, SqlText{now.digest},
                            sql_value(now.bytes)));
        if (changed == 0)
          CV_CHECK(database.run("UPDATE cv_lists SET digest = '', temporary = '', lease_until_ms = 0 WHERE target = "
                                "$1 AND name = $2",
                                SqlBytes{key.target}, SqlBytes{key.name}));
        return changed != 0;
      }));
  co_return ours ? Result<void>() : Result<void>(lost(key));
}

} // namespace checkvalve
