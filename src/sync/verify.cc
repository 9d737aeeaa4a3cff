// Verify: compare both sides of a job, change nothing.
#include <fmt/format.h>

#include "core/path.h"
#include "sync/cancel_watch.h"
#include "sync/compare.h"
#include "sync/engine.h"
#include "sync/history.h"
#include "sync/list_file.h"
#include "sync/walk.h"

namespace checkvalve {
namespace {

constexpr std::size_t max_differences = 1'000;

class Verification : public CompareSink {
public:
  Verification(Engine& engine, const Job& job, const Chain& chain, Connections& connections)
      : engine_(engine), job_(job), chain_(chain), connections_(connections) {}

  Task<Result<VerifyReport>> run() {
    Walk walk;
    CV_CO_CHECK(co_await walk_both(engine_, job_, chain_, connections_, walk));
    CV_CO_CHECK(walk.finish());
    CV_CO_CHECK(co_await compare_sides(engine_, job_, chain_, connections_, walk, *this, false));
    if (chain_.checksum_list()) CV_CO_CHECK(co_await compare_list(*chain_.checksum_list()));
    co_return std::move(report_);
  }

private:
  Result<void> compared(const Finding& finding) override {
    if (finding.at_target) ++report_.files_compared;
    report_.bytes_compared += finding.read_bytes;
    if (finding.verdict.kind != Verdict::Kind::up_to_date)
      differ(finding.candidate.entry.path, std::string(to_string(finding.verdict.reason)), detail(finding));
    return {};
  }
  void failed(std::string path, Error error) override {
    const bool collides = error.code == ErrorCode::name_collision; // the target has another file there, or none
    differ(std::move(path), collides ? std::string(to_string(Reason::missing)) : "unreadable", error.text());
  }
  void extra(const Entry& at_target) override {
    const auto& list = chain_.checksum_list();
    if (at_target.type == EntryType::file && job_.selection.takes_name(at_target.path) &&
        !(list && list->name == at_target.path))
      ++report_.files_extra;
  }

  static std::string detail(const Finding& finding) {
    const Entry& entry = finding.candidate.entry;
    if (finding.source_content.empty() && finding.target_content.empty())
      return describe(finding.verdict.reason, entry, finding.at_target, finding.candidate.history);
    if (entry.type == EntryType::symlink)
      return fmt::format("leads to {} at the source, to {} at the target", escape_bytes(finding.source_content),
                         escape_bytes(finding.target_content));
    return fmt::format("{} at the source, {} at the target", finding.source_content, finding.target_content);
  }

  Task<Result<void>> compare_list(const ChecksumList& list) {
    ListFile file(engine_, job_, connections_, list, HashAlgorithm::xxh128);
    CV_CO_TRY(const bool is_current, co_await file.current());
    if (!is_current)
      differ(list.name, std::string(to_string(Reason::content)),
             "is not the list of what was published: the next run writes it");
    co_return Result<void>();
  }

  void differ(std::string path, std::string reason, std::string detail) {
    ++report_.difference_count;
    if (report_.differences.size() < max_differences)
      report_.differences.push_back({std::move(path), std::move(reason), std::move(detail)});
  }

  Engine& engine_;
  const Job& job_;
  const Chain& chain_;
  Connections& connections_;
  VerifyReport report_;
};

} // namespace

Task<Result<VerifyReport>> verify_connections(Engine& engine, const Job& job, Connections& connections) {
  CV_CO_CHECK(check_comparable(job));
  CV_CO_TRY(const Chain chain, Chain::make(job.transforms));
  CV_CO_CHECK(co_await claim_histories(engine, job, connections.pair));
  Verification verification(engine, job, chain, connections);
  CancelWatch watch(engine.loop, engine.cancellation, connections, reading_stop_grace);
  watch.start();
  auto report = co_await verification.run();
  co_await watch.finish();
  co_return report;
}

} // namespace checkvalve
