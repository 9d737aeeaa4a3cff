// Verify: compare both sides of a job, change nothing.
#include <fmt/format.h>

#include "core/path.h"
#include "core/units.h"
#include "sync/cancel_watch.h"
#include "sync/compare.h"
#include "sync/engine.h"
#include "sync/list_file.h"
#include "sync/walk.h"

namespace checkvalve {
namespace {

constexpr std::size_t max_differences = 1'000;
constexpr std::size_t contents_in_flight = 16;

class Verification {
public:
  Verification(Engine& engine, const Job& job, Chain chain, Connections& connections)
      : engine_(engine), job_(job), chain_(std::move(chain)), connections_(connections),
        source_(engine, job, chain_, walk_),
        precision_ns_(std::max(connections.source->capabilities().mtime_precision_ns,
                               connections.target->capabilities().mtime_precision_ns)) {}

  Task<Result<VerifyReport>> run() {
    const Result<void> merged = co_await merge();
    co_await contents_.join();
    if (!merged) co_return Failure(merged.error());
    if (chain_.checksum_list()) CV_CO_CHECK(co_await compare_list(*chain_.checksum_list()));
    co_return report_;
  }

private:
  bool is_extra(const Entry& there) const {
    const auto& list = chain_.checksum_list();
    return there.type == EntryType::file && job_.selection.takes_name(there.path) &&
           !(list && list->name == there.path);
  }

  Task<Result<void>> compare_list(const ChecksumList& list) {
    ListFile file(engine_, job_, connections_, list, HashAlgorithm::xxh128);
    CV_CO_TRY(const bool is_current, co_await file.current());
    if (!is_current) differ(list.name, "content", "is not the list of what was published: the next run writes it");
    co_return Result<void>();
  }

  Task<Result<void>> merge() {
    CV_CO_CHECK(co_await walk_both(engine_, job_, chain_, connections_, walk_));
    CV_CO_CHECK(walk_.finish());
    for (const PathFailure& failed : walk_.failures) differ(failed.path, "unreadable", failed.error.text());
    CV_CO_CHECK(co_await source_.begin());
    CV_CO_CHECK(walk_.target.advance());
    while (source_.present() || walk_.target.present()) {
      if (engine_.cancellation.requested()) co_return Failure(engine_.cancellation.reason());
      const Candidate* here = source_.present();
      const Entry* there = walk_.target.present();
      if (here && here->refused) {
        differ(here->entry.path, "unreadable", here->refused->message);
        CV_CO_CHECK(co_await source_.advance());
      } else if (here && (!there || here->target_path < there->path)) {
        differ(here->entry.path, "missing", "is not at the target");
        CV_CO_CHECK(co_await source_.advance());
      } else if (!here || there->path < here->target_path) {
        if (is_extra(*there)) ++report_.files_extra;
        CV_CO_CHECK(walk_.target.advance());
      } else {
        co_await compare(*here, *there);
        CV_CO_CHECK(co_await source_.advance());
        CV_CO_CHECK(walk_.target.advance());
      }
    }
    co_return Result<void>();
  }

  Task<void> compare(const Candidate& wanted, const Entry& there) {
    const Entry& here = wanted.entry;
    ++report_.files_compared;
    if (here.type != there.type) {
      differ(here.path, "type", "is of another type at the target");
    } else if (here.type == EntryType::symlink) {
      contents_.spawn(compare_link(here.path, co_await slots_.acquire()));
    } else if (here.type != EntryType::file) {
      co_return;
    } else if (!chain_.empty()) {
      compare_transformed(wanted, there);
    } else if (here.size_bytes != there.size_bytes) {
      differ(here.path, "size",
             fmt::format("{} bytes at the source, {} at the target", here.size_bytes, there.size_bytes));
    } else if (job_.checksum) {
      contents_.spawn(compare_content(here, there, co_await slots_.acquire()));
    } else if (!needs_history(job_, connections_.target->capabilities()) && here.mtime_ns && there.mtime_ns &&
               !same_mtime(*here.mtime_ns, *there.mtime_ns, precision_ns_)) {
      differ(here.path, "mtime",
             fmt::format("{} at the source, {} at the target", format_time(*here.mtime_ns / 1'000'000),
                         format_time(*there.mtime_ns / 1'000'000)));
    }
  }

  // The state tells what the source became; without it nothing can be said of the content.
  void compare_transformed(const Candidate& wanted, const Entry& there) {
    if (!wanted.published_before)
      differ(wanted.entry.path, "content",
             "the state has no record that this version was published through these transforms");
    else if (wanted.published_bytes != there.size_bytes)
      differ(wanted.entry.path, "size",
             fmt::format("{} bytes were published, {} are at the target", wanted.published_bytes, there.size_bytes));
  }

  Task<void> compare_content(Entry here, Entry there, Semaphore::Permit /*slot*/) {
    const std::string path = here.path;
    std::uint64_t read_here = 0;
    std::uint64_t read_there = 0;
    auto digest_there = spawn(content_digest(*connections_.readback, std::move(there), read_there));
    auto at_source = co_await content_digest(*connections_.source, std::move(here), read_here);
    auto at_target = co_await digest_there.get();
    report_.bytes_compared += read_here;
    if (!at_source)
      differ(path, "unreadable", at_source.error().text());
    else if (!at_target)
      differ(path, "unreadable", at_target.error().text());
    else if (*at_source != *at_target)
      differ(path, "content", fmt::format("{} at the source, {} at the target", *at_source, *at_target));
  }

  Task<void> compare_link(std::string path, Semaphore::Permit /*slot*/) {
    auto reading_there = spawn(connections_.readback->read_link(path));
    const auto here = co_await connections_.source->read_link(path);
    const auto there = co_await reading_there.get();
    if (!here || !there)
      differ(path, "unreadable", (here ? there : here).error().text());
    else if (*here != *there)
      differ(path, "content",
             fmt::format("leads to {} at the source, to {} at the target", escape_bytes(*here), escape_bytes(*there)));
  }

  void differ(std::string path, std::string reason, std::string detail) {
    ++report_.difference_count;
    if (report_.differences.size() < max_differences)
      report_.differences.push_back({std::move(path), std::move(reason), std::move(detail)});
  }

  Engine& engine_;
  const Job& job_;
  const Chain chain_;
  Connections& connections_;
  Walk walk_;
  SourceCursor source_;
  const std::int64_t precision_ns_;
  VerifyReport report_;
  Semaphore slots_{contents_in_flight};
  TaskGroup contents_;
};

} // namespace

Task<Result<VerifyReport>> verify_connections(Engine& engine, const Job& job, Connections& connections) {
  CV_CO_CHECK(check_comparable(job));
  CV_CO_TRY(Chain chain, Chain::make(job.transforms));
  Verification verification(engine, job, std::move(chain), connections);
  CancelWatch watch(engine.loop, engine.cancellation, connections, reading_stop_grace);
  watch.start();
  auto report = co_await verification.run();
  co_await watch.finish();
  co_return report;
}

} // namespace checkvalve
