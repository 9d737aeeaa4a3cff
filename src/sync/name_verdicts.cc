#include "sync/name_verdicts.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "core/async.h"
#include "core/path.h"
#include "sync/name_index.h"
#include "sync/name_probe.h"
#include "sync/target_names.h"
#include "sync/walk.h"

namespace checkvalve {
namespace {

constexpr std::size_t groups_in_flight = 32;
// Of names in one directory that fold to one. Where the target keeps so many apart, the rest are taken to be so, too.
constexpr std::size_t max_asked_in_group = 32;
constexpr std::size_t claims_memory_bytes = 1 << 20;

// One appearance of a name that is suspected.
struct Claim {
  std::string name;
  std::string owner; // the candidate's path: `name`, or what it is a side file of; empty: a directory's, or listed
  bool wanted = false;
  bool listed = false;
  bool directory = false;
};

template <class Archive, class Self>
  requires std::same_as<std::remove_const_t<Self>, Claim>
void fields(Archive& archive, Self& claim) {
  archive(claim.name, claim.owner, claim.wanted, claim.listed, claim.directory);
}

Error collision_error(const std::string& name, const NameClaim& holder) {
  const std::string other = escape_bytes(holder.name);
  const std::string message = holder.listed
                                  ? fmt::format("the target has '{}' and takes both names for one", other)
                                  : fmt::format("the target takes this name and '{}', which is copied, for one", other);
  return make_error(ErrorKind::invalid_name, "plan", escape_bytes(name), message)
      .with_code(ErrorCode::name_collision)
      .with_hint("rename one of the two, or skip this one with --exclude");
}

Error changed_error(const std::string& name) {
  return make_error(ErrorKind::invalid_name, "plan", escape_bytes(name),
                    "the target would store it under another name: it changes names that are not UTF-8")
      .with_code(ErrorCode::name_collision)
      .with_hint("rename it to UTF-8 at the source, or skip it with --exclude");
}

class Judgement {
public:
  Judgement(Engine& engine, const Chain& chain, Target& target, Walk& walk, bool may_write, NameVerdicts& verdicts)
      : engine_(engine), chain_(chain), target_(target), walk_(walk), probe_(engine, target, may_write),
        verdicts_(verdicts) {}

  Task<Result<void>> run() {
    CV_CO_CHECK(collect_candidates());
    if (walk_.lists_target) CV_CO_CHECK(collect_listed());
    CV_CO_CHECK(claims_.finish());
    CV_CO_CHECK(co_await judge_groups());
    if (unknown_ != 0)
      engine_.events.emit(WarningEvent{
          fmt::format("it could not be found out whether the target keeps {}{}: if it does not, files are published "
                      "under other names, or replace each other",
                      unknown_example_, unknown_ == 1 ? "" : fmt::format(", and {} other names", unknown_ - 1))});
    co_return verdicts_.finish();
  }

private:
  Result<void> claim(Claim made) {
    if (!walk_.names.is_suspect(made.name)) return {};
    const std::string key = join_path(parent_path(made.name), folded_name(base_name(made.name)));
    return claims_.add(key, made);
  }

  Result<void> collect_candidates() {
    std::string last;
    CV_CHECK(walk_.source.advance());
    while (const Entry* entry = walk_.source.present()) {
      std::string own; // the entry's name, which its side files follow
      CV_CHECK(for_each_target_name(chain_, *entry, [&](const std::string& name) -> Result<void> {
        const bool first = own.empty();
        if (first) own = name;
        CV_CHECK(claim({.name = name, .owner = own, .wanted = true, .directory = entry->type == EntryType::directory}));
        return first ? claim_directories(name, last) : Result<void>();
      }));
      CV_CHECK(walk_.source.advance());
    }
    return walk_.source.rewind();
  }

  // Those above a candidate, as far as the last one was not in them.
  Result<void> claim_directories(std::string_view name, std::string& last) {
    const std::string_view parent = parent_path(name);
    if (parent == last) return {};
    for (std::string_view each = parent; !each.empty() && !is_within(last, each); each = parent_path(each))
      CV_CHECK(claim({.name = std::string(each), .owner = {}, .wanted = true, .directory = true}));
    last = parent;
    return {};
  }

  static bool is_within(std::string_view path, std::string_view directory) {
    return path.starts_with(directory) && (path.size() == directory.size() || path[directory.size()] == '/');
  }

  Result<void> collect_listed() {
    CV_CHECK(walk_.target.advance());
    while (const Entry* entry = walk_.target.present()) {
      const bool directory = entry->type == EntryType::directory;
      CV_CHECK(claim({.name = entry->path, .owner = {}, .listed = true, .directory = directory}));
      CV_CHECK(walk_.target.advance());
    }
    return walk_.target.rewind();
  }

