#include "backends/orphans.h"

#include "core/async.h"
#include "core/backoff.h"
#include "core/path.h"

namespace checkvalve {
namespace {

constexpr std::size_t listings_in_flight = 32;
constexpr std::uint32_t max_tries = 3; // of a directory whose listing breaks off; the decorators retry list() itself

class Search {
public:
  Search(Target& target, std::size_t limit, CancellationToken token, std::function<bool(const Orphan&)> wanted)
      : target_(target), recursive_(target.capabilities().recursive_list), limit_(limit), token_(token),
        wanted_(std::move(wanted)) {}

  Task<Result<OrphanSearch>> run(std::string directory) {
    root_ = directory;
    ahead_.push_back(std::move(directory));
    while (!ended() && (!ahead_.empty() || listings_.running() != 0)) {
      if (ahead_.empty() || listings_.running() >= listings_in_flight) {
        co_await changed_.wait();
        continue;
      }
      std::string next = std::move(ahead_.back());
      ahead_.pop_back();
      listings_.spawn(search(std::move(next)));
    }
    co_await listings_.join();
    if (fatal_) co_return Failure(*fatal_);
    out_.limited = out_.found.size() >= limit_;
    co_return std::move(out_);
  }

private:
  bool ended() const { return fatal_ || out_.found.size() >= limit_ || token_.requested(); }

  struct Page {
    std::vector<Orphan> found;
    std::vector<std::string> below;
  };

  Task<void> search(std::string directory) {
    Result<void> listed;
    for (std::uint32_t tries = 1;; ++tries) {
      Page page;
      listed = co_await list(directory, page);
      if (!listed && listed.error().transient() && tries < max_tries && !ended() &&
          co_await Loop::current()->sleep(Backoff().delay(tries), token_))
        continue;
      std::move(page.found.begin(), page.found.end(), std::back_inserter(out_.found));
      std::move(page.below.begin(), page.below.end(), std::back_inserter(ahead_));
      break;
    }
    if (out_.found.size() > limit_)
      out_.found.erase(out_.found.begin() + static_cast<std::ptrdiff_t>(limit_), out_.found.end());
    if (!listed && listed.error().transient()) listed.error().status = ErrorStatus::exhausted;
    if (!listed && listed.error().kind != ErrorKind::not_found) {
      if (scope_of(listed.error(), ErrorScope::directory) >= ErrorScope::endpoint || directory == root_)
        fatal_ = std::move(listed.error());
      else if (out_.unreadable.size() < limit_)
        out_.unreadable.push_back(std::move(listed.error()));
    }
    changed_.notify();
  }

  Task<Result<void>> list(const std::string& directory, Page& into) {
    CV_CO_TRY(const std::unique_ptr<Listing> listing, co_await target_.list(directory, recursive_));
    while (!ended()) {
      CV_CO_TRY(std::vector<Entry> page, co_await listing->next());
      if (page.empty()) break;
      for (Entry& entry : page) take(std::move(entry), into);
    }
    co_return Result<void>();
  }

  void take(Entry entry, Page& into) const {
    if (entry.type == EntryType::directory) {
      if (!recursive_) into.below.push_back(std::move(entry.path));
      return;
    }
    const auto name = parse_temporary(base_name(entry.path));
    if (!name || entry.type == EntryType::other || into.found.size() >= limit_) return;
    Orphan orphan{std::move(entry.path), *name, entry.size_bytes, entry.mtime_ns};
    if (!wanted_ || wanted_(orphan)) into.found.push_back(std::move(orphan));
  }

  Target& target_;
  const bool recursive_;
  std::string root_; // of the search
  const std::size_t limit_;
  const CancellationToken token_;
  const std::function<bool(const Orphan&)> wanted_;
  std::vector<std::string> ahead_; // the newest first: keeps the list short in deep trees
  OrphanSearch out_;
  std::optional<Error> fatal_;
  AutoResetEvent changed_;
  TaskGroup listings_;
};

} // namespace

Task<Result<OrphanSearch>> find_orphans(Target& target, std::string directory, std::size_t limit,
                                        CancellationToken token, std::function<bool(const Orphan&)> wanted) {
  Search search(target, limit, token, std::move(wanted));
  co_return co_await search.run(std::move(directory));
}

Result<void> check_orphan(const Orphan& orphan) {
  CV_CHECK(check_tree_path(orphan.path));
  if (parse_temporary(base_name(orphan.path)) == orphan.name) return {};
  return Failure(make_error(ErrorKind::invalid_name, "not the name of a temporary of checkvalve: not removed"));
}

} // namespace checkvalve
