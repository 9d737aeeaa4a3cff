// The table of the one comparison: each row is a sentence.
#include "sync/up_to_date.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

namespace checkvalve {
namespace {

constexpr std::int64_t second = 1'000'000'000;
constexpr std::int64_t max_sftp_ns = 4'294'967'295 * second;

using Kind = Verdict::Kind;
using Record = PublishedVersion::Record;

struct Case {
  std::string sentence;
  Entry source = {.path = "f", .size_bytes = 5, .mtime_ns = 100 * second};
  std::optional<Entry> target = source;
  PublishedVersion history = {};
  CompareRules rules = {.precision_ns = second};
  Verdict expected = {};
};

Entry file(std::uint64_t size, std::optional<std::int64_t> mtime_ns, std::string etag = "") {
  return {.path = "f", .size_bytes = size, .mtime_ns = mtime_ns, .etag = std::move(etag)};
}
Entry of_type(EntryType type) { return {.path = "f", .type = type, .size_bytes = 5, .mtime_ns = 100 * second}; }
PublishedVersion published(std::uint64_t bytes, std::string etag = "") {
  return {.record = Record::this_version, .bytes = bytes, .etag = std::move(etag)};
}
PublishedVersion recorded(Record record, std::uint64_t bytes = 5) { return {.record = record, .bytes = bytes}; }

CompareRules by_history() { return {.by_history = true, .precision_ns = second}; }
CompareRules through_transforms() { return {.by_history = true, .transformed = true, .precision_ns = second}; }
CompareRules at_precision(std::int64_t precision_ns) { return {.precision_ns = precision_ns}; }
CompareRules with_checksum() { return {.checksum = true, .precision_ns = second}; }
CompareRules on_sftp() { return {.precision_ns = second, .min_mtime_ns = 0, .max_mtime_ns = max_sftp_ns}; }
CompareRules on(OnConflict answer, CompareRules rules = {.precision_ns = second}) {
  rules.on_conflict = answer;
  return rules;
}
CompareRules without_replace(CompareRules rules = {.precision_ns = second}) {
  rules.can_replace = false;
  return rules;
}
CompareRules with_readback(CompareRules rules = {.precision_ns = second}) {
  rules.readback = true;
  return rules;
}

constexpr Verdict up_to_date{};
constexpr Verdict needs_content{Kind::needs_content, Reason::none};
constexpr Verdict changed(Reason reason) { return {Kind::changed, reason}; }
constexpr Verdict conflict(Reason reason) { return {Kind::conflict, reason}; }
constexpr Verdict refused(Reason reason) { return {Kind::refused, reason}; }

const Entry here = file(5, 100 * second);
const Entry newer = file(5, 101 * second);
const Entry longer = file(6, 100 * second);
const Entry directory = of_type(EntryType::directory);
const Entry symlink_entry = of_type(EntryType::symlink);
const Entry device = of_type(EntryType::other);

// clang-format off
const std::vector<Case> cases = {
    // What is there at all
    {"a file that the target has not is missing", here, {}, {}, at_precision(1), changed(Reason::missing)},
    {"a directory that the target has not is missing", directory, {}, {}, at_precision(1), changed(Reason::missing)},
    {"a link that the target has not is missing", symlink_entry, {}, {}, at_precision(1), changed(Reason::missing)},
    {"a file that vanished from the target is missing whatever the history says",
     here, {}, published(5), by_history(), changed(Reason::missing)},
    {"what is missing is not a conflict under --on-conflict skip", here, {}, {}, on(OnConflict::skip), changed(Reason::missing)},
    {"what is missing is not a conflict under --on-conflict fail", here, {}, {}, on(OnConflict::fail), changed(Reason::missing)},
    {"what is missing needs no replacing", here, {}, {}, without_replace(), changed(Reason::missing)},

    // Types
    {"a directory is up to date whatever its times", directory, of_type(EntryType::directory), {}, at_precision(1), up_to_date},
    {"a directory cannot take the place of a file", directory, here, {}, at_precision(1), refused(Reason::type)},
    {"a directory cannot take the place of a link", directory, symlink_entry, {}, at_precision(1), refused(Reason::type)},
    {"a file cannot take the place of a directory", here, directory, {}, at_precision(1), refused(Reason::type)},
    {"a link cannot take the place of a directory", symlink_entry, directory, {}, at_precision(1), refused(Reason::type)},
    {"a directory in the way is refused under --on-conflict skip, too",
     here, directory, {}, on(OnConflict::skip), refused(Reason::type)},
    {"a file replaces a link", here, symlink_entry, {}, at_precision(1), changed(Reason::type)},
    {"a link replaces a file", symlink_entry, here, {}, at_precision(1), changed(Reason::type)},
    {"a file replaces a device", here, device, {}, at_precision(1), changed(Reason::type)},
    {"a link in the way is a conflict under --on-conflict fail",
     here, symlink_entry, {}, on(OnConflict::fail), conflict(Reason::type)},
    {"a link in the way is refused without a way to replace it", here, symlink_entry, {}, without_replace(), refused(Reason::type)},
    {"two links are compared by what they say", symlink_entry, symlink_entry, {}, at_precision(1), needs_content},
    {"two links are compared by what they say with the history, too",
     symlink_entry, symlink_entry, {}, by_history(), needs_content},

    // Size and mtime
    {"equal size and mtime are up to date", here, here, {}, at_precision(1), up_to_date},
    {"another size is a change", here, longer, {}, at_precision(1), changed(Reason::size)},
    {"another size is a change though the history knows this version",
     here, longer, published(5), at_precision(1), changed(Reason::size)},
    {"an empty file equals an empty file", file(0, 7), file(0, 7), {}, at_precision(1), up_to_date},
    {"a newer source is a change", newer, here, {}, at_precision(1), changed(Reason::mtime)},
    {"an older source is a change", here, newer, {}, at_precision(1), changed(Reason::mtime)},
    {"size is reported before mtime", newer, longer, {}, at_precision(1), changed(Reason::size)},
    {"a nanosecond more is a change between two file systems",
     file(5, 100 * second + 1), here, {}, at_precision(1), changed(Reason::mtime)},
    {"fractions are cut off at a precision of a second", file(5, 100 * second + 999'999'999), here, {}, at_precision(second), up_to_date},
    {"the next second is a change at a precision of a second",
     file(5, 101 * second), file(5, 100 * second + 1), {}, at_precision(second), changed(Reason::mtime)},
    {"an odd second equals the even one below it at a precision of two", file(5, 101 * second), here, {}, at_precision(2 * second), up_to_date},
    {"fractions before 1970 are cut off downwards, too", file(5, -second + 1), file(5, -second), {}, at_precision(second), up_to_date},
    {"the second before 1970 is not the first one after it", file(5, -1), file(5, 0), {}, at_precision(second), changed(Reason::mtime)},

    // Times that the target cannot hold
    {"a time before 1970 equals the start of 1970 on SFTP", file(5, -100 * second), file(5, 0), {}, on_sftp(), up_to_date},
    {"a time before 1970 differs from a later one on SFTP", file(5, -100 * second), here, {}, on_sftp(), changed(Reason::mtime)},
    {"a time after 2106 equals the last one that SFTP has",
     file(5, max_sftp_ns + 10 * second), file(5, max_sftp_ns), {}, on_sftp(), up_to_date},
    {"the last time that SFTP has is not the one before it",
     file(5, max_sftp_ns), file(5, max_sftp_ns - second), {}, on_sftp(), changed(Reason::mtime)},
    {"a time before 1970 is kept by a file system", file(5, -100 * second), file(5, 0), {}, at_precision(1), changed(Reason::mtime)},

    // Times that are not known, or were not kept
    {"without a source mtime nothing says that it was published", file(5, {}), here, {}, at_precision(1), changed(Reason::history)},
    {"without a target mtime nothing says that it was published", here, file(5, {}), {}, at_precision(1), changed(Reason::history)},
    {"without mtimes the history says that it was published", file(5, {}), file(5, {}), published(5), at_precision(1), up_to_date},
    {"without mtimes another recorded version is a change",
     file(5, {}), file(5, {}), recorded(Record::other_version), at_precision(1), changed(Reason::history)},
    {"a server that refused to set times is believed by the history", here, newer, published(5), at_precision(1), up_to_date},
    {"a server that refused to set times shows a change of the source",
     here, newer, recorded(Record::other_version), at_precision(1), changed(Reason::mtime)},
    {"a server that refused to set times shows a change of size at the target",
     file(6, 1), file(6, 2), published(5), at_precision(1), changed(Reason::mtime)},
    {"equal times are enough where another version was recorded",
     here, here, recorded(Record::other_version), at_precision(1), up_to_date},

    // The history decides (--preserve none, targets that keep no times)
    {"by history, what was published is up to date", here, newer, published(5), by_history(), up_to_date},
    {"by history, equal times say nothing", here, here, {}, by_history(), changed(Reason::history)},
    {"by history, another version of equal size is a change",
     here, here, recorded(Record::other_version), by_history(), changed(Reason::history)},
    {"by history, another size is a change", here, longer, published(5), by_history(), changed(Reason::size)},
    {"by history, the target's own ETag proves it", here, file(5, {}, "e1"), published(5, "e1"), by_history(), up_to_date},
    {"by history, another ETag at the target is a change",
     here, file(5, {}, "e2"), published(5, "e1"), by_history(), changed(Reason::content)},
    {"by history, an ETag that was not recorded is not asked for", here, file(5, {}, "e2"), published(5), by_history(), up_to_date},
    {"by history, an ETag that the target no longer gives is not asked for",
     here, file(5, {}), published(5, "e1"), by_history(), up_to_date},
    {"by history, what may not be replaced is a conflict", here, here, {}, on(OnConflict::skip, by_history()), conflict(Reason::history)},

    // Transforms
    {"through transforms, the published size counts and not the source's", here, file(3, 7), published(3), through_transforms(), up_to_date},
    {"through transforms, another size than was published is a change",
     here, file(4, 7), published(3), through_transforms(), changed(Reason::size)},
    {"through transforms, a file without a record is a change", here, here, {}, through_transforms(), changed(Reason::history)},
    {"through transforms, a newer source is a change",
     here, file(3, 7), recorded(Record::other_version, 3), through_transforms(), changed(Reason::history)},
    {"other transforms than recorded are a change",
     here, file(3, 7), recorded(Record::differently, 3), through_transforms(), changed(Reason::transforms)},
    {"a file that was transformed before is a change without transforms, though its time is kept",
     here, here, recorded(Record::differently), at_precision(1), changed(Reason::transforms)},
    {"through transforms, content is never compared for a doubt",
     here, here, recorded(Record::in_doubt), on(OnConflict::skip, with_readback(through_transforms())), conflict(Reason::in_doubt)},

    // Doubt
    {"what is in doubt is a change though size and mtime are equal",
     here, here, recorded(Record::in_doubt), at_precision(1), changed(Reason::in_doubt)},
    {"what is in doubt is a change by history, too", here, here, recorded(Record::in_doubt), by_history(), changed(Reason::in_doubt)},
    {"what is in doubt is a change through transforms, too",
     here, file(3, 7), recorded(Record::in_doubt, 3), through_transforms(), changed(Reason::in_doubt)},
    {"what is in doubt is copied again with readback where it may be replaced",
     here, here, recorded(Record::in_doubt), with_readback(), changed(Reason::in_doubt)},
    {"what is in doubt is read with readback before it is skipped",
     here, here, recorded(Record::in_doubt), on(OnConflict::skip, with_readback()), needs_content},
    {"what is in doubt is read with readback before it fails",
     here, here, recorded(Record::in_doubt), on(OnConflict::fail, with_readback()), needs_content},
    {"what is in doubt is read with readback before it is refused",
     here, here, recorded(Record::in_doubt), without_replace(with_readback()), needs_content},
    {"what is in doubt and has another size is a conflict without reading",
     here, longer, recorded(Record::in_doubt), on(OnConflict::fail, with_readback()), conflict(Reason::size)},
    {"what is in doubt is a conflict without readback",
     here, here, recorded(Record::in_doubt), on(OnConflict::fail), conflict(Reason::in_doubt)},

    // --checksum
    {"with a checksum, equal size and mtime prove nothing", here, here, {}, with_checksum(), needs_content},
    {"with a checksum, another mtime proves nothing", newer, here, {}, with_checksum(), needs_content},
    {"with a checksum, another size is a change", here, longer, {}, with_checksum(), changed(Reason::size)},
    {"with a checksum, content decides what is in doubt", here, here, recorded(Record::in_doubt), with_checksum(), needs_content},
    {"with a checksum, content decides what was transformed", here, here, recorded(Record::differently), with_checksum(), needs_content},
    {"with a checksum, the history proves nothing", here, here, published(5), with_checksum(), needs_content},
    {"with a checksum, content is compared under --on-conflict skip, too",
     here, here, {}, on(OnConflict::skip, with_checksum()), needs_content},

    // Conflicts
    {"another size is skipped under --on-conflict skip", here, longer, {}, on(OnConflict::skip), conflict(Reason::size)},
    {"another mtime fails under --on-conflict fail", here, newer, {}, on(OnConflict::fail), conflict(Reason::mtime)},
    {"what is up to date is not a conflict", here, here, {}, on(OnConflict::fail), up_to_date},
    {"another mtime is refused without a way to replace it", here, newer, {}, without_replace(), refused(Reason::mtime)},
    {"--on-conflict skip comes before a target that cannot replace",
     here, newer, {}, on(OnConflict::skip, without_replace()), conflict(Reason::mtime)},
    {"what is up to date needs no replacing", here, here, {}, without_replace(), up_to_date},
};
// clang-format on

std::string name_of(const ::testing::TestParamInfo<Case>& info) {
  std::string name = info.param.sentence;
  std::ranges::replace_if(name, [](char c) { return !std::isalnum(static_cast<unsigned char>(c)); }, '_');
  return name;
}

class UpToDate : public ::testing::TestWithParam<Case> {};

TEST_P(UpToDate, IsJudged) {
  const Case& row = GetParam();
  const Verdict verdict = judge(row.source, row.target ? &*row.target : nullptr, row.history, row.rules);
  EXPECT_EQ(static_cast<int>(verdict.kind), static_cast<int>(row.expected.kind)) << row.sentence;
  EXPECT_EQ(to_string(verdict.reason), to_string(row.expected.reason)) << row.sentence;
  if (verdict.reason != Reason::none)
    EXPECT_FALSE(describe(verdict.reason, row.source, row.target ? &*row.target : nullptr, row.history).empty());
}

INSTANTIATE_TEST_SUITE_P(, UpToDate, ::testing::ValuesIn(cases), name_of);

TEST(JudgeContent, EqualContentIsUpToDateAndOtherContentFollowsTheJobsAnswer) {
  EXPECT_EQ(judge_content(true, on(OnConflict::fail)), up_to_date);
  EXPECT_EQ(judge_content(false, on(OnConflict::overwrite)), changed(Reason::content));
  EXPECT_EQ(judge_content(false, on(OnConflict::skip)), conflict(Reason::content));
  EXPECT_EQ(judge_content(false, without_replace()), refused(Reason::content));
}

TEST(CompareRules, TakeTheCoarserPrecisionAndTheRangeThatBothCanExpress) {
  Capabilities file_system{.mtime_precision_ns = 1};
  Capabilities sftp{.mtime_precision_ns = second, .min_mtime_ns = 0, .max_mtime_ns = max_sftp_ns};
  for (const auto& [source, target] : {std::pair(&file_system, &sftp), std::pair(&sftp, &file_system)}) {
    const CompareRules rules = compare_rules(Job(), *source, *target);
    EXPECT_EQ(rules.precision_ns, second);
    EXPECT_EQ(rules.min_mtime_ns, 0);
    EXPECT_EQ(rules.max_mtime_ns, max_sftp_ns);
  }
}

TEST(CompareRules, AskTheHistoryWhereTheTargetsTimesSayNothing) {
  const Capabilities keeps;
  const Capabilities keeps_none{.keeps_mtime = false};
  Job job;
  EXPECT_FALSE(compare_rules(job, keeps, keeps).by_history);
  EXPECT_TRUE(compare_rules(job, keeps, keeps_none).by_history);
  job.preserve_mtime = false;
  EXPECT_TRUE(compare_rules(job, keeps, keeps).by_history);
  job.preserve_mtime = true;
  job.transforms.push_back({});
  EXPECT_TRUE(compare_rules(job, keeps, keeps).by_history);
  EXPECT_TRUE(compare_rules(job, keeps, keeps).transformed);
}

TEST(CompareRules, ReplaceAtomicallyOrWithConsentToAGap) {
  const Capabilities atomic;
  const Capabilities other{.atomic_replace = false};
  Job job;
  EXPECT_TRUE(compare_rules(job, atomic, atomic).can_replace);
  EXPECT_FALSE(compare_rules(job, atomic, other).can_replace);
  job.on_conflict = OnConflict::overwrite_non_atomic;
  EXPECT_TRUE(compare_rules(job, atomic, other).can_replace);
}

// Another write within the tick would have the same mtime for whoever compares.
TEST(VersionTick, IsThatOfTheComparison) {
  const Capabilities nanoseconds{.mtime_precision_ns = 1};
  EXPECT_EQ(version_tick_ns(here, at_precision(second), nanoseconds), second) << "a file system to SFTP";
  EXPECT_EQ(version_tick_ns(file(5, 1, "etag"), at_precision(second), nanoseconds), second) << "times are compared";
  EXPECT_EQ(version_tick_ns(here, by_history(), nanoseconds), 1) << "the history keeps the source's own time";
  EXPECT_EQ(version_tick_ns(file(5, 1, "etag"), by_history(), nanoseconds), 0) << "and its ETag";
  EXPECT_EQ(version_tick_ns(file(5, {}), at_precision(second), nanoseconds), 0);
}

TEST(Refusal, SaysWhatIsInTheWay) {
  const auto kind_of = [](Verdict verdict, EntryType type) { return refusal(verdict, type, "f").kind; };
  EXPECT_EQ(kind_of(conflict(Reason::size), EntryType::file), ErrorKind::exists);
  EXPECT_EQ(kind_of(refused(Reason::type), EntryType::directory), ErrorKind::exists);
  EXPECT_EQ(kind_of(refused(Reason::type), EntryType::file), ErrorKind::is_a_directory);
  EXPECT_EQ(kind_of(refused(Reason::mtime), EntryType::file), ErrorKind::unsupported);
}

} // namespace
} // namespace checkvalve
