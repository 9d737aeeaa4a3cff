// SourceCursor: what the source has, in the order of the names that it gets at the target, with what the state
// remembers of it. With transforms that rename, this is not the order of the source's own names.
#pragma once

#include <optional>
#include <string>

#include "sync/history.h"
#include "sync/spool.h"
#include "sync/up_to_date.h"
#include "sync/walk.h"
#include "transforms/chain.h"

namespace checkvalve {

struct Candidate {
  Entry entry;             // as the source has it
  std::string target_path; // the name at the target
  PublishedVersion history;
  std::optional<Error> refused; // why it can have no name at the target
};

// A name at the target, and who takes it.
struct NameTaken {
  std::string target_path; // the record's key
  std::string owner;       // the source's name
  bool side_file = false;  // nothing but the name counts
  Entry entry;             // of the owner, with its history
  PublishedVersion history;
};

// Engine thread only. Takes walk.source to its end.
class SourceCursor {
public:
  // `keep_history`: of HistoryCursor.
  SourceCursor(Engine& engine, const PairKey& pair, std::chrono::milliseconds keep_history, const Chain& chain,
               Walk& walk);

  Task<Result<void>> begin(); // then present() is the first
  Task<Result<void>> advance();
  const Candidate* present() const { return present_ ? &*present_ : nullptr; } // null at the end

private:
  Task<Result<std::optional<Candidate>>> next_by_source_name();
  Result<std::optional<Candidate>> next_by_target_name();
  Task<Result<void>> spool_by_target_name();
  Result<void> read_ahead();

  const Chain& chain_;
  Walk& walk_;
  HistoryCursor memory_;
  std::optional<Candidate> present_;
  // With transforms:
  RecordSpool<NameTaken> spool_; // by target name
  std::optional<NameTaken> ahead_;
  std::string taken_name_; // of the row before, and whose it is
  std::string taken_by_;
};

} // namespace checkvalve
