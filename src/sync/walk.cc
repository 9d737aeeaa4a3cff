#include "sync/walk.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <unordered_set>

#include "backends/set_aside.h"
#include "core/backoff.h"
#include "core/path.h"
#include "core/units.h"
#include "sync/target_names.h"

namespace checkvalve {
namespace {

constexpr std::size_t listings_in_flight = 32;
constexpr std::size_t stats_in_flight = 256;
constexpr std::size_t listing_memory_bytes = 256 << 10; // of each spool of a listing in flight
constexpr std::size_t max_orphans = 10'000;
constexpr std::int64_t event_interval_ms = 250;
constexpr std::size_t max_path_bytes = 4096; // of a directory, as Linux' PATH_MAX; a tree may be without end
constexpr std::size_t deepest_links =
    8; // directory links followed on one way down, where real_path does not detect loops

struct PendingDirectory {
  std::string path;
  bool at_target = true;            // the target has it, as far as is known
  bool at_source = true;            // false: only the target's side is to be listed
  std::string real;                 // its real_path(), with LinkPolicy::follow
  std::vector<std::string> entered; // the real paths of directories from which links led here
};

// Without the path, which is its record's key in a spool.
template <class Archive, class Self>
  requires std::same_as<std::remove_const_t<Self>, PendingDirectory>
void fields(Archive& archive, Self& directory) {
  archive(directory.path, directory.at_target, directory.at_source, directory.real, directory.entered);
}

// What one listing of a directory has given; of a listing that breaks off nothing counts. (Entries are kept as they
// come: the spools pass over those that come again.)
struct Found {
  RecordSpool<PendingDirectory> below{listing_memory_bytes};
  RecordSpool<FailureRecord> failures{listing_memory_bytes};
  std::vector<Orphan> orphans;
  std::uint64_t skipped_links = 0;
  std::uint64_t special_files = 0;
  std::uint64_t selected = 0;
  std::uint64_t filtered = 0;
  std::uint64_t too_recent = 0;
};

// Both as real_path() gives them.
bool is_within(std::string_view path, std::string_view directory) {
  return directory == "/" || path == directory || (path.starts_with(directory) && path[directory.size()] == '/');
}

class Walker {
public:
  Walker(Engine& engine, const Job& job, const Chain& chain, Connections& connections, Walk& walk)
      : engine_(engine), job_(job), chain_(chain), connections_(connections), walk_(walk), now_ms_(now_ms()) {
    walk_.rules_used.resize(job_.selection.rules.size());
    walk_.indexes_names = !connections_.target->capabilities().exact_names;
    walk_.lists_target = !job_.selection.files;
  }

  Task<Result<void>> directories() {
    PendingDirectory root;
    if (job_.links == LinkPolicy::follow && connections_.source->capabilities().symlinks) {
      CV_CO_TRY(root.real, co_await connections_.source->real_path(""));
    }
    later(root);
    TaskGroup group;
    while (true) {
      if (failed() || (pending_.empty() && group.running() == 0)) break;
      if (pending_.empty() || group.running() >= listings_in_flight) {
        co_await changed_.wait();
        continue;
      }
      PendingDirectory next;
      if (auto popped = pending_.pop(next); !popped) fail(std::move(popped.error()));
      if (failed()) break;
      group.spawn(one_directory(std::move(next)));
    }
    co_await group.join();
    co_return outcome();
  }

  Task<Result<void>> named_files(const std::vector<std::string>& paths) {
    Semaphore slots(stats_in_flight);
    TaskGroup group;
    for (const std::string& path : paths) {
      if (failed()) break;
      group.spawn(one_file(path, co_await slots.acquire()));
    }
    co_await group.join();
    co_return outcome();
  }

  // Where a side lists a whole subtree in one stream, it is one stream.
  Task<void> target_subtree() { co_await list_target("", true); }

private:
  bool failed() const { return fatal_ || engine_.cancellation.requested(); }
  Result<void> outcome() const {
    if (engine_.cancellation.requested()) return Failure(engine_.cancellation.reason());
    if (fatal_) return Failure(*fatal_);
    return {};
  }
  void fail(Error error) {
    if (!fatal_) fatal_ = std::move(error);
  }
  // Ends the walk if what it spools can't be kept.
  bool kept(Result<void> spooled) {
    if (!spooled) fail(std::move(spooled.error()));
    return spooled.has_value();
  }
  void note(const std::string& path, Error error) {
    kept(walk_.failures.add(path, {.path = {}, .error = std::move(error)}));
  }
  void note_in(Found& found, const std::string& path, Error error) {
    kept(found.failures.add(path, {.path = {}, .error = std::move(error)}));
  }
  void later(const PendingDirectory& directory) { kept(pending_.push(directory)); }

