#include "sync/up_to_date.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/path.h"
#include "core/units.h"

namespace checkvalve {
namespace {

using Kind = Verdict::Kind;
using Record = PublishedVersion::Record;

std::int64_t floor_to(std::int64_t value, std::int64_t step) {
  std::int64_t rest = value % step;
  if (rest < 0) rest += step;
  return value - rest;
}

// Times outside of the range are stored as its ends.
bool equal_mtimes(std::int64_t a_ns, std::int64_t b_ns, const CompareRules& rules) {
  const auto shown = [&](std::int64_t time_ns) {
    return floor_to(std::clamp(time_ns, rules.min_mtime_ns, rules.max_mtime_ns), rules.precision_ns);
  };
  return shown(a_ns) == shown(b_ns);
}

Verdict differs(Reason reason, const CompareRules& rules) {
  if (rules.on_conflict == OnConflict::skip || rules.on_conflict == OnConflict::fail) return {Kind::conflict, reason};
  return {rules.can_replace ? Kind::changed : Kind::refused, reason};
}

// Whether the target still has what the history says was published of this version.
Verdict judge_by_history(const Entry& at_target, const PublishedVersion& history, const CompareRules& rules) {
  if (history.record != Record::this_version) return differs(Reason::history, rules);
  if (history.bytes != at_target.size_bytes) return differs(Reason::size, rules);
  if (!history.etag.empty() && !at_target.etag.empty() && history.etag != at_target.etag)
    return differs(Reason::content, rules);
  return {};
}

} // namespace

std::string_view to_string(Reason reason) {
  switch (reason) {
  case Reason::none: return "none";
  case Reason::missing: return "missing";
  case Reason::type: return "type";
  case Reason::size: return "size";
  case Reason::mtime: return "mtime";
  case Reason::content: return "content";
  case Reason::history: return "history";
  case Reason::transforms: return "transforms";
  case Reason::in_doubt: return "in_doubt";
  }
  return "none";
}

bool needs_history(const Job& job, const Capabilities& target) {
  return !job.transforms.empty() || !job.preserve_mtime || !target.keeps_mtime;
}

CompareRules compare_rules(const Job& job, const Capabilities& source, const Capabilities& target) {
  return {.by_history = needs_history(job, target),
          .transformed = !job.transforms.empty(),
          .checksum = job.checksum,
          .readback = job.verify == VerifyMode::readback,
          .on_conflict = job.on_conflict,
          .can_replace = target.atomic_replace || job.overwrites_non_atomically(),
          .precision_ns = std::max(source.mtime_precision_ns, target.mtime_precision_ns),
          .min_mtime_ns = std::max(source.min_mtime_ns, target.min_mtime_ns),
          .max_mtime_ns = std::min(source.max_mtime_ns, target.max_mtime_ns)};
}

Verdict judge(const Entry& at_source, const Entry* at_target, const PublishedVersion& history,
              const CompareRules& rules) {
  if (!at_target) return {Kind::changed, Reason::missing};
  if (at_target->type != at_source.type) {
    const bool with_directory = at_source.type == EntryType::directory || at_target->type == EntryType::directory;
    return with_directory ? Verdict{Kind::refused, Reason::type} : differs(Reason::type, rules);
  }
  if (at_source.type == EntryType::directory) return {};
  if (at_source.type == EntryType::symlink) return {Kind::needs_content};

  if (!rules.transformed) {
    if (at_source.size_bytes != at_target->size_bytes) return differs(Reason::size, rules);
    if (rules.checksum) return {Kind::needs_content};
    // What may not be replaced is not a conflict if it turns out to be what was to be published.
    const bool may_replace = differs(Reason::in_doubt, rules).kind == Kind::changed;
    if (history.record == Record::in_doubt && rules.readback && !may_replace) return {Kind::needs_content};
  }
  if (history.record == Record::in_doubt) return differs(Reason::in_doubt, rules);
  if (history.record == Record::differently) return differs(Reason::transforms, rules);

  const Verdict recorded = judge_by_history(*at_target, history, rules);
  // A target that refuses to set times keeps those of the upload: the history may know better than they do.
  if (recorded.kind == Kind::up_to_date || rules.by_history) return recorded;
  if (!at_source.mtime_ns || !at_target->mtime_ns) return recorded;
  if (equal_mtimes(*at_source.mtime_ns, *at_target->mtime_ns, rules)) return {};
  return differs(Reason::mtime, rules);
}

Verdict judge_content(bool equal, const CompareRules& rules) {
  return equal ? Verdict{} : differs(Reason::content, rules);
}

Error refusal(const Verdict& verdict, EntryType at_source, const std::string& target_path) {
  const auto error = [&](ErrorKind kind, std::string message) {
    return make_error(kind, "plan", escape_bytes(target_path), std::move(message));
  };
  const std::string another_name = "move it away, or skip the source's with --exclude";
  if (verdict.kind == Kind::conflict)
    return error(ErrorKind::exists, "exists at the target with other content").with_code(ErrorCode::conflict);
  if (verdict.reason == Reason::type && at_source == EntryType::directory)
    return error(ErrorKind::exists, "the target has a file of this name").with_hint(another_name);
  if (verdict.reason == Reason::type)
    return error(ErrorKind::is_a_directory, "the target has a directory of this name").with_hint(another_name);
  return error(ErrorKind::unsupported, "the target can't replace a file in one step")
      .with_hint("--on-conflict overwrite-non-atomic allows a moment in which neither version is there");
}

std::string describe(Reason reason, const Entry& at_source, const Entry* at_target, const PublishedVersion& history) {
  const auto mtime = [](const Entry& entry) {
    return entry.mtime_ns ? format_time(*entry.mtime_ns / 1'000'000) : std::string("unknown");
  };
  switch (reason) {
  case Reason::none: return "";
  case Reason::missing: return "not at the target";
  case Reason::type: return "another type at the target";
  case Reason::size:
    if (history.record == Record::this_version && history.bytes != at_source.size_bytes)
      return fmt::format("{} bytes were published, {} at the target", history.bytes, at_target->size_bytes);
    return fmt::format("{} bytes at the source, {} at the target", at_source.size_bytes, at_target->size_bytes);
  case Reason::mtime: return fmt::format("{} at the source, {} at the target", mtime(at_source), mtime(*at_target));
  case Reason::content: return "the content differs";
  case Reason::history:
    return history.record == Record::none ? "the state has no record that it was published"
                                          : "changed at the source since it was published";
  case Reason::transforms: return "was published through other transforms";
  case Reason::in_doubt: return "was published, but not proven to hold what was written";
  }
  return "";
}

std::int64_t version_tick_ns(const Entry& at_source, const CompareRules& rules, const Capabilities& source) {
  if (!at_source.mtime_ns) return 0;
  // The history keeps mtimes and ETags as the source gives them.
  if (rules.by_history) return at_source.etag.empty() ? source.mtime_precision_ns : 0;
  return rules.precision_ns;
}

} // namespace checkvalve
