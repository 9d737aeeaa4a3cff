// checkvalve doctor: connects and reports the capabilities of an endpoint.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <deque>
#include <memory>

#include "backends/registry.h"
#include "cli/commands/commands.h"
#include "cli/commands/one_end.h"
#include "cli/exit_code.h"
#include "cli/printable.h"
#include "core/path.h"
#include "core/units.h"
#include "sync/cancel_watch.h"

namespace checkvalve {
namespace {

using Clock = std::chrono::steady_clock;

struct Arguments {
  OneEndArguments end;
  bool read_only = false;
};

// Checks an endpoint: first as a source, which changes nothing, then what only writing to it shows.
class Doctor {
public:
  Doctor(BackendContext context, const Job& job, Cancellation& cancellation)
      : job_(job), context_(context), cancellation_(cancellation) {}

  const std::vector<DoctorCheck>& checks() const { return checks_; }
  // It could be reached and its root can be read.
  bool usable() const { return usable_; }

  // An error: it could not be reached.
  Task<Result<void>> look() {
    Connections connections;
    CV_CO_TRY(connections.source, make_source(context_, job_.source));
    co_return co_await watched(connections, look_at(*connections.source));
  }

  // Writes temporary files below the root and removes them.
  Task<Result<void>> try_out() {
    const BackendDescriptor* backend = find_backend(job_.source.scheme);
    if (backend && backend->examine) {
      CV_CO_TRY(std::vector<DoctorCheck> found, co_await backend->examine(context_, job_.source, cancellation_));
      checks_.insert(checks_.end(), std::make_move_iterator(found.begin()), std::make_move_iterator(found.end()));
      co_return Result<void>();
    }
    Connections connections;
    CV_CO_TRY(connections.target, make_target(context_, job_.target));
    co_return co_await watched(connections, try_out(*connections.target));
  }

private:
  // The work on these ends, which are closed in any case.
  Task<Result<void>> watched(Connections& connections, Task<Result<void>> work) {
    constexpr std::chrono::seconds stop_grace{2}; // for removing the temporary
    CancelWatch watch(context_.loop, cancellation_, connections,
                      connections.target ? stop_grace : std::chrono::seconds(0));
    watch.start();
    auto done = co_await std::move(work);
    co_await watch.finish();
    co_await close_connections(connections);
    co_return done;
  }

  Task<Result<void>> look_at(Source& source) {
    const auto began = Clock::now();
    CV_CO_CHECK(co_await source.connect());
    note("connect and login", milliseconds_since(began));
    note_capabilities(source.capabilities());
    const auto listed_at = Clock::now();
    auto page = co_await first_page(source);
    if (page)
      note("list the root", fmt::format("{} in the first page, {}", counted(page->size(), "entry", "entries"),
                                        milliseconds_since(listed_at)));
    else
      fail("list the root", page.error());
    usable_ = page.has_value();
    const auto asked_at = Clock::now();
    auto root = co_await source.stat("", true);
    if (root)
      note("stat the root", milliseconds_since(asked_at));
    else
      fail("stat the root", root.error());
    if (page) co_await read_largest(source, *page);
    co_return Result<void>();
  }

  Task<Result<void>> try_out(Target& target) {
    CV_CO_CHECK(co_await target.connect());
    auto written = co_await write_temporary(target);
    if (written)
      note("writable", "yes");
    else
      note("writable", "no: " + written.error().text(), false);
    const auto hash = co_await target.server_side_checksum();
    note("server-side checksums (--verify hash)",
         hash ? std::string(to_string(*hash)) : "none: " + hash.error().message);
    co_return Result<void>();
  }

  static std::string milliseconds_since(Clock::time_point start) {
    return fmt::format("{:.1f} ms", std::chrono::duration<double, std::milli>(Clock::now() - start).count());
  }
  void note(std::string name, std::string value, bool ok = true) {
    checks_.push_back({std::move(name), std::move(value), ok});
  }
  void fail(std::string name, const Error& error) { note(std::move(name), error.text(), false); }

  void note_capabilities(const Capabilities& can) {
    auto yes = [](bool value) { return std::string(value ? "yes" : "no"); };
    note("atomic replace of an existing file", yes(can.atomic_replace));
    note("atomic create if absent", yes(can.create_if_absent));
    note("preserves modification times",
         can.keeps_mtime ? fmt::format("yes, precision {}", precision(can.mtime_precision_ns)) : "no");
    note("preserves modes", yes(can.keeps_mode));
    note("flushes to stable storage (fsync)", yes(can.durable));
    note("symbolic links", yes(can.symlinks));
    note("random-access reads", yes(can.ranged_reads));
    note("request size", format_size(can.chunk_bytes));
    note("files in flight", format_count(can.files_in_flight));
  }
  static std::string precision(std::int64_t ns) {
    if (ns % 1'000'000'000 == 0) return fmt::format("{} s", ns / 1'000'000'000);
    return ns % 1'000'000 == 0 ? fmt::format("{} ms", ns / 1'000'000) : fmt::format("{} ns", ns);
  }

  Task<Result<std::vector<Entry>>> first_page(Source& source) {
    CV_CO_TRY(std::unique_ptr<Listing> listing, co_await source.list("", false));
    co_return co_await listing->next();
  }

