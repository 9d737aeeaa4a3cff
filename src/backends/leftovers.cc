#include "backends/leftovers.h"

#include "core/path.h"

namespace checkvalve {

Task<Result<std::vector<Leftover>>> find_leftovers(Target& target, std::string directory, std::size_t limit) {
  std::vector<Leftover> found;
  std::vector<std::string> ahead{std::move(directory)};
  while (!ahead.empty()) {
    const std::string here = std::move(ahead.back());
    ahead.pop_back();
    auto listing = co_await target.list(here, false);
    if (!listing && listing.error().kind == ErrorKind::not_found) continue;
    if (!listing) co_return Failure(std::move(listing.error()));
    for (;;) {
      CV_CO_TRY(std::vector<Entry> page, co_await (*listing)->next());
      if (page.empty()) break;
      for (Entry& entry : page) {
        if (entry.type == EntryType::directory) {
          ahead.push_back(std::move(entry.path));
          continue;
        }
        const auto name = parse_temporary(base_name(entry.path));
        if (!name || entry.type == EntryType::other) continue;
        if (found.size() == limit) co_return found;
        found.push_back({std::move(entry.path), *name, entry.size_bytes, entry.mtime_ns, ""});
      }
    }
  }
  co_return found;
}

Result<void> check_leftover(const Leftover& leftover) {
  CV_CHECK(check_tree_path(leftover.path));
  if (parse_temporary(base_name(leftover.path)) == leftover.name) return {};
  return Failure(make_error(ErrorKind::invalid_name, "remove leftover", escape_bytes(leftover.path),
                            "is no name of a temporary of ours, so it is left alone"));
}

} // namespace checkvalve
