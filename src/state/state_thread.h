// StateThread: one database and the thread on which alone it is used. Coroutines of the engine thread await their
// calls, which run in the order in which they were made.
#pragma once

#include <memory>

#include "core/async.h"
#include "state/database.h"

namespace checkvalve {

class StateThread {
public:
  // Whether a transaction that may have been committed already may be run again.
  enum class Repeat { yes, no };

  // The database is migrated.
  explicit StateThread(std::unique_ptr<SqlDatabase> database) : database_(std::move(database)) {}

  // Runs `body(SqlDatabase&)`, which returns a Result, in a transaction; again where the connection to the database was
  // lost and that is safe. Any error rolls the transaction back.
  template <class Body>
  auto transact(Repeat repeat, Body body, Flush flush = Flush::later)
      -> Task<decltype(body(std::declval<SqlDatabase&>()))> {
    co_return co_await thread_.run([&] { return run_transaction(repeat, body, flush); });
  }
  // The same without a transaction, for statements that only read.
  template <class Body> auto read(Body body) -> Task<decltype(body(std::declval<SqlDatabase&>()))> {
    co_return co_await thread_.run([&] { return run_reading(body); });
  }
  // Renews the planner's statistics, outside of any transaction: it may have to give way to maintenance of the tables,
  // and its failure harms nothing.
  Task<void> refresh_statistics() {
    (void)co_await thread_.run([&] {
      const std::string_view analyze = database_->dialect().analyze;
      return analyze.empty() ? Result<std::uint64_t>() : database_->run(analyze);
    });
  }

private:
  template <class Body>
  auto run_transaction(Repeat repeat, Body& body, Flush flush) -> decltype(body(std::declval<SqlDatabase&>()));
  template <class Body> auto run_reading(Body& body) -> decltype(body(std::declval<SqlDatabase&>())) {
    for (int attempt = 1;; ++attempt) {
      auto result = body(*database_);
      if (result || !database_->try_again(attempt, true)) return result;
    }
  }

  std::unique_ptr<SqlDatabase> database_;
  ThreadPool thread_{1}; // ends before the database does
};

template <class Body>
auto StateThread::run_transaction(Repeat repeat, Body& body, Flush flush)
    -> decltype(body(std::declval<SqlDatabase&>())) {
  for (int attempt = 1;; ++attempt) {
    Result<void> ended = database_->begin(flush);
    if (ended) {
      auto result = body(*database_);
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

} // namespace checkvalve