  Task<Result<void>> judge_groups() {
    Semaphore slots(groups_in_flight, LockRank::admission);
    TaskGroup groups;
    Result<void> read;
    std::string group_key;
    std::vector<Claim> group;
    while (!fatal_ && !engine_.cancellation.requested()) {
      std::string_view key;
      Claim next;
      auto more = claims_.next(key, next);
      if (!more) read = Failure(std::move(more.error()));
      const bool ended = !more || !*more;
      if (!group.empty() && (ended || key != group_key))
        groups.spawn(judge_group(std::exchange(group, {}), co_await slots.acquire()));
      if (ended) break;
      group_key = key;
      group.push_back(std::move(next));
    }
    co_await groups.join();
    if (engine_.cancellation.requested()) co_return Failure(engine_.cancellation.reason());
    if (fatal_) co_return Failure(*fatal_);
    co_return read;
  }

  Task<void> judge_group(std::vector<Claim> claims, Semaphore::Permit slot) {
    slot.adopt();
    if (auto judged = co_await judge(std::move(claims)); !judged && !fatal_) fatal_ = std::move(judged.error());
  }

  // Of names in one directory that fold to one.
  Task<Result<void>> judge(std::vector<Claim> claims) {
    std::ranges::sort(claims, {}, &Claim::name);
    std::vector<NameClaim> names;
    for (const Claim& each : claims) {
      if (names.empty() || names.back().name != each.name)
        names.push_back({.name = each.name, .directory = true, .stored = names.size()});
      names.back().wanted |= each.wanted;
      names.back().listed |= each.listed;
      names.back().directory &= each.directory;
    }
    std::vector<std::optional<Entry>> found(names.size()); // under names that are wanted and not listed
    std::vector<std::optional<Error>> refused(names.size());
    CV_CO_CHECK(co_await find_changed(names, refused));
    CV_CO_CHECK(co_await compare_with_listed(names, found));
    CV_CO_CHECK(co_await compare_new(names, refused));

    const std::vector<std::size_t> holders = name_holders(names);
    std::vector<std::optional<Entry>> same(names.size());
    for (std::size_t i = 0; i < names.size(); ++i) {
      if (!names[i].wanted || refused[i]) continue;
      if (holders[i] != i) {
        refused[i] = collision_error(names[i].name, names[holders[i]]);
      } else if (found[i]) {
        same[i] = found[i];
        CV_CO_CHECK(verdicts_.add({.path = names[names[i].stored].name}));
      }
    }
    for (const Claim& each : claims) {
      const auto name = std::ranges::lower_bound(names, each.name, {}, &NameClaim::name) - names.begin();
      const auto i = static_cast<std::size_t>(name);
      if (each.wanted && (refused[i] || (same[i] && each.owner == each.name)))
        CV_CO_CHECK(verdicts_.add(
            {.path = each.owner.empty() ? each.name : each.owner, .refused = refused[i], .at_target = same[i]}));
    }
    co_return Result<void>();
  }

  Task<Result<void>> find_changed(const std::vector<NameClaim>& names, std::vector<std::optional<Error>>& refused) {
    if (walk_.names.lists_other_bytes()) co_return Result<void>();
    for (std::size_t i = 0; i < names.size(); ++i) {
      const NameClaim& each = names[i];
      if (!each.wanted || each.listed || is_valid_utf8(base_name(each.name))) continue;
      CV_CO_TRY(const auto changed, co_await probe_.changes_bytes(std::string(parent_path(each.name))));
      if (!changed)
        unknown(fmt::format("names that are not UTF-8, such as '{}'", escape_bytes(each.name)));
      else if (*changed)
        refused[i] = changed_error(each.name);
    }
    co_return Result<void>();
  }

  // A name that the target did not list, but answers to, is another's.
  Task<Result<void>> compare_with_listed(std::vector<NameClaim>& names, std::vector<std::optional<Entry>>& found) {
    std::size_t twin = names.size();
    for (std::size_t i = 0; i < names.size(); ++i)
      if (names[i].listed && (twin == names.size() || !names[i].wanted)) twin = i;
    if (twin == names.size()) co_return Result<void>();
    for (std::size_t i = 0; i < names.size(); ++i) {
      NameClaim& each = names[i];
      if (!each.wanted || each.listed) continue;
      const std::size_t other = best_twin(names, i, twin);
      const std::string directory(parent_path(each.name));
      auto entry = co_await target_.stat(each.name, false);
      std::optional<bool> one;
      if (entry || entry.error().kind == ErrorKind::not_found) {
        one = entry.has_value();
        probe_.learn(directory, base_name(names[other].name), base_name(each.name), *one);
      } else if (scope_of(entry.error()) >= ErrorScope::endpoint) {
        co_return Failure(std::move(entry.error()));
      } else {
        CV_CO_TRY(one, co_await are_one(names[other], each));
      }
      if (!one || !*one) continue;
      each.stored = names[other].stored;
      if (entry) found[i] = std::move(*entry);
    }
    co_return Result<void>();
  }

