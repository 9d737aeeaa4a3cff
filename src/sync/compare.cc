#include "sync/compare.h"

#include <algorithm>

#include "core/path.h"
#include "sync/content.h"
#include "sync/name_verdicts.h"

namespace checkvalve {
namespace {

constexpr std::size_t contents_in_flight = 16;

class Comparison {
public:
  Comparison(Engine& engine, const Job& job, const Chain& chain, Connections& connections, Walk& walk,
             NameVerdicts& names, CompareSink& sink)
      : engine_(engine), connections_(connections), walk_(walk), names_(names), sink_(sink),
        source_(engine, connections.pair, job.keep_history, chain, walk),
        rules_(compare_rules(job, connections.source->capabilities(), connections.target->capabilities())) {}

  Task<Result<void>> run() {
    CV_CO_CHECK(report_failures());
    const Result<void> merged = co_await merge();
    co_await contents_.join();
    if (fatal_) co_return Failure(*fatal_);
    co_return merged;
  }

private:
  Result<void> report_failures() {
    std::string_view path;
    FailureRecord failure;
    while (true) {
      CV_TRY(const bool more, walk_.failures.next(path, failure));
      if (!more) return {};
      sink_.failed(std::string(path), std::move(failure.error));
    }
  }

  Task<Result<void>> merge() {
    CV_CO_CHECK(co_await source_.begin());
    CV_CO_CHECK(walk_.target.advance());
    while (source_.present() || walk_.target.present()) {
      if (engine_.cancellation.requested()) co_return Failure(engine_.cancellation.reason());
      if (fatal_) break;
      const Candidate* candidate = source_.present();
      const Entry* there = walk_.target.present();
      if (!candidate || (there && there->path < candidate->target_path)) {
        CV_CO_TRY(const NameVerdict* named, names_.find(there->path));
        if (!std::exchange(matched_, false) && !named) sink_.extra(*there);
        CV_CO_CHECK(walk_.target.advance());
        continue;
      }
      // Not passed over yet: a further candidate, which is refused, may have the same name.
      if (there && there->path != candidate->target_path) there = nullptr;
      if (there) matched_ = true;
      CV_CO_TRY(const NameVerdict* named, names_.find(candidate->target_path));
      if (named && named->refused) {
        sink_.failed(candidate->entry.path, *named->refused);
      } else {
        if (named && named->at_target && !there) there = &*named->at_target;
        CV_CO_CHECK(co_await compare(*candidate, there));
      }
      CV_CO_CHECK(co_await source_.advance());
    }
    co_return Result<void>();
  }

  Task<Result<void>> compare(const Candidate& candidate, const Entry* there) {
    Result<void> possible = connections_.target->accepts(candidate.target_path);
    if (candidate.refused) possible = Failure(*candidate.refused);
    if (!possible) {
      sink_.failed(candidate.entry.path, std::move(possible.error()));
      co_return Result<void>();
    }
    const Verdict verdict = judge(candidate.entry, there, candidate.history, rules_);
    if (verdict.kind != Verdict::Kind::needs_content)
      co_return sink_.compared({.candidate = candidate, .at_target = there, .verdict = verdict});
    contents_.spawn(compare_content(candidate, *there, co_await content_slots_.acquire()));
    co_return Result<void>();
  }

  Task<void> compare_content(Candidate candidate, Entry there, Semaphore::Permit slot) {
    slot.adopt();
    Finding finding{.candidate = candidate, .at_target = &there};
    const bool link = candidate.entry.type == EntryType::symlink;
    auto reading_there = spawn(link ? connections_.readback->read_link(there.path) : digest_at_target(there));
    auto here = co_await (link ? connections_.source->read_link(candidate.entry.path)
                               : content_digest(*connections_.source, candidate.entry, finding.read_bytes));
    auto at_target = co_await reading_there.get();
    if (!here || !at_target) co_return failed(candidate, std::move((here ? at_target : here).error()));
    finding.source_content = std::move(*here);
    finding.target_content = std::move(*at_target);
    finding.verdict = judge_content(finding.source_content == finding.target_content, rules_);
    if (auto taken = sink_.compared(finding); !taken && !fatal_) fatal_ = std::move(taken.error());
  }

  Task<Result<std::string>> digest_at_target(Entry there) {
    std::uint64_t read_bytes = 0;
    co_return co_await content_digest(*connections_.readback, std::move(there), read_bytes);
  }

  void failed(const Candidate& candidate, Error error) {
    if (scope_of(error) < ErrorScope::endpoint)
      sink_.failed(candidate.entry.path, std::move(error));
    else if (!fatal_)
      fatal_ = std::move(error);
  }

  Engine& engine_;
  Connections& connections_;
  Walk& walk_;
  NameVerdicts& names_;
  CompareSink& sink_;
  SourceCursor source_;
  const CompareRules rules_;
  bool matched_ = false; // a candidate had the name of the target's present entry
  Semaphore content_slots_{contents_in_flight, LockRank::admission};
  TaskGroup contents_;
  std::optional<Error> fatal_;
};

} // namespace

Result<void> check_comparable(const Job& job) {
  if (!job.checksum || job.transforms.empty()) return {};
  return Failure(make_error(ErrorKind::config, "compare", job.target.display(),
                            "--checksum cannot compare content that transforms change: without it, the state says "
                            "what was published from which version of the source"));
}

Task<Result<void>> compare_sides(Engine& engine, const Job& job, const Chain& chain, Connections& connections,
                                 Walk& walk, CompareSink& sink, bool may_write) {
  NameVerdicts names;
  CV_CO_CHECK(co_await judge_names(engine, chain, *connections.target, walk, may_write, names));
  Comparison comparison(engine, job, chain, connections, walk, names, sink);
  co_return co_await comparison.run();
}

} // namespace checkvalve
