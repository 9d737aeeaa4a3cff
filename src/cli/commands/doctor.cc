// checkvalve doctor: connects and reports what an endpoint can do.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <chrono>
#include <memory>

#include "cli/commands/commands.h"
#include "cli/commands/one_end.h"
#include "cli/exit_code.h"
#include "cli/printable.h"
#include "core/path.h"
#include "core/units.h"

namespace checkvalve {
namespace {

using Clock = std::chrono::steady_clock;

struct Arguments {
  OneEndArguments end;
  bool write = false;
};

struct Check {
  std::string name;
  std::string value;
  bool ok = true;
};

class Doctor {
public:
  Doctor(Session& session, const Job& job) : session_(session), job_(job), context_(session.context(job)) {}

  const std::vector<Check>& checks() const { return checks_; }

  // An error: it could not be connected to.
  Task<Result<void>> look() {
    CV_CO_TRY(std::unique_ptr<Source> source, make_source(context_, job_.source));
    const auto start = Clock::now();
    CV_CO_CHECK(co_await source->connect());
    note("connect and login", milliseconds_since(start));
    note_capabilities(source->capabilities());
    const auto listed_at = Clock::now();
    auto page = co_await first_page(*source);
    if (page) note("list the root", fmt::format("{} names, {}", page->size(), milliseconds_since(listed_at)));
    else fail("list the root", page.error());
    const auto asked_at = Clock::now();
    auto root = co_await source->stat("", true);
    if (root) note("round trip of a stat", milliseconds_since(asked_at));
    else fail("stat the root", root.error());
    if (page) co_await read_largest(*source, *page);
    co_await source->disconnect();
    co_return Result<void>();
  }

  // Publishes a small file under a name of its own, twice, as a sync would, and leaves it: a target has no remove.
  Task<Result<void>> probe_target() {
    CV_CO_TRY(std::unique_ptr<Target> target, make_target(context_, job_.target));
    CV_CO_CHECK(co_await target->connect());
    const TemporaryName temporary{random_plan_id(), 1, random_nonce(), 1};
    const std::string name = "checkvalve-doctor";
    for (const Replace replace : {Replace::atomic, Replace::if_absent}) {
      const std::string what = replace == Replace::atomic ? "publish over a name" : "refuse an existing name";
      const auto start = Clock::now();
      auto published = co_await publish(*target, name, temporary, replace);
      if (published) note(what, fmt::format("{} ({})", published->method, milliseconds_since(start)));
      else if (replace == Replace::if_absent && published.error().kind == ErrorKind::exists) note(what, "yes");
      else fail(what, published.error());
    }
    auto entry = co_await target->stat(name, false);
    if (!entry) fail("stat what was published", entry.error());
    else if (target->capabilities().keeps_mtime)
      check("mtime is kept", entry->mtime_ns == probe_mtime_ns, entry->mtime_ns ? format_time(*entry->mtime_ns / 1'000'000) : "none");
    note("left behind", name);
    co_await target->disconnect();
    co_return Result<void>();
  }

private:
  static constexpr std::int64_t probe_mtime_ns = 1'709'251'200'000'000'000; // 2024-03-01

  static std::string milliseconds_since(Clock::time_point start) {
    return fmt::format("{:.1f} ms", std::chrono::duration<double, std::milli>(Clock::now() - start).count());
  }
  void check(std::string name, bool ok, std::string value) { checks_.push_back({std::move(name), std::move(value), ok}); }
  void note(std::string name, std::string value) { check(std::move(name), true, std::move(value)); }
  void fail(std::string name, const Error& error) { check(std::move(name), false, error.text()); }

  void note_capabilities(const Capabilities& can) {
    auto yes = [](bool value) { return std::string(value ? "yes" : "no"); };
    note("replaces an existing name in one step", yes(can.atomic_replace));
    note("refuses an existing name in one step", yes(can.create_if_absent));
    note("keeps mtimes", can.keeps_mtime ? fmt::format("yes, to {}", precision(can.mtime_precision_ns)) : "no");
    note("keeps modes", yes(can.keeps_mode));
    note("survives power loss (fsync)", yes(can.durable));
    note("symbolic links", yes(can.symlinks));
    note("reads at any offset", yes(can.ranged_reads));
    note("size of a request", format_size(can.chunk_bytes));
    note("files in flight", format_count(can.files_in_flight));
    note("hashes of its own", can.hashes.empty() ? "none" : fmt::format("{}", fmt::join(can.hashes, ", ")));
  }
  static std::string precision(std::int64_t ns) {
    if (ns % 1'000'000'000 == 0) return fmt::format("{} s", ns / 1'000'000'000);
    return ns % 1'000'000 == 0 ? fmt::format("{} ms", ns / 1'000'000) : fmt::format("{} ns", ns);
  }

  Task<Result<std::vector<Entry>>> first_page(Source& source) {
    CV_CO_TRY(std::unique_ptr<Listing> listing, co_await source.list("", false));
    co_return co_await listing->next();
  }

