// Steps that several stores share, each inside a transaction.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "state/database.h"
#include "state/records.h"

namespace checkvalve {

// cv_failures.file of failures that no planned file has.
inline constexpr std::int64_t failed_planning = 0;
inline constexpr std::int64_t failed_list = -1; // the list of checksums

struct FailureRow {
  std::uint32_t batch = 0;
  std::int64_t file = failed_planning; // or the planned file's number
  std::string_view path;
  const Error* error = nullptr;
};

Result<void> append_failures(SqlDatabase& database, const std::string& plan, std::span<const FailureRow> rows);
// Locks the plan's row. Kind state if there is no such plan.
Result<void> lock_plan(SqlDatabase& database, const std::string& plan, std::string_view operation);
// The number of a pair, given to it when it is first asked for.
Result<std::int64_t> pair_number(SqlDatabase& database, const PairKey& pair);
// cv_pairs.pair of a pair of identities. No other pair has it, nor has one that is known by display names only: those
// begin with a scheme or a '/'.
std::string pair_text(const PairKey& pair);

} // namespace checkvalve
