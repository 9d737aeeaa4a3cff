// NameVerdicts: which names of a plan become one at the target, or would be changed there, and who may have them.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "backends/entry.h"
#include "core/result.h"
#include "core/task.h"
#include "sync/engine.h"
#include "sync/spool.h"
#include "transforms/chain.h"

namespace checkvalve {

struct Walk;

// A name of the target, among others that it may take for the same one.
struct NameClaim {
  std::string name;
  bool wanted = false;    // a candidate would get it
  bool listed = false;    // the target lists it, byte for byte
  bool directory = false; // it is a directory where it is wanted, and where it is listed
  std::size_t stored = 0; // names with equal numbers are one at the target, at most one of them listed
};

// For each name, in their order, which of them has it there. What the target lists keeps its name. Only a directory, or
// a file whose name has just another Unicode form, takes the place of what no candidate wants: it is the same one to
// its users, where a file of another case may be anybody's. Of several new names the first one gets it.
std::vector<std::size_t> name_holders(std::span<const NameClaim> names);

// What is said of a candidate's path, or of a directory and all candidates below it.
struct NameVerdict {
  std::string path;             // the record's key
  std::optional<Error> refused; // kind invalid_name, code name_collision
  // What the target has for it under the other name whose place it takes; the verdict on that name has neither.
  std::optional<Entry> at_target;
};

// Without the path.
template <class Archive, class Self>
  requires std::same_as<std::remove_const_t<Self>, NameVerdict>
void fields(Archive& archive, Self& verdict) {
  archive(verdict.refused, verdict.at_target);
}

// Empty before it is filled and finished.
class NameVerdicts {
public:
  Result<void> add(const NameVerdict& verdict) { return spool_.add(verdict.path, verdict); }
  Result<void> finish();
  // Of this path, or a refusal of a directory above it; null: there is none. Paths must be asked for in ascending
  // order.
  Result<const NameVerdict*> find(std::string_view path);

private:
  Result<void> read_ahead();

  RecordSpool<NameVerdict> spool_{1 << 20};
  std::optional<NameVerdict> ahead_;
  std::vector<NameVerdict> present_; // of the last path and of directories above it
};

// Judges the names that walk.names suspects, which must be finished, and leaves the walk's spools at their beginning.
// Where nothing is suspected, it asks nothing. The rest is looked up at the target; where that is not enough, a probe
// is written if `may_write` (sync/name_probe.h), else a warning says what could not be found out.
Task<Result<void>> judge_names(Engine& engine, const Chain& chain, Target& target, Walk& walk, bool may_write,
                               NameVerdicts& verdicts);

} // namespace checkvalve