  // The listed name that is most like this one.
  static std::size_t best_twin(const std::vector<NameClaim>& names, std::size_t of, std::size_t otherwise) {
    for (std::size_t i = 0; i < names.size(); ++i)
      if (names[i].listed && same_unicode_form(names[i].name, names[of].name)) return i;
    return otherwise;
  }

  // Names that are neither listed nor answered to.
  Task<Result<void>> compare_new(std::vector<NameClaim>& names, const std::vector<std::optional<Error>>& refused) {
    std::vector<std::size_t> apart;
    for (std::size_t i = 0; i < names.size(); ++i) {
      NameClaim& each = names[i];
      if (!each.wanted || each.listed || each.stored != i || refused[i]) continue;
      if (apart.size() >= max_asked_in_group) continue;
      for (const std::size_t other : apart) {
        CV_CO_TRY(const auto one, co_await are_one(names[other], each));
        if (!one || !*one) continue;
        each.stored = names[other].stored;
        break;
      }
      if (each.stored == i) apart.push_back(i);
    }
    co_return Result<void>();
  }

  Task<Result<std::optional<bool>>> are_one(const NameClaim& a, const NameClaim& b) {
    CV_CO_TRY(const auto one, co_await probe_.are_one(std::string(parent_path(a.name)), std::string(base_name(a.name)),
                                                      std::string(base_name(b.name))));
    if (!one) unknown(fmt::format("'{}' and '{}' apart", escape_bytes(a.name), escape_bytes(b.name)));
    co_return one;
  }

  void unknown(std::string example) {
    if (unknown_++ == 0) unknown_example_ = std::move(example);
  }

  Engine& engine_;
  const Chain& chain_;
  Target& target_;
  Walk& walk_;
  NameProbe probe_;
  RecordSpool<Claim> claims_{claims_memory_bytes}; // by directory and folded name
  NameVerdicts& verdicts_;
  std::optional<Error> fatal_;
  std::uint64_t unknown_ = 0;
  std::string unknown_example_;
};

} // namespace

std::vector<std::size_t> name_holders(std::span<const NameClaim> names) {
  std::map<std::size_t, std::size_t> holders; // by NameClaim::stored
  const auto takes_place = [](const NameClaim& wanted, const NameClaim& listed) {
    return (wanted.directory && listed.directory) || same_unicode_form(wanted.name, listed.name);
  };
  for (std::size_t i = 0; i < names.size(); ++i)
    if (names[i].listed) holders.emplace(names[i].stored, i);
  for (std::size_t i = 0; i < names.size(); ++i) {
    const auto [holder, is_new] = holders.emplace(names[i].stored, i);
    const NameClaim& has = names[holder->second];
    if (!is_new && !has.wanted && names[i].wanted && takes_place(names[i], has)) holder->second = i;
  }
  std::vector<std::size_t> out;
  for (const NameClaim& each : names) out.push_back(holders.at(each.stored));
  return out;
}

Result<void> NameVerdicts::finish() {
  CV_CHECK(spool_.finish());
  return read_ahead();
}

Result<void> NameVerdicts::read_ahead() {
  std::string_view path;
  NameVerdict next;
  CV_TRY(const bool more, spool_.next(path, next));
  ahead_.reset();
  if (!more) return {};
  next.path = path;
  if (next.at_target) next.at_target->path = path;
  ahead_ = std::move(next);
  return {};
}

Result<const NameVerdict*> NameVerdicts::find(std::string_view path) {
  while (!present_.empty() && !path.starts_with(present_.back().path)) present_.pop_back();
  while (ahead_ && ahead_->path <= path) {
    if (path.starts_with(ahead_->path)) present_.push_back(std::move(*ahead_));
    CV_CHECK(read_ahead());
  }
  const NameVerdict* found = nullptr;
  for (const NameVerdict& each : present_) {
    const bool same = each.path == path;
    if (each.refused && (same || path[each.path.size()] == '/')) return &each;
    if (same) found = &each;
  }
  return found;
}

Task<Result<void>> judge_names(Engine& engine, const Chain& chain, Target& target, Walk& walk, bool may_write,
                               NameVerdicts& verdicts) {
  if (!walk.names.any_suspects()) co_return Result<void>();
  Judgement judgement(engine, chain, target, walk, may_write, verdicts);
  co_return co_await judgement.run();
}

} // namespace checkvalve
