// Records: CSV, JSON lines and SQL.
#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "unit/transforms/run_chain.h"

namespace checkvalve {
namespace {

using testing_support::chain_of;
using testing_support::run_chain;
using testing_support::transformed;

bool contains(const std::string& text, std::string_view part) { return text.find(part) != text.npos; }

TEST(Csv, KeepsWhatItHasNothingToDoWith) {
  EXPECT_EQ(transformed({"csv"}, "a,b\n1,\"x, \"\"y\"\"\nz\"\n"), "a,b\n1,\"x, \"\"y\"\"\nz\"\n");
  EXPECT_EQ(transformed({"csv"}, "a,b\r\n1,2\r\n\r\n3,"), "a,b\n1,2\n3,\n");
  EXPECT_EQ(transformed({"csv"}, ""), "");
  EXPECT_EQ(transformed({"csv"}, "a,b"), "a,b\n");
  EXPECT_EQ(transformed({"csv"}, "a\n\"\"\n"), "a\n\"\"\n");
  EXPECT_EQ(transformed({"csv"}, "\xEF\xBB\xBF"
                                 "a\n1\n"),
            "a\n1\n");
  EXPECT_EQ(transformed({"csv"}, "a\nx\"y\n"), "a\n\"x\"\"y\"\n");
}

TEST(Csv, SpeaksDialects) {
  EXPECT_EQ(transformed({"csv delimiter=tab write_delimiter=,"}, "a\tb\n1,5\t2\n"), "a,b\n\"1,5\",2\n");
  EXPECT_EQ(transformed({"csv delimiter=; quote=none newline=crlf"}, "a;b\n\"1;2\n"), "a;b\r\n\"1;2\r\n");
  EXPECT_EQ(transformed({"csv header=no select=c2"}, "1,2\n3,4\n"), "2\n4\n");
  EXPECT_EQ(transformed({R"(csv header=no columns='["x","y"]' select=y)"}, "1,2\n"), "2\n");
}

TEST(Csv, WorksOnColumns) {
  EXPECT_EQ(transformed({R"(csv select='["b","a"]')"}, "a,b,c\n1,2,3\n"), "b,a\n2,1\n");
  EXPECT_EQ(transformed({"csv drop=b rename_columns='a=first'"}, "a,b,c\n1,2,3\n"), "first,c\n1,3\n");
  EXPECT_EQ(transformed({R"(csv add='["from={path}","n={line}"]')"}, "a\nx\n"), "a,from,n\nx,directory/file.csv,2\n");
  EXPECT_EQ(transformed({"csv mask=a"}, "a,b\nJo-42,Jo-42\n"), "a,b\nxx-00,Jo-42\n");
  EXPECT_EQ(transformed({"csv filter='CAST(a AS REAL) > 9.5 AND b LIKE \"x%\"' "}, "a,b\n10,xy\n9,xy\n100,y\n"),
            "a,b\n10,xy\n");
  EXPECT_EQ(transformed({"csv cast=a:integer filter='a > 9'"}, "a\n007\n10\n"), "a\n10\n");
  EXPECT_EQ(transformed({"csv select=a drop=b"}, "a,b\n"), "a\n"); // a header alone
}

TEST(Csv, HashesWithAKeyThatTheDigestOfTheChainDependsOn) {
  ::setenv("CHECKVALVE_TEST_KEY", "0123456789abcdef", 1);
  const std::string call = "csv hash=a key_env=CHECKVALVE_TEST_KEY";
  // printf 4111 | openssl dgst -sha256 -hmac 0123456789abcdef
  EXPECT_EQ(transformed({call}, "a,b\n4111,1\n,2\n"),
            "a,b\n39144a52075d1ce812fc02528a8ee14344335b60fba9f88bb89280e082236793,1\n,2\n");
  const std::string before = chain_of({call})->digest();
  ::setenv("CHECKVALVE_TEST_KEY", "another key of 16", 1);
  EXPECT_NE(chain_of({call})->digest(), before);
  ::setenv("CHECKVALVE_TEST_KEY", "short", 1);
  EXPECT_FAILS(chain_of({call}), ErrorKind::config);
}

TEST(Csv, RefusesOrRejectsWhatDoesNotFit) {
  EXPECT_TRUE(contains(transformed({"csv"}, "a,b\n1,2\n\"x\ny\",2,3\n"), "line 3: expected 2 columns, found 3"));
  EXPECT_TRUE(contains(transformed({"csv cast=a:integer"}, "a\n1\nx\n"), "line 3: column 'a': value 'x'"));
  EXPECT_TRUE(contains(transformed({"csv required=a"}, "a,b\n,1\n"), "line 2: column 'a' is empty"));
  EXPECT_TRUE(contains(transformed({"csv"}, "a\n\"x\n"), "line 2: the file ends inside a quoted field"));
  EXPECT_TRUE(contains(transformed({"csv"}, "a\n\"x\"y\n"), "line 2: text after the closing quote"));
  EXPECT_TRUE(
      contains(transformed({"csv max_record=100"}, "a\n\"" + std::string(200, 'x')), "line 2: the record is longer"));
  const auto output = run_chain(chain_of({"csv cast=a:integer rejects=yes"}).value(), "a,b\n1,2\nx,3\n4\n5,\"6\n\"\n");
  ASSERT_OK(output);
  EXPECT_EQ(output->bytes, "a,b\n1,2\n5,\"6\n\"\n");
  EXPECT_EQ(output->sides.at("directory/file.csv.rejects"), "a,b\nx,3\n4\n");
}

TEST(Csv, ValidatesAgainstASchema) {
  const std::string schema = R"(csv expect='["id","country","amount"]' cast=amount:number )"
                             R"(match='["id=[A-Z]\\d+","country=[a-z]{2}"]' )"
                             R"(check='["amount >= 0","country <> \"xx\" OR amount = 0"]' )";
  const std::string good = "id,country,amount\nA1,de,1.5\nB22,,0\n";
  EXPECT_EQ(transformed({schema}, good), good);
  EXPECT_TRUE(contains(transformed({schema}, "id,amount,country\nA1,1,de\n"), "found id, amount, country"));
  EXPECT_TRUE(contains(transformed({schema}, "id,country\n"), "found id, country")); // no records, but names
  EXPECT_TRUE(contains(transformed({schema}, good + "1A,de,1\n"), "line 4: column 'id': value '1A' does not match"));
  EXPECT_TRUE(contains(transformed({schema}, good + "A1,de,-1\n"), "line 4: check failed: 'amount >= 0'"));
  EXPECT_TRUE(contains(transformed({schema}, good + "A1,xx,1\n"), "line 4: check failed: 'country <>"));
  EXPECT_TRUE(contains(transformed({schema}, good + "A1,de,\n"), "check failed: 'amount >= 0'")); // null
  const auto output = run_chain(chain_of({schema + "rejects=yes"}).value(), good + "A1,de,-1\nA2,fr,2\n");
  ASSERT_OK(output);
  EXPECT_EQ(output->bytes, good + "A2,fr,2\n");
  EXPECT_EQ(output->sides.at("directory/file.csv.rejects"), "id,country,amount\nA1,de,-1\n");
  EXPECT_FAILS(chain_of({"csv check='amount >'"}), ErrorKind::config);
  EXPECT_FAILS(chain_of({"csv match='a=('"}), ErrorKind::config);
}

TEST(Csv, BecomesJsonLinesAndBack) {
  EXPECT_EQ(transformed({R"(csv to=jsonl cast='["n:number","i:integer","b:boolean"]')"},
                        "n,i,b,t\n1.50,+07,yes,\"é\"\"\n\"\n,,,\n"),
            "{\"n\":1.50,\"i\":7,\"b\":true,\"t\":\"é\\\"\\n\"}\n{\"n\":null,\"i\":null,\"b\":null,\"t\":\"\"}\n");
  EXPECT_EQ(transformed({"csv to=jsonl", "jsonl to=csv"}, "a,b\n1,\"x,\ny\"\n"), "a,b\n1,\"x,\ny\"\n");
  EXPECT_EQ(chain_of({"csv to=jsonl"})->renamed("d/a.csv").value(), "d/a.jsonl");
  EXPECT_TRUE(contains(transformed({"csv to=jsonl"}, "a\n\xe9\n"), "line 2: column a is not valid UTF-8"));
}

TEST(Jsonl, KeepsNumbersAndNestedValuesAsTheyAre) {
  const std::string line = R"({"a":123456789012345678901234567890,"b":1.500,"c":[1,{"d":[null,true,"\"é"]},[]],"e":{}})"
                           "\n";
  EXPECT_EQ(transformed({"jsonl"}, line), line);
  EXPECT_EQ(transformed({"jsonl select=b"}, line), "{\"b\":1.500}\n");
  EXPECT_EQ(transformed({"jsonl"}, "\n {\"a\": 1}\r\n"), "{\"a\":1}\n");
}

