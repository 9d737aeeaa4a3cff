// Verify: compare both sides of a job, change nothing.
#include <fmt/format.h>

#include "core/path.h"
#include "core/units.h"
#include "sync/compare.h"
#include "sync/engine.h"
#include "sync/walk.h"

namespace checkvalve {
namespace {

constexpr std::size_t most_differences = 1'000;
constexpr std::size_t contents_in_flight = 16;

class Verification {
public:
  Verification(Engine& engine, const Job& job, Ends& ends)
      : engine_(engine), job_(job), ends_(ends),
        precision_ns_(std::max(ends.source->capabilities().mtime_precision_ns,
                               ends.target->capabilities().mtime_precision_ns)) {}

  Task<Result<VerifyReport>> run() {
    Walk walk;
    CV_CO_CHECK(co_await walk_both(engine_, job_, ends_, walk));
    for (const PathFailure& failed : walk.failures) differ(failed.path, "unreadable", failed.error.text());
    CV_CO_CHECK(walk.source.advance());
    CV_CO_CHECK(walk.target.advance());
    while (walk.source.present() || walk.target.present()) {
      if (engine_.stop.requested()) break;
      const Entry* here = walk.source.present();
      const Entry* there = walk.target.present();
      if (here && (!there || here->path < there->path)) {
        differ(here->path, "missing", "is not at the target");
        CV_CO_CHECK(walk.source.advance());
      } else if (!here || there->path < here->path) {
        if (there->type == EntryType::file && job_.selection.takes_name(there->path)) ++report_.files_extra;
        CV_CO_CHECK(walk.target.advance());
      } else {
        co_await compare(*here, *there);
        CV_CO_CHECK(walk.source.advance());
        CV_CO_CHECK(walk.target.advance());
      }
    }
    co_await contents_.join();
    if (engine_.stop.requested()) co_return Failure(engine_.stop.reason());
    co_return report_;
  }

private:
  Task<void> compare(const Entry& here, const Entry& there) {
    ++report_.files_compared;
    if (here.type != there.type) {
      differ(here.path, "type", "is of another type at the target");
    } else if (here.type != EntryType::file) {
      co_return;
    } else if (here.size_bytes != there.size_bytes) {
      differ(here.path, "size", fmt::format("{} bytes at the source, {} at the target", here.size_bytes, there.size_bytes));
    } else if (job_.checksum) {
      co_await slots_.acquire();
      contents_.start(compare_content(here, there));
    } else if (!needs_memory(job_, ends_.target->capabilities()) && here.mtime_ns && there.mtime_ns &&
               !same_mtime(*here.mtime_ns, *there.mtime_ns, precision_ns_)) {
      differ(here.path, "mtime",
             fmt::format("{} at the source, {} at the target", format_time(*here.mtime_ns / 1'000'000),
                         format_time(*there.mtime_ns / 1'000'000)));
    }
  }

  Task<void> compare_content(Entry here, Entry there) {
    const std::string path = here.path;
    std::uint64_t read_here = 0;
    std::uint64_t read_there = 0;
    auto digest_there = start(content_digest(*ends_.readback, std::move(there), read_there));
    auto at_source = co_await content_digest(*ends_.source, std::move(here), read_here);
    auto at_target = co_await digest_there.get();
    report_.bytes_compared += read_here;
    if (!at_source)
      differ(path, "unreadable", at_source.error().text());
    else if (!at_target)
      differ(path, "unreadable", at_target.error().text());
    else if (*at_source != *at_target)
      differ(path, "content", fmt::format("{} at the source, {} at the target", *at_source, *at_target));
    slots_.release();
  }

  void differ(std::string path, std::string reason, std::string detail) {
    ++report_.difference_count;
    if (report_.differences.size() < most_differences)
      report_.differences.push_back({std::move(path), std::move(reason), std::move(detail)});
  }

  Engine& engine_;
  const Job& job_;
  Ends& ends_;
  const std::int64_t precision_ns_;
  VerifyReport report_;
  Semaphore slots_{contents_in_flight};
  TaskGroup contents_;
};

} // namespace

Task<Result<VerifyReport>> verify_ends(Engine& engine, const Job& job, Ends& ends) {
  Verification verification(engine, job, ends);
  co_return co_await verification.run();
}

} // namespace checkvalve