  // Reads up to 64 MiB of the largest file in the root, with a window of requests.
  Task<void> read_largest(Source& source, const std::vector<Entry>& page) {
    const Entry* largest = nullptr;
    for (const Entry& entry : page)
      if (entry.type == EntryType::file && (!largest || entry.size_bytes > largest->size_bytes)) largest = &entry;
    if (!largest || largest->size_bytes < 1 << 20) {
      note("read throughput", "not measured: no file of at least 1 MiB in the root");
      co_return;
    }
    const auto start = Clock::now();
    auto bytes = co_await read_file(source, *largest);
    if (!bytes) {
      fail("read " + escape_bytes(largest->path), bytes.error());
      co_return;
    }
    const double seconds = std::max(1e-6, std::chrono::duration<double>(Clock::now() - start).count());
    note("read throughput",
         fmt::format("{}/s ({} of {})", format_size(static_cast<std::uint64_t>(static_cast<double>(*bytes) / seconds)),
                     format_size(*bytes), escape_bytes(largest->path)));
  }

  static constexpr std::uint64_t max_read_bytes = 64 << 20;

  Task<Result<std::uint64_t>> read_file(Source& source, const Entry& entry) {
    const std::uint64_t end = std::min(entry.size_bytes, max_read_bytes);
    const std::uint32_t chunk = source.capabilities().chunk_bytes;
    const std::size_t window = std::max<std::size_t>(1, source.capabilities().window_bytes / chunk);
    CV_CO_TRY(std::unique_ptr<Reader> reader, co_await source.open(entry));
    std::deque<JoinHandle<Result<Chunk>>> under_way;
    std::uint64_t asked = 0;
    std::uint64_t got = 0;
    std::optional<Error> error;
    while (asked < end || !under_way.empty()) {
      if (cancellation_.requested()) asked = end;
      while (asked < end && under_way.size() < window) {
        const auto size = static_cast<std::uint32_t>(std::min<std::uint64_t>(chunk, end - asked));
        under_way.push_back(spawn(reader->read(asked, size)));
        asked += size;
      }
      auto chunk_read = co_await under_way.front().get();
      under_way.pop_front();
      if (chunk_read) {
        got += chunk_read->size();
      } else { // the others are waited for: they use the reader
        asked = end;
        if (!error) error = chunk_read.error();
      }
    }
    if (error) co_return Failure(*error);
    co_return got;
  }

  Task<Result<void>> write_temporary(Target& target) {
    constexpr std::string_view text = "checkvalve doctor";
    CV_CO_TRY(std::unique_ptr<Upload> upload,
              co_await target.begin("checkvalve-doctor", {{random_plan_id(), 1, random_nonce(), 1}, text.size()}));
    auto written = co_await upload->write(0, Chunk::copy_of(text));
    auto removed = co_await upload->abort();
    co_return written ? removed : written;
  }

  const Job& job_;
  BackendContext context_;
  Cancellation& cancellation_;
  std::vector<DoctorCheck> checks_;
  bool usable_ = false;
};

Json doctor_json(const std::string& url, const std::vector<DoctorCheck>& checks, bool ok,
                 const std::optional<Error>& error) {
  Json list = Json::array();
  for (const DoctorCheck& each : checks)
    list.push_back({{"name", printable(each.name)}, {"value", printable(each.value)}, {"ok", each.ok}});
  return {{"version", 1}, {"command", "doctor"},       {"url", printable(url)},
          {"ok", ok},     {"checks", std::move(list)}, {"error", error ? error_json(*error) : Json(nullptr)}};
}

std::string doctor_text(const std::string& url, const std::vector<DoctorCheck>& checks) {
  std::string out = printable(url) + "\n";
  for (const DoctorCheck& each : checks)
    out += fmt::format("  {} {:<40} {}\n", each.ok ? " " : "!", printable(each.name), printable(each.value));
  return out;
}

Task<int> examine(Session& session, Job job, bool read_only) {
  Cancellation& cancellation = session.cancellation();
  Doctor doctor(session.context(job), job, cancellation);
  auto outcome = co_await doctor.look();
  if (outcome && doctor.usable() && !read_only && !cancellation.requested()) outcome = co_await doctor.try_out();
  if (cancellation.requested()) outcome = Failure(cancellation.reason());
  std::optional<Error> error;
  if (!outcome) error = outcome.error();
  const bool ok = outcome && doctor.usable();
  const std::string url = job.source.display();
  session.report(doctor_json(url, doctor.checks(), ok, error), doctor_text(url, doctor.checks()), error);
  co_return error ? exit_code::of(*error) : ok ? exit_code::success : exit_code::incomplete;
}

int doctor_command(const Command& command, const Arguments& arguments) {
  Session session("doctor", arguments.end.process);
  auto job = one_end_job(command, arguments.end);
  if (!job) {
    session.report(doctor_json(arguments.end.url, {}, false, job.error()), "", job.error());
    return exit_code::of(job.error());
  }
  return session.run(examine(session, std::move(*job), arguments.read_only));
}

} // namespace

void add_doctor_command(CommandLine& line) {
  Command& command = line.add("doctor", "Connect to an endpoint and report its capabilities");
  auto arguments = std::make_shared<Arguments>();
  command.flag({.names = "--read-only", .help = "do not write temporary files below the root"}, arguments->read_only);
  add_one_end(command, arguments->end);
  command.examples({"checkvalve doctor sftp://me@source.example/data", "checkvalve doctor --read-only --json prod:"});
  command.action([&command, arguments] { return doctor_command(command, *arguments); });
}

} // namespace checkvalve