  template <class Record, class Sink> Result<void> drain(RecordSpool<Record>& spool, Sink sink) {
    CV_CHECK(spool.finish());
    std::string_view key;
    Record record;
    while (true) {
      CV_TRY(const bool more, spool.next(key, record));
      if (!more) return {};
      sink(std::string(key), record);
    }
  }

  void count(Found& found) {
    kept(drain(found.failures, [this](const std::string& path, FailureRecord& failure) { note(path, failure.error); }));
    for (Orphan& orphan : found.orphans)
      if (walk_.orphans.size() < max_orphans) walk_.orphans.push_back(std::move(orphan));
    walk_.skipped_links += found.skipped_links;
    walk_.special_files += found.special_files;
    walk_.files_selected += found.selected;
    walk_.files_filtered += found.filtered;
    walk_.files_too_recent += found.too_recent;
  }
  // After a listing broke off: waits until it may be begun once more. False: it may not. One that can't even be begun
  // has had its retries (decorators/retry.h).
  Task<bool> may_begin_again(const std::string& directory, const Error& error, std::uint32_t attempt) {
    if (failed() || !error.transient() || attempt > job_.retries) co_return false;
    const auto delay = Backoff().delay(attempt);
    engine_.events.emit(RetryEvent{directory, error, attempt + 1, delay.count()});
    co_return co_await engine_.cancellation.sleep(delay);
  }

  // After the last attempt at a listing that broke off each time.
  static Error given_up(Error error) {
    if (error.transient()) error.status = ErrorStatus::exhausted;
    return error;
  }

  Task<void> one_directory(PendingDirectory directory) {
    const bool whole = connections_.source->capabilities().recursive_list;
    const bool list_there = directory.at_target && !connections_.target->capabilities().recursive_list;
    std::optional<JoinHandle<bool>> target;
    if (list_there && !(whole && directory.at_source)) target.emplace(spawn(list_target(directory.path, false)));
    auto found = std::make_unique<Found>();
    if (directory.at_source) co_await list_source(directory, whole, found);
    bool target_has_it = directory.at_target;
    if (target) target_has_it = co_await target->get();
    kept(drain(found->below, [&](const std::string&, PendingDirectory& child) {
      child.at_target = target_has_it;
      later(child);
    }));
    changed_.notify();
  }

  // `found`: of the last attempt.
  Task<void> list_source(const PendingDirectory& directory, bool recursive, std::unique_ptr<Found>& found) {
    for (std::uint32_t attempt = 1;; ++attempt) {
      found = std::make_unique<Found>();
      auto listed = co_await list_source_once(directory, recursive, *found);
      if (!listed && co_await may_begin_again(directory.path, listed.error(), attempt)) continue;
      if (!listed) {
        // The root, and a lost endpoint, end the walk; a directory that vanished or can't be read fails alone.
        Error error = given_up(std::move(listed.error()));
        if (!directory.path.empty() && scope_of(error, ErrorScope::directory) < ErrorScope::endpoint)
          note(directory.path, std::move(error));
        else
          fail(std::move(error));
      }
      co_return count(*found);
    }
  }

  Task<Result<void>> list_source_once(const PendingDirectory& directory, bool recursive, Found& found) {
    CV_CO_TRY(const auto listing, co_await connections_.source->list(directory.path, recursive));
    while (!failed()) {
      auto page = co_await listing->next();
      for (Error& error : listing->take_refused()) {
        std::string name = unescape_bytes(error.path).value_or(error.path);
        note_in(found, name, std::move(error));
      }
      if (!page) co_return Failure(std::move(page.error()));
      if (page->empty()) break;
      source_entries_ += page->size();
      for (Entry& entry : *page) {
        if (recursive && !job_.selection.reaches(entry.path)) continue;
        if (recursive) list_target_of(entry.path);
        co_await take(directory, std::move(entry), found);
      }
      report_progress();
    }
    co_return Result<void>();
  }

