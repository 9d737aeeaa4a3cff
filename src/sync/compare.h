// Compare: what of the source is at the target, and what is not up to date there.
#pragma once

#include <cstdint>
#include <string>

#include "core/result.h"
#include "core/task.h"
#include "sync/engine.h"
#include "sync/source_cursor.h"
#include "sync/up_to_date.h"
#include "sync/walk.h"

namespace checkvalve {

// One candidate, compared.
struct Finding {
  const Candidate& candidate;
  const Entry* at_target = nullptr; // null: the target has nothing under the name
  Verdict verdict;                  // never needs_content
  std::uint64_t read_bytes = 0;     // of the source's content
  // Once they were read: digests of both contents, or what both links say.
  std::string source_content;
  std::string target_content;
};

// What the comparison finds; called on the engine thread, in no promised order.
class CompareSink {
public:
  virtual ~CompareSink() = default;
  virtual Result<void> compared(const Finding& finding) = 0;
  // A candidate, or a directory of the source, that could not be compared.
  virtual void failed(std::string path, Error error) = 0;
  // What only the target has, in the directories that were listed.
  virtual void extra(const Entry&) {}
};

// Merges the two sorted sides and asks judge() of each candidate; reads content where that needs it. `may_write`: of
// judge_names().
Task<Result<void>> compare_sides(Engine& engine, const Job& job, const Chain& chain, Connections& connections,
                                 Walk& walk, CompareSink& sink, bool may_write);

// Whether the job's way of comparing fits its transforms. Kind config.
Result<void> check_comparable(const Job& job);

} // namespace checkvalve
