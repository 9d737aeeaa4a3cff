// Is the target up to date? The one decision behind planning, verify and the last look of a transfer. No I/O.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "backends/capabilities.h"
#include "backends/entry.h"
#include "core/result.h"
#include "sync/job.h"

namespace checkvalve {

// What the history says of a source entry.
struct PublishedVersion {
  enum class Record : std::uint8_t {
    none,          // nothing was recorded
    this_version,  // this version of the source was published through the job's transforms
    other_version, // another version of the source was
    differently,   // it was published through other transforms
    in_doubt,      // published, but not proven to hold what was written
  };
  Record record = Record::none;
  std::uint64_t bytes = 0; // as published
  std::string etag;        // the target's, as published; empty: not known
};

// How a job compares, and what it may do about a difference.
struct CompareRules {
  bool by_history = false;  // the target's times cannot show which version it holds
  bool transformed = false; // sizes and content of source and target cannot be compared
  bool checksum = false;    // content decides between files of equal size
  bool readback = false;    // what is in doubt and may not be replaced is read before it counts as a conflict
  OnConflict on_conflict = OnConflict::overwrite;
  bool can_replace = true;               // atomically, or with the gap that the job allows
  std::int64_t precision_ns = 1;         // the coarser one of both endpoints
  std::int64_t min_mtime_ns = INT64_MIN; // the range of times that both endpoints can express
  std::int64_t max_mtime_ns = INT64_MAX;
};

// Whether size and mtime at the target cannot show that a file is up to date, so that the history must.
bool needs_history(const Job& job, const Capabilities& target);

// A target may turn out to keep no times only while it is written to: not to be kept over uploads.
CompareRules compare_rules(const Job& job, const Capabilities& source, const Capabilities& target);

enum class Reason : std::uint8_t {
  none,
  missing,    // the target has nothing under the name
  type,       // one is a file, the other a directory or a symbolic link
  size,       // not the source's or, with transforms, not what was published
  mtime,      // not the source's
  content,    // not the source's, or changed at the target since it was published
  history,    // nothing says that this version was published
  transforms, // published through other transforms
  in_doubt,   // published, but not proven to hold what was written
};
// For reports: "missing", "type", "size", …
std::string_view to_string(Reason reason);

struct Verdict {
  enum class Kind : std::uint8_t {
    up_to_date,
    changed,       // to be copied
    needs_content, // only the content, or a link's text, can tell: then judge_content()
    conflict,      // changed, and may not be replaced: OnConflict::skip or fail
    refused,       // changed, and cannot be replaced
  };
  Kind kind = Kind::up_to_date;
  Reason reason = Reason::none;

  bool operator==(const Verdict&) const = default;
};

// `at_target`: what the target has under the entry's name there; null: nothing.
Verdict judge(const Entry& at_source, const Entry* at_target, const PublishedVersion& history,
              const CompareRules& rules);
// After needs_content, once both were read.
Verdict judge_content(bool equal, const CompareRules& rules);

// Why an entry with this verdict, conflict or refused, is not published as `target_path`.
Error refusal(const Verdict& verdict, EntryType at_source, const std::string& target_path);

// What differs, for people: "5 bytes at the source, 6 at the target". `at_target` is null only for missing.
std::string describe(Reason reason, const Entry& at_source, const Entry* at_target, const PublishedVersion& history);

// Two writes of a source file with equal sizes within one tick of this length are one version to judge().
// 0: no two are.
std::int64_t version_tick_ns(const Entry& at_source, const CompareRules& rules, const Capabilities& source);

} // namespace checkvalve
