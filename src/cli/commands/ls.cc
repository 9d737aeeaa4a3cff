// checkvalve ls: lists an endpoint.
#include <fmt/format.h>

#include <algorithm>
#include <iostream>
#include <memory>

#include "cli/commands/commands.h"
#include "cli/commands/one_end.h"
#include "cli/exit_code.h"
#include "cli/printable.h"
#include "core/path.h"
#include "core/units.h"
#include "sync/cancel_watch.h"

namespace checkvalve {
namespace {

struct Arguments {
  OneEndArguments end;
  bool recursive = false;
};

std::string_view word(EntryType type) {
  switch (type) {
  case EntryType::file: return "file";
  case EntryType::directory: return "directory";
  case EntryType::symlink: return "symlink";
  case EntryType::other: return "other";
  }
  return "";
}

Json entry_json(const Entry& entry) {
  return {{"path", escape_bytes(entry.path)},
          {"type", word(entry.type)},
          {"size_bytes", entry.size_bytes},
          {"modified", entry.mtime_ns ? Json(format_time(*entry.mtime_ns / 1'000'000)) : Json(nullptr)},
          {"mode", entry.mode ? Json(fmt::format("{:04o}", *entry.mode)) : Json(nullptr)}};
}

std::string mode_text(const Entry& entry) {
  std::string out = entry.type == EntryType::directory ? "d" : entry.type == EntryType::symlink ? "l" : "-";
  if (!entry.mode) return out + "?????????";
  for (int shift = 6; shift >= 0; shift -= 3) {
    const auto bits = *entry.mode >> shift & 7;
    out += bits & 4 ? 'r' : '-';
    out += bits & 2 ? 'w' : '-';
    out += bits & 1 ? 'x' : '-';
  }
  return out;
}

std::string entry_line(const Entry& entry) {
  return fmt::format("{}  {:>15}  {}  {}{}\n", mode_text(entry), format_count(entry.size_bytes),
                     entry.mtime_ns ? format_time(*entry.mtime_ns / 1'000'000) : "                   -",
                     escape_bytes(entry.path), entry.type == EntryType::directory ? "/" : "");
}

// Entries of one directory, by name. Those of a recursive listing come in one stream.
Task<Result<std::vector<Entry>>> read_directory(Source& source, const std::string& directory, bool recursive,
                                                Session& session) {
  CV_CO_TRY(std::unique_ptr<Listing> listing, co_await source.list(directory, recursive));
  std::vector<Entry> entries;
  for (;;) {
    if (session.cancellation().requested()) co_return Failure(session.cancellation().reason());
    CV_CO_TRY(std::vector<Entry> page, co_await listing->next());
    for (const Error& refused : listing->take_refused()) session.print_error(error_text(refused));
    if (page.empty()) break;
    entries.insert(entries.end(), std::make_move_iterator(page.begin()), std::make_move_iterator(page.end()));
  }
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) { return a.path < b.path; });
  co_return entries;
}

Task<Result<void>> list_all(Source& source, Session& session, bool recursive) {
  CV_CO_CHECK(co_await source.connect());
  const bool in_one = recursive && source.capabilities().recursive_list;
  std::vector<std::string> directories = {""}; // still to be listed, the next one last
  while (!directories.empty() && std::cout) {  // a closed pipe ends it
    const std::string directory = std::move(directories.back());
    directories.pop_back();
    CV_CO_TRY(const std::vector<Entry> entries, co_await read_directory(source, directory, in_one, session));
    for (const Entry& entry : entries)
      std::cout << (session.json() ? to_line(entry_json(entry)) + "\n" : entry_line(entry));
    if (!recursive || in_one) continue;
    for (auto entry = entries.rbegin(); entry != entries.rend(); ++entry)
      if (entry->type == EntryType::directory) directories.push_back(entry->path);
  }
  std::cout << std::flush;
  co_return Result<void>();
}

Task<int> list_and_report(Session& session, Job job, bool recursive) {
  BackendContext context = session.context(job);
  auto source = make_source(context, job.source);
  if (!source) co_return session.fail(source.error());
  Connections connections{std::move(*source), nullptr, nullptr};
  CancelWatch watch(context.loop, session.cancellation(), connections, std::chrono::milliseconds(0));
  watch.start();
  auto listed = co_await list_all(*connections.source, session, recursive);
  co_await watch.finish();
  co_await close_connections(connections);
  if (listed) co_return exit_code::success;
  co_return session.fail(session.cancellation().requested() ? session.cancellation().reason() : listed.error());
}

int ls_command(const Command& command, const Arguments& arguments) {
  Session session("ls", arguments.end.process);
  auto job = one_end_job(command, arguments.end);
  if (!job) return session.fail(job.error());
  return session.run(list_and_report(session, std::move(*job), arguments.recursive));
}

} // namespace

void add_ls_command(CommandLine& line) {
  Command& command = line.add("ls", "List an endpoint");
  auto arguments = std::make_shared<Arguments>();
  command.flag({.names = "-R,--recursive", .help = "list subdirectories recursively"}, arguments->recursive);
  add_one_end(command, arguments->end);
  command.examples({"checkvalve ls sftp://me@source.example/data", "checkvalve ls -R --json prod:2024-03-01"});
  command.action([&command, arguments] { return ls_command(command, *arguments); });
}

} // namespace checkvalve