  // Speed of reading, from the largest file at the root: up to 64 MiB, with a window of reads.
  Task<void> read_largest(Source& source, const std::vector<Entry>& page) {
    const Entry* largest = nullptr;
    for (const Entry& entry : page)
      if (entry.type == EntryType::file && (!largest || entry.size_bytes > largest->size_bytes)) largest = &entry;
    if (!largest || largest->size_bytes < 1 << 20) {
      note("throughput of reading", "not measured: no file of 1 MiB or more in the root");
      co_return;
    }
    const auto start = Clock::now();
    auto bytes = co_await read_file(source, *largest);
    if (!bytes) {
      fail("read " + escape_bytes(largest->path), bytes.error());
      co_return;
    }
    const double seconds = std::max(1e-6, std::chrono::duration<double>(Clock::now() - start).count());
    note("throughput of reading", fmt::format("{}/s ({} of {})", format_size(static_cast<std::uint64_t>(static_cast<double>(*bytes) / seconds)),
                                              format_size(*bytes), escape_bytes(largest->path)));
  }

  static constexpr std::uint64_t most_read_bytes = 64 << 20;

  Task<Result<std::uint64_t>> read_file(Source& source, const Entry& entry) {
    const std::uint64_t end = std::min(entry.size_bytes, most_read_bytes);
    const std::uint32_t chunk = source.capabilities().chunk_bytes;
    const std::size_t window = std::max<std::size_t>(1, source.capabilities().window_bytes / chunk);
    CV_CO_TRY(std::unique_ptr<Reader> reader, co_await source.open(entry));
    std::deque<Started<Result<Chunk>>> under_way;
    std::uint64_t asked = 0;
    std::uint64_t got = 0;
    std::optional<Error> error;
    while (asked < end || !under_way.empty()) {
      while (asked < end && under_way.size() < window) {
        const auto size = static_cast<std::uint32_t>(std::min<std::uint64_t>(chunk, end - asked));
        under_way.push_back(start(reader->read(asked, size)));
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

  Task<Result<Published>> publish(Target& target, const std::string& name, const TemporaryName& temporary, Replace replace) {
    constexpr std::string_view text = "written by checkvalve doctor --write; may be removed\n";
    CV_CO_TRY(std::unique_ptr<Upload> upload, co_await target.begin(name, {temporary, text.size()}));
    auto written = co_await upload->write(0, Chunk::copy_of(text));
    Result<Published> published = Failure(Error{});
    if (written) published = co_await upload->commit({.size_bytes = text.size(), .mtime_ns = probe_mtime_ns, .replace = replace});
    else published = Failure(written.error());
    if (!published) (void)co_await upload->abort();
    co_return published;
  }

  Session& session_;
  const Job& job_;
  BackendContext context_;
  std::vector<Check> checks_;
};

Json doctor_json(const std::string& url, const std::vector<Check>& checks, const std::optional<Error>& error) {
  bool ok = !error;
  Json list = Json::array();
  for (const Check& each : checks) {
    ok = ok && each.ok;
    list.push_back({{"name", printable(each.name)}, {"value", printable(each.value)}, {"ok", each.ok}});
  }
  return {{"version", 1},
          {"command", "doctor"},
          {"url", printable(url)},
          {"ok", ok},
          {"checks", std::move(list)},
          {"error", error ? error_json(*error) : Json(nullptr)}};
}

std::string doctor_text(const std::string& url, const std::vector<Check>& checks) {
  std::string out = printable(url) + "\n";
  for (const Check& each : checks)
    out += fmt::format("  {} {:<40} {}\n", each.ok ? "ok " : "BAD", printable(each.name), printable(each.value));
  return out;
}

Task<int> examine(Session& session, Job job, bool write) {
  Doctor doctor(session, job);
  auto outcome = co_await doctor.look();
  if (outcome && write) outcome = co_await doctor.probe_target();
  std::optional<Error> error;
  if (!outcome) error = outcome.error();
  const std::string url = job.source.display();
  const Json json = doctor_json(url, doctor.checks(), error);
  session.report(json, doctor_text(url, doctor.checks()), error);
  co_return error ? exit_code::of(*error) : json["ok"].get<bool>() ? exit_code::success : exit_code::incomplete;
}

int doctor_command(const CLI::App& app, const Arguments& arguments) {
  Session session("doctor", arguments.end.process);
  auto job = one_end_job(app, arguments.end);
  if (!job) {
    session.report(doctor_json(arguments.end.url, {}, job.error()), "", job.error());
    return exit_code::of(job.error());
  }
  return session.run(examine(session, std::move(*job), arguments.write));
}

} // namespace

void add_doctor_command(CLI::App& app, Action& chosen) {
  CLI::App* command = app.add_subcommand("doctor", "Connect and report what an endpoint can do; changes nothing without --write");
  auto arguments = std::make_shared<Arguments>();
  command->add_flag("--write", arguments->write, "publish a small file, checkvalve-doctor, as a sync would, and leave it there");
  add_one_end(*command, arguments->end);
  command->footer("Examples:\n"
                  "  checkvalve doctor sftp://me@source.example/data\n"
                  "  checkvalve doctor --write archive:\n");
  command->callback([=, &chosen] { chosen = [=] { return doctor_command(*command, *arguments); }; });
}

} // namespace checkvalve
