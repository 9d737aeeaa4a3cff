#include "sync/name_probe.h"

#include <fmt/format.h>

#include <algorithm>

#include "backends/temporary.h"
#include "core/path.h"

namespace checkvalve {
namespace {

constexpr std::size_t max_name_bytes = 180; // that a probe has room for
constexpr std::size_t max_remembered = 10'000;

char lower(char letter) { return letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter | 0x20) : letter; }

bool differ_in_ascii_case(std::string_view a, std::string_view b) { return std::ranges::equal(a, b, {}, lower, lower); }

} // namespace

// One question stands for all names that differ in the case of ASCII letters. Others are asked for as they are: file
// systems have different tables of what folds. Names that are too long for that are taken to be treated as ASCII is.
NameProbe::Question NameProbe::question_of(std::string_view name, std::string_view other) {
  if (differ_in_ascii_case(name, other) || std::max(name.size(), other.size()) > max_name_bytes)
    return {"Name", "name"};
  return {std::string(name), std::string(other)};
}

Task<Result<std::optional<bool>>> NameProbe::are_one(std::string directory, std::string name, std::string other) {
  co_return co_await ask(std::move(directory), question_of(name, other));
}

// A server that decodes names as UTF-8 makes the same of any two bytes that are not.
Task<Result<std::optional<bool>>> NameProbe::changes_bytes(std::string directory) {
  co_return co_await ask(std::move(directory), {"\xff", "\xfe"});
}

void NameProbe::learn(const std::string& directory, std::string_view name, std::string_view other, bool one) {
  const Question question = question_of(name, other);
  last_[question.key()] = one;
  if (asked_.size() >= max_remembered) return;
  auto& asked = asked_[directory + '\0' + question.key()];
  if (asked) return;
  asked = std::make_shared<Asked>();
  asked->answer = std::optional<bool>(one);
  asked->answered.set();
}

Task<Result<std::optional<bool>>> NameProbe::ask(std::string directory, Question question) {
  const std::string key = directory + '\0' + question.key();
  if (const auto before = asked_.find(key); before != asked_.end()) {
    const auto asked = before->second;
    co_await asked->answered;
    co_return asked->answer;
  }
  if (!may_write_) co_return std::nullopt;
  if (tries_ >= max_tries) {
    const auto last = last_.find(question.key());
    if (last == last_.end()) co_return std::nullopt;
    if (!std::exchange(warned_, true))
      engine_.events.emit(WarningEvent{
          fmt::format("names that differ only in case, Unicode form or bytes that are not UTF-8 are in more than {} "
                      "directories: the target is taken to treat those in '{}' and others as it did before",
                      max_tries, escape_bytes(directory))});
    co_return last->second;
  }
  ++tries_;
  const auto asked = asked_[key] = std::make_shared<Asked>();
  asked->answer = co_await try_out(std::move(directory), question);
  if (asked->answer && *asked->answer) last_[question.key()] = **asked->answer;
  asked->answered.set();
  co_return asked->answer;
}

Task<Result<std::optional<bool>>> NameProbe::try_out(std::string directory, Question question) {
  const TemporaryName waiting{random_plan_id(), 1, random_nonce(), 0};
  TemporaryName probe = waiting;
  TemporaryName other = waiting;
  probe.probe = question.name;
  other.probe = question.other;
  const std::string path = join_path(directory, probe.text());
  auto upload = co_await target_.begin(path, {.temporary = waiting, .size_bytes = 0});
  if (!upload && upload.error().kind == ErrorKind::not_found && !directory.empty())
    co_return co_await ask(std::string(parent_path(directory)), std::move(question));
  if (!upload && scope_of(upload.error()) >= ErrorScope::endpoint) co_return Failure(std::move(upload.error()));
  if (!upload) co_return std::nullopt;
  auto published = co_await (*upload)->write_and_commit(Chunk(), {.size_bytes = 0, .durable = false});
  Result<std::optional<bool>> answer = std::optional<bool>();
  if (published)
    answer = co_await look_at(path, join_path(directory, other.text()));
  else
    (void)co_await (*upload)->abort();
  // Also where publishing failed: the name may be there all the same.
  if (auto removed = co_await target_.remove_orphan({.path = path, .name = probe}); !removed)
    engine_.events.emit(WarningEvent{"a temporary that showed what the target makes of names could not be removed: " +
                                     removed.error().text()});
  co_return answer;
}

// The name must be there, so that it means something if the other one is not.
Task<Result<std::optional<bool>>> NameProbe::look_at(std::string path, std::string other) {
  const auto here = co_await target_.stat(std::move(path), false);
  const auto there = co_await target_.stat(std::move(other), false);
  for (const auto* each : {&here, &there})
    if (!*each && scope_of(each->error()) >= ErrorScope::endpoint) co_return Failure(each->error());
  if (here && there) co_return true;
  if (here && there.error().kind == ErrorKind::not_found) co_return false;
  co_return std::nullopt;
}

} // namespace checkvalve