TEST(Jsonl, NamesTheLineThatItCannotRead) {
  EXPECT_TRUE(contains(transformed({"jsonl"}, "{\"a\":1}\n{\"a\":\n"), "line 2: invalid JSON"));
  EXPECT_TRUE(contains(transformed({"jsonl"}, "[1]\n"), "line 1: the line is not a JSON object"));
  EXPECT_TRUE(contains(transformed({"jsonl"}, "{\"a\":1} x\n"), "line 1: invalid JSON"));
  EXPECT_TRUE(contains(transformed({"jsonl to=csv"}, "{\"a\":1}\n{\"b\":1}\n"), "line 2: the record's columns differ"));
}

TEST(Sql, AggregatesSortsAndJoins) {
  const std::string sales = "country,amount\nde,1.5\nfr,2\nde,3\n";
  EXPECT_EQ(
      transformed({"sql query='SELECT country, sum(amount) AS total FROM input GROUP BY country ORDER BY total DESC'"},
                  sales),
      "country,total\nde,4.5\nfr,2\n");
  EXPECT_EQ(
      transformed({"sql to=jsonl cast=amount:number query='SELECT * FROM input WHERE amount > 1.9 ORDER BY amount'"},
                  sales),
      "{\"country\":\"fr\",\"amount\":2}\n{\"country\":\"de\",\"amount\":3}\n");
  EXPECT_EQ(transformed({"sql query='SELECT count(*) AS n FROM input'"}, "a,b\n"), "n\n0\n");
  EXPECT_EQ(transformed({"sql from=jsonl query='SELECT DISTINCT a FROM input'"}, "{\"a\":1}\n{\"a\":1}\n"), "a\n1\n");
}

