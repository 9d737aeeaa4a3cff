// SqlStore: StateStore's rules, written once over a SqlDatabase.
#pragma once

#include <memory>

#include "state/database.h"
#include "state/store.h"

namespace checkvalve {

class SqlStore final : public StateStore {
public:
  // The database is migrated.
  explicit SqlStore(std::unique_ptr<SqlDatabase> database) : database_(std::move(database)) {}

  Result<void> create_plan(const PlanRecord& plan) override;
  Result<void> add_files(const std::string& plan, std::span<const PlannedFile> files) override;
  Result<void> add_failures(const std::string& plan, std::span<const FailureRecord> failures) override;
  Result<void> finish_plan(const PlanRecord& plan) override;
  Result<PlanRecord> plan(std::string_view id_or_prefix) override;
  Result<std::vector<PlanRecord>> plans(std::size_t limit) override;
  Result<void> prune(std::int64_t older_than_ms) override;
  Result<std::vector<BatchRecord>> batches(const std::string& plan) override;
  Result<std::vector<PlannedFile>> open_files(const std::string& plan, std::uint32_t batch, std::uint64_t after,
                                              std::size_t limit) override;
  Result<void> set_list_failure(const std::string& plan, const std::optional<FailureRecord>& failure) override;
  Result<std::vector<FailureRecord>> failures(const std::string& plan, std::size_t after, std::size_t limit) override;
  Result<LeaseAnswer> take_lease(const std::string& plan, std::uint32_t batch, const std::string& holder,
                                 std::int64_t ttl_ms) override;
  Result<void> renew_lease(const Lease& lease, std::int64_t ttl_ms) override;
  Result<void> release_lease(const Lease& lease) override;
  Result<void> abandon_lease(const std::string& plan, std::uint32_t batch, const std::string& holder) override;
  Result<void> doubt_batch(const Lease& lease, const std::string& pair) override;
  Result<void> checkpoint(const Lease& lease, std::span<const FileOutcome> outcomes,
                          const std::optional<HistoryScope>& history_scope) override;
  Result<std::vector<HistoryRecord>> published(const std::string& pair, const std::string& after,
                                               std::size_t limit) override;
  Result<std::vector<std::string>> pairs_ending(const std::string& end) override;
  Result<ListRecord> list(const ListKey& key) override;
  Result<ListAnswer> take_list(const ListKey& key, const std::string& holder, const std::string& temporary,
                               const std::string& gone, std::int64_t ttl_ms) override;
  Result<void> renew_list(const ListKey& key, const std::string& temporary, std::int64_t ttl_ms) override;
  Result<void> release_list(const ListKey& key, const std::string& temporary, const ListRecord& now) override;
  Result<void> begin_run(const RunRecord& run) override;
  Result<void> end_run(const std::string& run, std::int64_t ended_ms, const std::string& summary_json) override;
  Result<std::vector<RunRecord>> runs(const std::string& plan, std::size_t limit) override;

private:
  // Whether a transaction that may have been committed already may be done again.
  enum class Repeat { yes, no };

  // Runs `body` (a callable that gives a Result) in a transaction; again, where the connection to the database was lost
  // and nothing speaks against it. Any error undoes the transaction.
  template <class Body> auto transact(Repeat repeat, Body body) -> decltype(body());
  // The same without a transaction, for one statement that reads.
  template <class Body> auto read(Body body) -> decltype(body());

  // `file`: the planned file's number; 0 for one that could not be planned, -1 for the list of checksums.
  Result<void> append_failures(const std::string& plan, std::span<const FailureRecord> failures, std::int64_t file);
  Result<void> require_plan(const std::string& plan, PlanState state, std::string_view operation);

  // The steps inside a transaction.
  Result<void> prune_plans(std::int64_t older_than_ms);
  // `drawn`: its nonce is given; the rest is kept for a call that has to be repeated.
  Result<LeaseAnswer> take_lease_locked(const std::string& plan, std::uint32_t batch, const std::string& holder,
                                        std::int64_t ttl_ms, Lease& drawn);
  Result<void> release_lease_locked(const Lease& lease);
  Result<void> abandon_lease_locked(const std::string& plan, std::uint32_t batch, const std::string& holder);
  Result<void> doubt_batch_locked(const Lease& lease, const std::string& pair);
  Result<void> checkpoint_locked(const Lease& lease, std::span<const FileOutcome> outcomes,
                                 const std::optional<HistoryScope>& history_scope);
  Result<ListAnswer> take_list_locked(const ListKey& key, const std::string& holder, const std::string& temporary,
                                      const std::string& gone, std::int64_t ttl_ms);
  Result<void> lock_plan(const std::string& plan, std::string_view operation);
  Result<void> settle_plan(const std::string& plan); // its state, from its batches
  Result<void> analyze(); // when a plan is complete, and when it has ended: what comes next reads it page by page
  Result<std::int64_t> pair_key(const std::string& pair);

  std::unique_ptr<SqlDatabase> database_;
};

template <class Body> auto SqlStore::transact(Repeat repeat, Body body) -> decltype(body()) {
  for (int attempt = 1;; ++attempt) {
    Result<void> ended = database_->begin();
    if (ended) {
      auto result = body();
      if (result) {
        ended = database_->commit();
        if (ended) return result;
      } else {
        ended = Failure(result.error());
      }
      database_->rollback();
    }
    if (!database_->try_again(attempt, repeat == Repeat::yes)) return Failure(std::move(ended.error()));
  }
}

template <class Body> auto SqlStore::read(Body body) -> decltype(body()) {
  for (int attempt = 1;; ++attempt) {
    auto result = body();
    if (result || !database_->try_again(attempt, true)) return result;
  }
}

} // namespace checkvalve