  Task<void> take(const PendingDirectory& directory, Entry entry, Found& found) {
    if (is_own_name(base_name(entry.path))) co_return; // unfinished files of a sync into our source
    if (entry.type == EntryType::symlink) {
      if (job_.links == LinkPolicy::skip) {
        ++found.skipped_links;
      } else if (job_.links == LinkPolicy::copy) {
        select(entry, found);
      } else {
        co_await follow(directory, std::move(entry), found);
      }
    } else if (entry.type == EntryType::directory) {
      PendingDirectory child{.path = entry.path, .entered = directory.entered};
      if (job_.links == LinkPolicy::follow) child.real = join_path(directory.real, base_name(entry.path));
      enter(child, entry, found);
    } else if (entry.type == EntryType::file) {
      select(entry, found);
    } else {
      ++found.special_files;
    }
  }

  void select(const Entry& entry, Found& found) {
    const Decision decision = job_.selection.decide(entry, now_ms_);
    if (decision.rule) walk_.rules_used[static_cast<std::size_t>(decision.rule - job_.selection.rules.data())] = true;
    switch (decision.outcome) {
    case Selected::yes: ++found.selected; return keep(entry);
    case Selected::filtered: ++found.filtered; return;
    case Selected::too_recent: ++found.too_recent; return;
    }
  }

  void enter(const PendingDirectory& directory, const Entry& entry, Found& found) {
    if (!job_.selection.enters(entry.path)) return;
    if (entry.path.size() > max_path_bytes)
      return note(entry.path,
                  make_error(ErrorKind::invalid_name, "enter", escape_bytes(entry.path.substr(0, 100)) + "…",
                             "its path is longer than 4096 bytes: the tree may be endless"));
    if (job_.empty_directories && entry.type == EntryType::directory) keep(entry);
    if (!connections_.source->capabilities().recursive_list) kept(found.below.add(directory.path, directory));
  }

  // Takes what the link points to, under the link's name.
  Task<void> follow(const PendingDirectory& directory, Entry link, Found& found) {
    auto entry = co_await connections_.source->stat(link.path, true);
    if (!entry) {
      if (job_.selection.takes_name(link.path)) {
        entry.error().message += " (a symbolic link that leads nowhere)";
        note_in(found, link.path, entry.error());
      }
      co_return;
    }
    entry->path = link.path;
    if (entry->type == EntryType::file) {
      select(*entry, found);
    } else if (entry->type == EntryType::directory) {
      auto there = co_await connections_.source->real_path(link.path);
      if (!there) {
        note_in(found, link.path, there.error());
        co_return;
      }
      const auto leads_back = [&](const std::string& from) { return is_within(from, *there); };
      if (directory.entered.size() >= deepest_links || leads_back(directory.real) ||
          std::ranges::any_of(directory.entered, leads_back)) {
        note_in(found, link.path,
                make_error(ErrorKind::invalid_name, "follow", escape_bytes(link.path),
                           "a loop of symbolic links: exclude it, or choose --links copy or skip"));
        co_return;
      }
      PendingDirectory child{.path = link.path, .real = std::move(*there), .entered = directory.entered};
      child.entered.push_back(directory.real);
      enter(child, *entry, found);
    } else {
      ++found.special_files;
    }
  }

  // A source that lists everything in one stream lists no directories: those of its files are looked up at a target
  // that has directories as they come by.
  void list_target_of(std::string_view path) {
    if (connections_.target->capabilities().recursive_list) return;
    std::string parent(parent_path(path));
    if (!listed_at_target_.insert(parent).second) return;
    later({.path = std::move(parent), .at_source = false});
    changed_.notify();
  }

  void keep(const Entry& entry) { kept(keep_candidate(entry)); }

  Result<void> keep_candidate(const Entry& entry) {
    CV_CHECK(walk_.source.add(entry));
    if (!walk_.indexes_names) return {};
    return for_each_target_name(chain_, entry,
                                [&](const std::string& name) { return walk_.names.add_candidate(name); });
  }

  void keep_target(Entry& entry, std::vector<Orphan>& orphans) {
    ++target_entries_;
    if (const auto name = parse_temporary(base_name(entry.path))) {
      if (orphans.size() < max_orphans) orphans.push_back({entry.path, *name, entry.size_bytes, entry.mtime_ns});
    } else if (parse_set_aside(base_name(entry.path))) {
      if (walk_.set_aside.size() < max_orphans) walk_.set_aside.insert(entry.path);
    } else {
      kept(walk_.add_target(entry));
    }
  }

  // What is missing will be made.
  void note_unseen(Error error) {
    if (error.kind == ErrorKind::not_found || error.kind == ErrorKind::not_a_directory) return;
    ++walk_.unseen;
    if (!walk_.unseen_error) walk_.unseen_error = std::move(error);
  }