TEST(Sql, RefusesWhatItCannotOrMustNotDo) {
  EXPECT_FAILS(chain_of({"sql"}), ErrorKind::config);
  EXPECT_FAILS(chain_of({"sql query='SELEKT 1'"}), ErrorKind::config);
  EXPECT_FAILS(chain_of({"sql query='CREATE TABLE t(a)'"}), ErrorKind::config);
  EXPECT_FAILS(chain_of({"sql query='DROP TABLE input'"}), ErrorKind::config);
  EXPECT_FAILS(chain_of({"sql query='SELECT 1; SELECT 2'"}), ErrorKind::config);
  EXPECT_OK(chain_of({"sql query='WITH t AS (SELECT a FROM input) SELECT * FROM t;'"}));
  EXPECT_TRUE(contains(transformed({"sql query='SELECT x FROM input'"}, "a\n1\n"), "no such column"));
  EXPECT_FAILS(chain_of({"sql query=\"ATTACH 'x' AS y\""}), ErrorKind::config);
}

// A file of the test's own, removed with it.
class LookupFile {
public:
  explicit LookupFile(std::string_view suffix, std::string_view text)
      : path_(::testing::TempDir() + "checkvalve-XXXXXX") {
    path_ += suffix;
    ::close(::mkstemps(path_.data(), static_cast<int>(suffix.size())));
    write(text);
  }
  ~LookupFile() { ::unlink(path_.c_str()); }
  void write(std::string_view text) const { std::ofstream(path_, std::ios::binary) << text; }
  const std::string& path() const { return path_; }

private:
  std::string path_;
};

TEST(Sql, JoinsLookupFiles) {
  const LookupFile countries(".csv", "code,name\nde,\"Germany, \"\"D\"\"\"\nfr,France\n");
  const LookupFile rates(".jsonl", "{\"code\":\"de\",\"rate\":2.5}\n");
  const std::string call =
      fmt::format("sql lookup='[\"countries={}\",\"rates={}\"]' query='SELECT name, amount * rate AS eur FROM input "
                  "JOIN countries USING (code) LEFT JOIN rates USING (code) ORDER BY name'",
                  countries.path(), rates.path());
  EXPECT_EQ(transformed({call}, "code,amount\nde,2\nfr,4\nxx,1\n"), "name,eur\nFrance,\n\"Germany, \"\"D\"\"\",5.0\n");

  const Chain chain = chain_of({call}).value();
  countries.write("code,name\nde,Other\n");
  EXPECT_NE(chain_of({call})->digest(), chain.digest());
  const auto changed = run_chain(chain, "code,amount\nde,2\n");
  ASSERT_FALSE(changed.has_value());
  EXPECT_TRUE(contains(changed.error().message, "changed since the run began")) << changed.error().message;
}

