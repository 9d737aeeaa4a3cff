#include "transforms/checksum_line.h"
#include "unit/transforms/run_chain.h"

namespace checkvalve {
namespace {

using testing_support::chain_of;
using testing_support::run_chain;
using testing_support::transformed;

bool contains(const std::string& text, std::string_view part) { return text.find(part) != text.npos; }

TEST(ParseTransformCall, ReadsNamesAndQuotedValues) {
  const auto call = parse_transform_call(R"( redact  pattern='\d+ \d' with="a \"b\"" x=plain\ word empty='' )");
  ASSERT_OK(call);
  EXPECT_EQ(call->name, "redact");
  EXPECT_EQ(call->options.at("pattern"), R"(\d+ \d)");
  EXPECT_EQ(call->options.at("with"), R"(a "b")");
  EXPECT_EQ(call->options.at("x"), "plain word");
  EXPECT_EQ(call->options.at("empty"), "");
  EXPECT_EQ(parse_transform_call(to_string(*call)), *call);
}

TEST(ParseTransformCall, RefusesWhatItCannotRead) {
  for (const char* text : {"", "  ", "gzip level", "gzip 'level=1", "gzip level=1 level=2"})
    EXPECT_FAILS(parse_transform_call(text), ErrorKind::config) << text;
}

TEST(Chain, RefusesUnknownNamesOptionsAndValues) {
  EXPECT_FAILS(chain_of({"gzap"}), ErrorKind::config);
  EXPECT_FAILS(chain_of({"gzip speed=1"}), ErrorKind::config);
  EXPECT_FAILS(chain_of({"gzip level=high"}), ErrorKind::config);
  EXPECT_FAILS(chain_of({"gzip level=12"}), ErrorKind::config);
  EXPECT_FAILS(chain_of({"redact pattern='('"}), ErrorKind::config);
  EXPECT_FAILS(chain_of({"checksum", "checksum"}), ErrorKind::config);
}

TEST(Chain, TheDigestDiffersByChainAndNotByExplicitDefaults) {
  const auto digest = [](std::vector<std::string> texts) { return chain_of(std::move(texts)).value().digest(); };
  EXPECT_EQ(digest({}), "");
  EXPECT_EQ(digest({"gzip"}), digest({"gzip level=6"}));
  EXPECT_EQ(digest({"gzip"}).size(), 32U);
  EXPECT_NE(digest({"gzip"}), digest({"gzip level=7"}));
  EXPECT_NE(digest({"gzip", "checksum"}), digest({"checksum", "gzip"}));
  EXPECT_NE(digest({"gzip"}), digest({"gzip rename='{name}.z'"}));
}

TEST(Chain, RenamesTheLastComponentOnly) {
  const auto renamed = [](std::vector<std::string> texts, const char* path) {
    return chain_of(std::move(texts)).value().renamed(path).value();
  };
  EXPECT_EQ(renamed({"gzip"}, "a.gz/b.csv"), "a.gz/b.csv.gz");
  EXPECT_EQ(renamed({"gunzip"}, "a/b.csv.gz"), "a/b.csv");
  EXPECT_EQ(renamed({"gunzip"}, "b.tgz"), "b.tar");
  EXPECT_EQ(renamed({"gunzip"}, ".gz"), ".gz");
  EXPECT_EQ(renamed({"gunzip", "zstd"}, "b.gz"), "b.zst");
  EXPECT_EQ(renamed({"redact pattern=x rename='{stem}-clean{ext}'"}, "a/b.csv"), "a/b-clean.csv");
  EXPECT_FAILS(chain_of({"redact pattern=x rename='../{name}'"})->renamed("a"), ErrorKind::invalid_name);
}

TEST(Redact, ReplacesEachMatch) {
  EXPECT_EQ(transformed({"redact pattern='[0-9]+'"}, "a1b22\n\nno\r\n333"), "a***b***\n\nno\r\n***");
  EXPECT_EQ(transformed({"redact pattern='[0-9]+' with=''"}, "a1b22\n"), "ab\n");
  EXPECT_EQ(transformed({"redact pattern='[0-9]+' keep_length=yes"}, "a1b22\n"), "a*b**\n");
  EXPECT_EQ(transformed({"redact pattern='x*'"}, "axxb\n"), "a***b\n");
  EXPECT_TRUE(contains(transformed({"redact pattern=x max_line=10B"}, "short\n" + std::string(20, 'y')), "max_line"));
}

TEST(Redact, ALineTooLongIsNamedByNumber) {
  EXPECT_TRUE(contains(transformed({"redact pattern=x max_line=1024"}, "short\n" + std::string(2000, 'y')), "line 2 "));
}

TEST(Lines, FiltersAndReplaces) {
  EXPECT_EQ(transformed({"lines keep=b"}, "a\nb\r\ncb"), "b\r\ncb");
  EXPECT_EQ(transformed({"lines drop='^#'"}, "#a\nb\n"), "b\n");
  EXPECT_EQ(transformed({"lines replace='(.)=(.)' with='\\2=\\1'"}, "a=b c=d\n"), "b=a d=c\n");
  EXPECT_EQ(transformed({"lines skip_head=1 skip_tail=1"}, "1\n2\n3\n4\n"), "2\n3\n");
  EXPECT_EQ(transformed({"lines limit=2"}, "1\n2\n3\n"), "1\n2\n");
  EXPECT_EQ(transformed({"lines"}, "no newline"), "no newline");
  EXPECT_EQ(transformed({"lines"}, ""), "");
}

TEST(Lines, AddsAndChecksHeadersAndTrailers) {
  EXPECT_EQ(transformed({"lines add_header=h add_trailer='TRAILER|{count}'"}, "1\n2"), "h\n1\n2\nTRAILER|2\n");
  EXPECT_EQ(transformed({"lines add_header=h add_trailer='TRAILER|{count}'"}, ""), "h\nTRAILER|0\n");
  EXPECT_EQ(transformed({"lines add_trailer='T{count}'"}, "1\r\n"), "1\r\nT1\r\n");
  EXPECT_EQ(transformed({"lines check_header=h check_trailer='TRAILER|{count}'"}, "h\n1\n2\nTRAILER|2\n"), "h\n1\n2\n");
  EXPECT_EQ(transformed({"lines drop_header=yes add_header=new"}, "old\n1\n"), "new\n1\n");
  EXPECT_TRUE(contains(transformed({"lines check_header=h"}, "x\n1\n"), "line 1"));
  EXPECT_TRUE(contains(transformed({"lines check_header=h"}, ""), "empty"));
  EXPECT_TRUE(contains(transformed({"lines check_trailer='TRAILER|{count}'"}, "1\n2\nTRAILER|3\n"), "line 3"));
  EXPECT_TRUE(contains(transformed({"lines check_trailer='TRAILER|{count}'"}, ""), "missing trailer"));
  EXPECT_TRUE(contains(transformed({"lines must_match='^[0-9]'"}, "1\nx\n"), "line 2"));
  EXPECT_TRUE(contains(transformed({"lines must_not_match=x"}, "1\nx\n"), "line 2"));
}

TEST(Lines, RefusesByCountAndByWhatIsInThem) {
  EXPECT_EQ(transformed({"lines must_contain='^END'"}, "1\nEND\n2\n"), "1\nEND\n2\n");
  EXPECT_TRUE(contains(transformed({"lines must_contain='^END'"}, "1\n2\n"), "(2 lines read)"));
  EXPECT_EQ(transformed({"lines min_lines=2 max_lines=2 check_header=h"}, "h\n1\n2\n"), "h\n1\n2\n");
  EXPECT_TRUE(contains(transformed({"lines min_lines=2"}, "1\n"), "has 1 lines, fewer than min_lines=2"));
  EXPECT_TRUE(contains(transformed({"lines max_lines=2"}, "1\n2\n3\n"), "line 3: the file has more"));
  const auto output = run_chain(chain_of({"lines drop=x count_file=yes"}).value(), "1\nx\n3\n");
  ASSERT_OK(output);
  EXPECT_EQ(output->sides.at("directory/file.csv.count"), "2\n");
}

using Parts = std::map<std::string, std::string>;

// All files made from directory/file.csv.
Parts parts(std::vector<std::string> calls, std::string_view input) {
  const Chain chain = chain_of(std::move(calls)).value();
  auto output = run_chain(chain, input);
  if (!output) return {{"error", output.error().message}};
  output->sides[chain.renamed("directory/file.csv").value()] = output->bytes;
  return output->sides;
}

TEST(Split, MakesPartsOfLines) {
  EXPECT_EQ(parts({"split lines=2"}, "1\n2\n3\n4\n5"), (Parts{{"directory/file.0001.csv", "1\n2\n"},
                                                              {"directory/file.0002.csv", "3\n4\n"},
                                                              {"directory/file.0003.csv", "5"}}));
  EXPECT_EQ(parts({"split lines=2"}, "1\n2\n"), (Parts{{"directory/file.0001.csv", "1\n2\n"}}));
  EXPECT_EQ(parts({"split lines=2"}, ""), (Parts{{"directory/file.0001.csv", ""}}));
  EXPECT_EQ(parts({"split lines=1 header=yes"}, "h\n1\n2\n"),
            (Parts{{"directory/file.0001.csv", "h\n1\n"}, {"directory/file.0002.csv", "h\n2\n"}}));
  EXPECT_EQ(parts({"split lines=1 header=yes"}, "h"), (Parts{{"directory/file.0001.csv", "h\n"}}));
  EXPECT_EQ(parts({"split line_bytes=6B"}, "12\n34\n5\n"),
            (Parts{{"directory/file.0001.csv", "12\n34\n"}, {"directory/file.0002.csv", "5\n"}}));
  EXPECT_TRUE(contains(parts({"split line_bytes=3B"}, "12\n345\n")["error"], "line 2 does not fit"));
}

TEST(Split, MakesPartsOfBytes) {
  EXPECT_EQ(parts({"split bytes=4B"}, "12345678"),
            (Parts{{"directory/file.0001.csv", "1234"}, {"directory/file.0002.csv", "5678"}}));
  const std::string large(3'000'000, 'x');
  const Parts found = parts({"split bytes=1000000B"}, large);
  EXPECT_EQ(found.size(), 3U);
  for (const auto& [path, content] : found) EXPECT_EQ(content.size(), 1'000'000U) << path;
}

TEST(Split, WhatFollowsWorksOnEachPart) {
  const Parts found = parts({"split lines=1", "lines add_trailer='N{count}'", "checksum"}, "1\n2\n");
  EXPECT_EQ(found.size(), 4U);
  EXPECT_EQ(found.at("directory/file.0001.csv"), "1\nN1\n");
  EXPECT_EQ(found.at("directory/file.0002.csv"), "2\nN1\n");
  EXPECT_TRUE(found.at("directory/file.0002.csv.sha256").ends_with("  file.0002.csv\n"));
  EXPECT_TRUE(contains(parts({"split lines=1", "lines must_not_match=2"}, "1\n2\n")["error"], "must_not_match"));
  const Parts sides = parts({"csv cast=a:integer rejects=yes", "split lines=1 header=yes", "gzip"}, "a\n1\nx\n2\n");
  EXPECT_EQ(sides.size(), 3U);
  EXPECT_EQ(sides.at("directory/file.0001.csv.gz.rejects"), "a\nx\n");
  EXPECT_EQ(transformed({"gunzip"}, sides.at("directory/file.0002.csv.gz")), "a\n2\n");
}

TEST(Split, RefusesWhatMakesNoSense) {
  EXPECT_FAILS(chain_of({"split"}), ErrorKind::config);
  EXPECT_FAILS(chain_of({"split lines=1 bytes=1KiB"}), ErrorKind::config);
  EXPECT_FAILS(chain_of({"split bytes=1KiB header=yes"}), ErrorKind::config);
  EXPECT_FAILS(chain_of({"split lines=1", "split lines=2"}), ErrorKind::config);
  EXPECT_FAILS(chain_of({"split lines=1 rename='{name}'"}), ErrorKind::config);
  EXPECT_EQ(parts({"split lines=1 rename='{part}-{name}'"}, "1\n2\n"),
            (Parts{{"directory/0001-file.csv", "1\n"}, {"directory/0002-file.csv", "2\n"}}));
}

TEST(Charset, ConvertsSetsMarksAndNewlines) {
  EXPECT_EQ(transformed({"charset from=CP1252"}, "caf\xe9 \x80"), "café €");
  EXPECT_EQ(transformed({"charset to=ISO-8859-1"}, "café"), "caf\xe9");
  EXPECT_EQ(transformed({"charset from=UTF-16LE"}, std::string_view("a\0\n\0", 4)), "a\n");
  EXPECT_EQ(transformed({"charset bom=add"}, "a"), "\xEF\xBB\xBF"
                                                   "a");
  EXPECT_EQ(transformed({"charset bom=add"}, ""), "\xEF\xBB\xBF");
  EXPECT_EQ(transformed({"charset bom=strip"}, "\xEF\xBB\xBF"
                                               "a"),
            "a");
  EXPECT_EQ(transformed({"charset newline=crlf"}, "a\nb\r\nc\rd"), "a\r\nb\r\nc\rd");
  EXPECT_EQ(transformed({"charset newline=lf"}, "a\nb\r\nc\rd\r"), "a\nb\nc\rd\r");
}

TEST(Charset, NamesTheByteThatItCannotRead) {
  EXPECT_TRUE(contains(transformed({"charset"}, "ok\n\xe9t\xe9"), "byte 3 (0xe9)"));
  EXPECT_EQ(transformed({"charset unknown=replace"}, "a\xff"
                                                     "b"),
            "a\xEF\xBF\xBD"
            "b");
  EXPECT_TRUE(contains(transformed({"charset to=ISO-8859-1"}, "a €"), "does not exist in ISO-8859-1"));
  EXPECT_EQ(transformed({"charset to=ISO-8859-1 unknown=replace"}, "a €b"), "a ?b");
  EXPECT_TRUE(contains(transformed({"charset"}, "a\xe2\x82"), "in the middle of a UTF-8 character"));
  EXPECT_TRUE(contains(transformed({"charset from=KLINGON"}, ""), "unknown character set"));
}

TEST(Checksum, WritesWhatSha256sumReads) {
  const auto output = run_chain(chain_of({"checksum"}).value(), "hello\n");
  ASSERT_OK(output);
  EXPECT_EQ(output->bytes, "hello\n");
  EXPECT_EQ(output->sides.at("directory/file.csv.sha256"),
            "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03  file.csv\n");
}

TEST(Checksum, GivesTheListItsDigestInsteadOfASideFile) {
  const Chain chain = chain_of({"gzip", "checksum list=SHA256SUMS"}).value();
  ASSERT_TRUE(chain.checksum_list());
  EXPECT_EQ(chain.checksum_list()->name, "SHA256SUMS");
  EXPECT_EQ(chain.checksum_list()->algorithm, "sha256");
  EXPECT_TRUE(chain.side_suffixes().empty());
  const auto zipped = run_chain(chain, "hello\n");
  ASSERT_OK(zipped);
  EXPECT_TRUE(zipped->sides.empty());
  EXPECT_EQ(zipped->checksum.substr(0, 7), "sha256:");
  EXPECT_EQ(zipped->checksum.size(), 7U + 64U);
  EXPECT_EQ(run_chain(chain_of({"checksum list=s"}).value(), "hello\n")->checksum,
            "sha256:5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03");
  EXPECT_EQ(run_chain(chain_of({"checksum list=s algorithm=md5"}).value(), "")->checksum,
            "md5:d41d8cd98f00b204e9800998ecf8427e");
  EXPECT_EQ(run_chain(chain_of({"checksum"}).value(), "hello\n")->checksum, "");

  const auto both = run_chain(chain_of({"checksum list=SUMS suffix=.sum"}).value(), "hello\n");
  EXPECT_TRUE(both->sides.contains("directory/file.csv.sum"));
  EXPECT_NE(both->checksum, "");
}

TEST(Checksum, AListIsOfPublishedBytesOnly) {
  const auto refused = [](std::vector<std::string> texts) {
    const auto chain = chain_of(std::move(texts));
    return chain ? "" : chain.error().text();
  };
  EXPECT_TRUE(contains(refused({"checksum list=SHA256SUMS", "gzip"}), "last in the chain"));
  EXPECT_TRUE(contains(refused({"checksum list=A", "checksum list=B"}), "last in the chain"));
  EXPECT_TRUE(contains(refused({"split lines=1", "checksum list=SHA256SUMS"}), "parts of split"));
  EXPECT_TRUE(contains(refused({"checksum list=all.sum suffix=.sum"}), "choose another"));
  EXPECT_TRUE(contains(refused({"checksum list=a/b"}), "in the target's root"));
  EXPECT_TRUE(contains(refused({"checksum list=''"}), "in the target's root"));
  EXPECT_TRUE(contains(refused({"checksum list=.."}), "in the target's root"));
}

TEST(Checksum, LinesAreThoseOfCoreutils) {
  EXPECT_EQ(checksum_line("0a", "d/a b \xff*"), "0a  d/a b \xff*\n");
  EXPECT_EQ(checksum_line("0a", "a\nb\\c\rd"), "\\0a  a\\nb\\\\c\\rd\n");
  EXPECT_EQ(checksum_line("0a", "-"), "0a  ./-\n");
}

TEST(Exec, RunsAProgramAsAFilter) {
  EXPECT_EQ(transformed({R"(exec command='["tr", "a-z", "A-Z"]')"}, "abc\n"), "ABC\n");
  EXPECT_EQ(transformed({R"(exec command='["head", "-n", "1"]')"}, "1\n" + std::string(1 << 20, 'x')), "1\n");
  EXPECT_EQ(transformed({R"(exec command='["sh", "-c", "cat >/dev/null; echo $CHECKVALVE_PATH $SECRET"]')"}, ""),
            "directory/file.csv\n");
}

TEST(Exec, AFailureCarriesWhatTheProgramSaid) {
  const std::string failed =
      transformed({R"(exec command='["sh", "-c", "cat >/dev/null; echo no such luck >&2; exit 3"]')"}, "x");
  EXPECT_TRUE(contains(failed, "exited with code 3"));
  EXPECT_TRUE(contains(failed, "no such luck"));
  EXPECT_TRUE(contains(transformed({"exec command=there-is-no-such-program"}, "x"), "cannot start"));
  EXPECT_TRUE(contains(transformed({R"(exec command='["sh", "-c", "kill -9 $$"]')"}, "x"), "signal 9"));
  EXPECT_TRUE(contains(transformed({R"(exec timeout=200ms command='["sleep", "1000"]')"}, "x"), "timeout"));
}

} // namespace
} // namespace checkvalve
