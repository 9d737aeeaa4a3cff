// Names that a target takes for one, or changes: found while planning.
#include <fmt/format.h>

#include <random>

#include "core/units.h"
#include "sync/hash_spool.h"
#include "sync/name_index.h"
#include "sync/name_verdicts.h"
#include "unit/sync/sync_fixture.h"

namespace checkvalve {
namespace {

using testing_support::second;
using testing_support::SyncFixture;

constexpr const char* composed = "caf\xc3\xa9";
constexpr const char* decomposed = "cafe\xcc\x81";

TEST(FoldedName, IsCommonToNamesOfOtherCaseOrForm) {
  struct Row {
    std::string a, b;
    bool equal;
  };
  for (const Row& row : std::vector<Row>{{"Report.csv", "rEPORT.CSV", true},
                                         {"a[b", "a{b", false},
                                         {"@Z", "`z", false},
                                         {"report.csv", "report.csv ", false},
                                         {"\xc3\x89", "\xc3\xa9", true},
                                         {"\xc3\x89", "e\xcc\x81", true},
                                         {"Stra\xc3\x9f"
                                          "e",
                                          "STRASSE", true},
                                         {"\xce\xa3", "\xcf\x82", true}, // both sigmas
                                         {"a\xff", "A\xfe", true},
                                         {"a\xff", "a\xff\xff", false},
                                         {"\xe2\x84\xaa", "k", true}}) // the sign of Kelvin
    EXPECT_EQ(folded_name(row.a) == folded_name(row.b), row.equal) << row.a << " " << row.b;
}

TEST(SameUnicodeForm, TellsCaseApart) {
  EXPECT_TRUE(same_unicode_form(composed, decomposed));
  EXPECT_FALSE(same_unicode_form("a", "A"));
  EXPECT_TRUE(same_unicode_form("a\xff", "a\xff"));
  EXPECT_FALSE(same_unicode_form("a\xff", "a\xfe"));
}

TEST(HashSpool, SortsInMemoryAndThroughAFileAlike) {
  for (const std::size_t memory_bytes : {1UL << 20, 1'600UL, 16UL}) {
    std::mt19937_64 random(3);
    HashSpool spool(memory_bytes);
    std::set<HashPair> wanted;
    for (int i = 0; i < 2'000; ++i) {
      const HashPair pair{random() % 500, random() % 3};
      wanted.insert(pair);
      ASSERT_TRUE(spool.add(pair));
    }
    ASSERT_TRUE(spool.finish());
    std::vector<HashPair> got;
    HashPair pair;
    for (auto more = spool.next(pair); *more; more = spool.next(pair))
      if (got.empty() || got.back() != pair) got.push_back(pair);
    EXPECT_EQ(got, std::vector<HashPair>(wanted.begin(), wanted.end())) << memory_bytes;
  }
}

TEST(NameIndex, SuspectsWhatOneDirectoryHoldsUnderSimilarNames) {
  struct Row {
    std::vector<std::string> candidates, listed, suspects;
  };
  for (const Row& row : std::vector<Row>{
           {{"A", "b"}, {"A", "b"}, {}},
           {{"A", "a"}, {}, {"A", "a"}},
           {{"x/A", "y/a"}, {}, {}},
           {{"x/A"}, {"x/a"}, {"x/A", "x/a"}},
           {{"Data/x", "data/y"}, {}, {"Data", "data"}},
           {{"Data/deep/x", "data"}, {}, {"Data", "data"}},
           {{composed}, {decomposed}, {decomposed, composed}},
           {{"a\xff"}, {}, {"a\xff"}},
           {{}, {"a\xff"}, {}},
           {{"d\xff/x"}, {}, {"d\xff"}},
       }) {
    NameIndex index;
    std::set<std::string> all(row.listed.begin(), row.listed.end());
    for (const std::string& each : row.candidates) {
      ASSERT_TRUE(index.add_candidate(each));
      for (std::string_view path = each; !path.empty(); path = path.substr(0, path.find_last_of('/') + 1)) {
        if (path.ends_with('/')) path.remove_suffix(1);
        all.emplace(path);
      }
    }
    for (const std::string& each : row.listed) ASSERT_TRUE(index.add_listed(each));
    ASSERT_TRUE(index.finish());
    EXPECT_EQ(index.any_suspects(), !row.suspects.empty());
    std::vector<std::string> suspects;
    for (const std::string& each : all)
      if (index.is_suspect(each)) suspects.push_back(each);
    EXPECT_EQ(suspects, row.suspects);
  }
}

TEST(NameHolders, Table) {
  struct Row {
    std::string sentence;
    std::vector<NameClaim> names;
    std::vector<std::size_t> holders;
  };
  const auto wanted = [](std::string name, std::size_t stored, bool directory = false) {
    return NameClaim{.name = std::move(name), .wanted = true, .directory = directory, .stored = stored};
  };
  const auto listed = [](std::string name, std::size_t stored, bool directory = false) {
    return NameClaim{.name = std::move(name), .listed = true, .directory = directory, .stored = stored};
  };
  const auto both = [](std::string name, std::size_t stored) {
    return NameClaim{.name = std::move(name), .wanted = true, .listed = true, .stored = stored};
  };
  for (const Row& row : std::vector<Row>{
           {"kept apart", {wanted("A", 0), wanted("a", 1)}, {0, 1}},
           {"the first of new names", {wanted("A", 0), wanted("a", 0)}, {0, 0}},
           {"the one that is listed", {wanted("A", 1), both("a", 1)}, {1, 1}},
           {"both are listed", {both("A", 0), both("a", 1)}, {0, 1}},
           {"a file of another case is anybody's", {wanted("A", 1), listed("a", 1)}, {1, 1}},
           {"for all", {wanted("AA", 2), wanted("Aa", 2), listed("aa", 2)}, {2, 2, 2}},
           {"another form of the name is the same file", {listed(decomposed, 0), wanted(composed, 0)}, {1, 1}},
           {"unless a candidate has it", {both(decomposed, 0), wanted(composed, 0)}, {0, 0}},
           {"a directory is shared", {listed("D", 0, true), wanted("d", 0, true)}, {1, 1}},
           {"by the first", {wanted("DD", 2, true), wanted("Dd", 2, true), listed("dd", 2, true)}, {0, 0, 0}},
           {"a directory and a file", {listed("D", 0, true), wanted("d", 0)}, {0, 0}},
       })
    EXPECT_EQ(name_holders(row.names), row.holders) << row.sentence;
}

class Names : public SyncFixture {
public:
  std::vector<std::string> failed() {
    const auto done = sync();
    EXPECT_OK(done);
    std::vector<std::string> out;
    if (done)
      for (const FailureRecord& failure : done->failures) {
        EXPECT_EQ(failure.error.code, ErrorCode::name_collision) << failure.error.text();
        EXPECT_FALSE(failure.error.transient());
        out.push_back(failure.path);
      }
    copied = done ? done->files_copied : 0;
    EXPECT_TRUE(target->temporaries().empty());
    return out;
  }
  std::vector<std::string> differences() {
    Engine shared = parts();
    Connections both = connections().value();
    const auto report = engine.run(verify_connections(shared, job, both));
    std::vector<std::string> out;
    for (const Difference& each : report->differences) out.push_back(each.path + ": " + each.reason);
    return out;
  }
  using Paths = std::vector<std::string>;
  std::uint64_t copied = 0;
};

TEST_F(Names, OfWhichATargetKeepsOne) {
  struct Row {
    std::string sentence, names;
    std::vector<std::string> source, target; // paths; those at the target are not ours
    Paths failed;
    std::uint64_t copied;
  };
  int number = 0;
  for (const Row& row : std::vector<Row>{
           {"case", "folds", {"Report.csv", "report.csv", "x"}, {}, {"report.csv"}, 2},
           {"case, in a new directory", "folds", {"new/A", "new/a"}, {}, {"new/a"}, 1},
           {"somebody else's", "folds", {"Report.csv"}, {"report.csv"}, {"Report.csv"}, 0},
           {"directories", "folds", {"Data/x", "Data/y", "data/x", "data/z"}, {}, {"data/x", "data/z"}, 2},
           {"a directory that is there", "folds", {"data/x", "data/y"}, {"Data/z"}, {}, 2},
           {"a file of another case in it", "folds", {"data/X", "data/y"}, {"Data/x"}, {"data/X"}, 1},
           {"a file and a directory", "folds", {"Data/x", "data"}, {}, {"data"}, 1},
           {"Unicode form", "normalises", {composed, decomposed}, {}, {composed}, 1},
           {"case, where only the form is folded", "normalises", {"A", "a"}, {}, {}, 2},
           {"not UTF-8", "replaces", {"a\xff", "b"}, {}, {"a\xff"}, 1},
           {"not UTF-8, a directory", "replaces", {"d\xff/a", "b"}, {}, {"d\xff/a"}, 1},
           {"exact", "exact", {"A", "a", composed, decomposed, "a\xff", "a\xfe"}, {"b"}, {}, 6},
           {"exact, of which some are there", "exact", {"A", "a"}, {"a"}, {}, 2},
       }) {
    SCOPED_TRACE(row.sentence);
    ++number;
    job.source.root = fmt::format("/in-{}", number);
    job.target.root = fmt::format("/out-{}", number);
    job.target.options["names"] = row.names;
    source->put_directory(job.source.root.substr(1));
    target->put_directory(job.target.root.substr(1));
    for (const std::string& path : row.source)
      put(*source, fmt::format("in-{}/{}", number, path), "from " + path, 1'000 * second);
    for (const std::string& path : row.target)
      put(*target, fmt::format("out-{}/{}", number, path), "somebody else's", second);
    EXPECT_EQ(failed(), row.failed);
    EXPECT_EQ(copied, row.copied);
    for (const std::string& path : row.target)
      if (row.names == "folds")
        EXPECT_EQ(*target->find(fmt::format("out-{}/{}", number, path))->content, "somebody else's");
    // A rerun has the same outcome, and verify agrees with it.
    EXPECT_EQ(failed(), row.failed);
    EXPECT_EQ(copied, 0U);
    Paths missing;
    for (const std::string& path : row.failed) missing.push_back(path + ": missing");
    EXPECT_EQ(differences(), missing);
  }
}

TEST_F(Names, BothAreNamedInTheError) {
  job.target.options["names"] = "folds";
  put(*source, "in/Report.csv", "1", second);
  put(*source, "in/report.csv", "2", second);
  const Error error = plan()->failures.at(0).error;
  EXPECT_EQ(error.text(),
            "cannot plan 'report.csv': the target takes this name and 'Report.csv', which is copied, for one");
  EXPECT_FALSE(error.advice().empty());
}

TEST_F(Names, ATargetOfOurFileInAnotherFormIsReplaced) {
  job.target.options["names"] = "normalises";
  put(*target, std::string("out/") + decomposed, "older", second);
  put(*source, std::string("in/") + composed, "newer", 2 * second);
  EXPECT_TRUE(failed().empty());
  EXPECT_EQ(copied, 1U);
  EXPECT_EQ(*target->find(std::string("out/") + decomposed)->content, "newer");
  EXPECT_TRUE(failed().empty());
  EXPECT_EQ(copied, 0U);
  EXPECT_TRUE(differences().empty());
}

TEST_F(Names, WhatADryRunCannotFindOutIsAWarning) {
  job.target.options["names"] = "folds";
  put(*source, "in/A", "1", second);
  put(*source, "in/a", "2", second);
  const auto dry = plan(true);
  ASSERT_OK(dry);
  EXPECT_EQ(dry->files_planned, 2U);
  EXPECT_TRUE(target->temporaries().empty());
  const auto warnings = engine.events.of<WarningEvent>();
  ASSERT_EQ(warnings.size(), 1U);
  EXPECT_NE(warnings[0].message.find("keeps 'A' and 'a' apart"), std::string::npos) << warnings[0].message;
}

TEST_F(Names, ManyDirectoriesAreNotAllTried) {
  job.target.options["names"] = "folds";
  for (int i = 0; i < 150; ++i)
    for (const char* name : {"A", "a"}) put(*source, fmt::format("in/{:03}/{}", i, name), "x", second);
  for (int i = 0; i < 150; ++i) target->put_directory(fmt::format("out/{:03}", i));
  EXPECT_EQ(failed().size(), 150U);
  EXPECT_EQ(engine.events.of<WarningEvent>().size(), 1U);
}

TEST_F(Names, ThatTransformsGiveCount) {
  job.target.options["names"] = "folds";
  job.transforms = {parse_transform_call("gzip").value()};
  put(*source, "in/A", "1", second);
  put(*source, "in/a.gz", "2", second); // is named twice only at the target
  put(*source, "in/a", "3", second);
  EXPECT_EQ(failed(), (Paths{"a"}));
  EXPECT_EQ(copied, 2U);
}

TEST_F(Names, OfAListOfFilesAreComparedWithEachOther) {
  job.target.options["names"] = "folds";
  job.selection.files = std::vector<std::string>{"a", "A", "b"};
  for (const char* name : {"A", "a", "b", "c"}) put(*source, std::string("in/") + name, name, second);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(failed(), Paths{"a"});
    EXPECT_EQ(copied, i == 0 ? 2U : 0U);
  }
}

TEST_F(Names, OrdinaryOnesCostNoRequest) {
  fill();
  put(*source, "in/B.txt", "b", second);
  put(*source, "in/caf\xc3\xa9", "c", second);
  source->remove("in/odd \xff\n'\"");
  job.target.options["names"] = "folds";
  const auto planned = plan();
  ASSERT_OK(planned);
  EXPECT_EQ(target->bytes_written, 0U);
  EXPECT_EQ(target->uploads, 0U);
}

} // namespace
} // namespace checkvalve