  // False if the target has no such directory.
  Task<bool> list_target(std::string path, bool recursive) {
    for (std::uint32_t attempt = 1;; ++attempt) {
      Found found;
      auto listed = co_await list_target_once(path, recursive, found);
      if (!listed && co_await may_begin_again(path, listed.error(), attempt)) continue;
      count(found);
      if (listed) co_return true;
      // A missing directory will be made; a file in its place, or an unreadable one, fails the files below when they
      // are published. Nothing is assumed to be up to date there.
      Error error = given_up(std::move(listed.error()));
      if (scope_of(error, ErrorScope::directory) >= ErrorScope::endpoint) {
        fail(std::move(error));
      } else {
        note_unseen(std::move(error));
      }
      co_return false;
    }
  }

  Task<Result<void>> list_target_once(const std::string& path, bool recursive, Found& found) {
    CV_CO_TRY(const auto listing, co_await connections_.target->list(path, recursive));
    while (!failed()) {
      CV_CO_TRY(std::vector<Entry> page, co_await listing->next());
      if (page.empty()) break;
      for (Entry& entry : page) keep_target(entry, found.orphans);
      report_progress();
    }
    co_return Result<void>();
  }

  Task<void> one_file(std::string path, Semaphore::Permit /*slot*/) {
    ++source_entries_;
    if (is_own_name(base_name(path))) {
      note(path,
           make_error(ErrorKind::invalid_name, "take", escape_bytes(path), "is a temporary name of checkvalve's own"));
      co_return;
    }
    const std::string name = chain_.renamed(path).value_or(path); // a bad name is refused by the comparison
    auto at_target = spawn(connections_.target->stat(name, false));
    auto entry = co_await connections_.source->stat(path, true);
    auto there = co_await at_target.get();
    if (!entry) {
      if (scope_of(entry.error()) >= ErrorScope::endpoint)
        fail(entry.error());
      else
        note(path, entry.error());
    } else if (entry->type != EntryType::file) {
      note(path,
           make_error(ErrorKind::is_a_directory, "take", escape_bytes(path), "the list names what is not a file"));
    } else {
      entry->path = path;
      Found found;
      select(*entry, found);
      count(found);
      if (there) {
        there->path = name;
        keep_target(*there, walk_.orphans);
      } else if (scope_of(there.error()) >= ErrorScope::endpoint) {
        fail(there.error());
      } else {
        note_unseen(std::move(there.error()));
      }
    }
    report_progress();
  }

  void report_progress() {
    const std::int64_t now = now_ms();
    if (now - reported_ms_ < event_interval_ms) return;
    reported_ms_ = now;
    engine_.events.emit(ListingEvent{source_entries_, target_entries_});
  }

  Engine& engine_;
  const Job& job_;
  const Chain& chain_;
  Connections& connections_;
  Walk& walk_;
  const std::int64_t now_ms_;
  RecordStack<PendingDirectory> pending_;            // the newest first: keeps it short in deep trees
  std::unordered_set<std::string> listed_at_target_; // only where the source lists in one stream
  AutoResetEvent changed_;
  std::optional<Error> fatal_;
  std::uint64_t source_entries_ = 0;
  std::uint64_t target_entries_ = 0;
  std::int64_t reported_ms_ = 0;
};

} // namespace

Task<Result<void>> walk_both(Engine& engine, const Job& job, const Chain& chain, Connections& connections, Walk& walk) {
  Walker walker(engine, job, chain, connections, walk);
  Result<void> outcome;
  if (job.selection.files) {
    outcome = co_await walker.named_files(*job.selection.files);
  } else {
    TaskGroup target;
    if (connections.target->capabilities().recursive_list) target.spawn(walker.target_subtree());
    outcome = co_await walker.directories();
    co_await target.join();
  }
  if (walk.unseen > 0) {
    const bool named = job.selection.files.has_value();
    const std::string what = walk.unseen == 1 ? fmt::format("this {}", named ? "file" : "directory")
                                              : fmt::format("{} {}", walk.unseen, named ? "files" : "directories");
    engine.events.emit(WarningEvent{
        fmt::format("{}; {} of the target could not be {}, so files there count as missing and are copied each time",
                    walk.unseen_error->text(), what, named ? "looked up" : "listed")});
  }
  co_return outcome;
}

Result<void> Walk::add_target(const Entry& entry) {
  CV_CHECK(target.add(entry));
  return indexes_names && lists_target ? names.add_listed(entry.path) : Result<void>();
}

Result<void> Walk::finish() {
  CV_CHECK(names.finish());
  CV_CHECK(source.finish());
  CV_CHECK(failures.finish());
  return target.finish();
}

} // namespace checkvalve