TEST(Sql, RefusesLookupsThatCannotBe) {
  const LookupFile broken(".csv", "a,b\n1\n");
  const auto problem = [](const std::string& lookup) {
    const auto chain = chain_of({fmt::format("sql query='SELECT 1' lookup='{}'", lookup)});
    return chain ? "" : chain.error().message;
  };
  EXPECT_TRUE(contains(problem("t=/nonexistent/x.csv"), "on this machine"));
  EXPECT_TRUE(contains(problem("t=/nonexistent/x.parquet"), "must end with .csv"));
  EXPECT_TRUE(contains(problem("input=" + broken.path()), "duplicate table 'input'"));
  EXPECT_TRUE(contains(problem("a b=" + broken.path()), "expected table=path"));
  EXPECT_TRUE(contains(problem("just-a-word"), "expected table=path"));
  const std::string said = transformed({fmt::format("sql query='SELECT 1' lookup=t={}", broken.path())}, "a\n1\n");
  EXPECT_TRUE(contains(said, "lookup '" + broken.path() + "': line 2: expected 2 columns, found 1")) << said;
}

std::string numbers(int count) {
  std::string rows = "a\n";
  for (int i = 0; i < count; ++i) rows += fmt::format("{:010}\n", i * 7919LL % 1'000'003);
  return rows;
}

TEST(Sql, CountsTheTableAndWhatTheQuerySorts) {
  // The table of 200,000 rows takes 3.5 MiB; sorting it takes 2.5 more.
  const std::string rows = numbers(200'000);
  EXPECT_TRUE(contains(transformed({"sql cache=64KiB max_disk=1MiB query='SELECT * FROM input'"}, rows), "max_disk=1"));
  EXPECT_EQ(transformed({"sql cache=64KiB max_disk=5MiB query='SELECT count(*) AS n FROM input'"}, rows),
            "n\n200000\n");
  const std::string sort = "query='SELECT a FROM input ORDER BY a DESC'";
  EXPECT_TRUE(contains(transformed({"sql cache=64KiB max_disk=5MiB " + sort}, rows), "the query's temporary data"));
  EXPECT_EQ(transformed({"sql cache=64KiB max_disk=64MiB " + sort}, rows).size(), rows.size());
}

TEST(Sql, LeavesTheDiskSomeSpace) {
  const std::string said = transformed({"sql min_free=1000000GiB query='SELECT * FROM input'"}, "a\n1\n");
  EXPECT_TRUE(contains(said, "min_free=")) << said;
  EXPECT_TRUE(contains(said, "$TMPDIR")) << said;
}

// Names that SQLite's temporary files could have, in the directory where they would be.
TEST(Sql, LeavesNoFileEvenWhileItRuns) {
  std::string directory = ::testing::TempDir() + "checkvalve-scratch-XXXXXX";
  ASSERT_NE(::mkdtemp(directory.data()), nullptr);
  const char* before = std::getenv("SQLITE_TMPDIR");
  const std::string kept = before ? before : "";
  ::setenv("SQLITE_TMPDIR", directory.c_str(), 1);
  const Chain chain = chain_of({"sql cache=64KiB query='SELECT a FROM input ORDER BY a'"}).value();
  const auto run = chain.start({"a.csv", "a.csv", std::nullopt}, 64 * 1024);
  ASSERT_OK(run);
  const std::string rows = numbers(300'000);
  (*run)->feed(Chunk::copy_of(rows));
  ASSERT_OK((*run)->work());
  EXPECT_TRUE(std::filesystem::is_empty(directory)); // the table is on disk by now
  (*run)->end_input();
  ASSERT_OK((*run)->work());
  EXPECT_TRUE(std::filesystem::is_empty(directory)); // so is what is sorted
  before ? ::setenv("SQLITE_TMPDIR", kept.c_str(), 1) : ::unsetenv("SQLITE_TMPDIR");
  std::filesystem::remove(directory);
}

} // namespace
} // namespace checkvalve
