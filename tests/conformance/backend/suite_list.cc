// Listings, stat and symbolic links.
#include <fmt/format.h>

#include <set>

#include "conformance/backend/suite.h"
#include "core/path.h"

namespace checkvalve::conformance {

// Ordinary names and difficult ones. Those that the target refuses are skipped.
std::vector<std::string> odd_names(const Target& target) {
  std::vector<std::string> names = {"plain.txt",
                                    "with space",
                                    " leading",
                                    "trailing ",
                                    "it's \"quoted\"",
                                    "back\\slash",
                                    "new\nline",
                                    "tab\there",
                                    "carriage\rreturn",
                                    "-rf",
                                    "--help",
                                    "*",
                                    "[a]?",
                                    "~",
                                    "#hash",
                                    "%41",
                                    "a&b;c|d",
                                    "$(echo x)",
                                    "`id`",
                                    "...",
                                    ".hidden",
                                    "Case",
                                    "case",
                                    "\xC3\xA9 composed",
                                    "e\xCC\x81 decomposed",
                                    "\xE6\x97\xA5\xE6\x9C\xAC",
                                    "\xF0\x9F\x9A\xB0",
                                    "\xFF\xFE not UTF-8",
                                    "\x01\x1B[31m",
                                    "\x7F",
                                    std::string(255, 'n'),
                                    "a:b",
                                    "a<b>",
                                    "NUL",
                                    "x.",
                                    "\xC3"};
  std::erase_if(names, [&](const std::string& name) { return !target.accepts(name); });
  return names;
}

namespace {

BACKEND_TEST(ListsAnEmptyRoot) {
  CO_ASSERT_VALUE(const auto at_source, co_await list_all(t.source(), ""));
  EXPECT_TRUE(at_source.empty());
  CO_ASSERT_VALUE(const auto at_target, co_await list_all(t.target(), ""));
  EXPECT_TRUE(at_target.empty());
}

Task<Result<void>> plant_tree(BackendSuite& t) {
  if (t.capabilities().directories)
    for (const char* directory : {"a", "a/b", "a/b/c"}) CV_CO_CHECK(co_await t.fixture().plant_directory(directory));
  CV_CO_CHECK(co_await t.fixture().plant_file("top.txt", "top"));
  CV_CO_CHECK(co_await t.fixture().plant_file("a/one.txt", "1"));
  CV_CO_CHECK(co_await t.fixture().plant_file("a/b/c/two.txt", "22"));
  CV_CO_CHECK(co_await t.fixture().plant_file("a-b", "not below a"));
  co_return Result<void>();
}

BACKEND_TEST(ListsOneLevelOfATree) {
  CO_ASSERT_OK(co_await plant_tree(t));
  CO_ASSERT_VALUE(const auto top, co_await list_all(t.source(), ""));
  EXPECT_EQ(paths_of(top), (std::vector<std::string>{"a", "a-b", "top.txt"}));
  CO_ASSERT_VALUE(const auto below, co_await list_all(t.source(), "a"));
  EXPECT_EQ(paths_of(below), (std::vector<std::string>{"a/b", "a/one.txt"}));
  CO_ASSERT_TRUE(below.size() == 2 && top.size() == 3);
  EXPECT_EQ(top[0].type, EntryType::directory);
  EXPECT_EQ(top[2].type, EntryType::file);
  EXPECT_EQ(top[2].size_bytes, 3U);
  EXPECT_TRUE(top[2].mtime_ns.has_value());
  CO_ASSERT_VALUE(const auto at_target, co_await list_all(t.target(), "a"));
  EXPECT_EQ(paths_of(at_target), paths_of(below));
}

BACKEND_TEST(ListsAWholeSubtreeIfItSaysSo) {
  if (!t.capabilities().recursive_list) CO_SKIP("lists one directory at a time");
  CO_ASSERT_OK(co_await plant_tree(t));
  std::set<std::string> files;
  CO_ASSERT_VALUE(const auto all, co_await list_all(t.source(), "", true));
  for (const Entry& entry : all)
    if (entry.type == EntryType::file) files.insert(entry.path);
  EXPECT_EQ(files, (std::set<std::string>{"top.txt", "a-b", "a/one.txt", "a/b/c/two.txt"}));
  CO_ASSERT_VALUE(const auto below, co_await list_all(t.source(), "a/b", true));
  bool found = false;
  for (const Entry& entry : below) found = found || entry.path == "a/b/c/two.txt";
  EXPECT_TRUE(found);
}

BACKEND_TEST(ListsManyEntriesEachOnce) {
  constexpr int count = 1'100; // over a page of 1,000
  if (t.capabilities().directories) CO_ASSERT_OK(co_await t.fixture().plant_directory("many"));
  for (int i = 0; i < count; ++i) CO_ASSERT_OK(co_await t.fixture().plant_file(fmt::format("many/{:05}.txt", i), "x"));
  CO_ASSERT_VALUE(const auto entries, co_await list_all(t.source(), "many"));
  std::vector<std::string> expected;
  for (int i = 0; i < count; ++i) expected.push_back(fmt::format("many/{:05}.txt", i));
  EXPECT_EQ(paths_of(entries), expected);

  // A listing that is dropped half-way gives its resources back, and the next one starts at the beginning.
  for (int i = 0; i < 50; ++i) {
    CO_ASSERT_VALUE(auto listing, co_await t.source().list("many", false));
    CO_ASSERT_VALUE(const auto page, co_await listing->next());
    EXPECT_FALSE(page.empty());
  }
  CO_ASSERT_VALUE(const auto again, co_await list_all(t.source(), "many"));
  EXPECT_EQ(again.size(), entries.size());
}

Task<void> list_into(Source& source, std::string directory, std::size_t& entries) {
  CO_ASSERT_VALUE(const auto listed, co_await list_all(source, std::move(directory)));
  entries += listed.size();
}

BACKEND_TEST(ListsManyDirectoriesAtOnce) {
  std::size_t entries = 0;
  for (int i = 0; i < 40; ++i) {
    if (t.capabilities().directories) CO_ASSERT_OK(co_await t.fixture().plant_directory(fmt::format("d{}", i)));
    CO_ASSERT_OK(co_await t.fixture().plant_file(fmt::format("d{}/f", i), "x"));
  }
  TaskGroup group;
  for (int i = 0; i < 40; ++i) group.spawn(list_into(t.source(), fmt::format("d{}", i), entries));
  co_await group.join();
  EXPECT_EQ(entries, 40U);
}

BACKEND_TEST(KeepsOddNamesByteForByte) {
  const std::vector<std::string> names = odd_names(t.target());
  std::vector<std::string> expected;
  std::uint64_t number = 0;
  CO_ASSERT_OK(co_await t.target().make_directory("odd", std::nullopt));
  for (const std::string& name : names) {
    SCOPED_TRACE(escape_bytes(name));
    CO_ASSERT_OK(co_await put(t.target(), "odd/" + name, "content of " + name, t.temporary(++number)));
    expected.push_back("odd/" + name);
  }
  std::sort(expected.begin(), expected.end());
  std::vector<Error> refused;
  CO_ASSERT_VALUE(const auto entries, co_await list_all(t.source(), "odd", false, &refused));
  EXPECT_EQ(paths_of(entries), expected);
  EXPECT_TRUE(refused.empty());
  for (const std::string& name : names) {
    SCOPED_TRACE(escape_bytes(name));
    CO_ASSERT_VALUE(const std::string at_source, co_await get(t.source(), "odd/" + name));
    EXPECT_EQ(at_source, "content of " + name);
    CO_ASSERT_VALUE(const std::string at_target, co_await t.fixture().read_back("odd/" + name));
    EXPECT_EQ(at_target, "content of " + name);
  }
}

BACKEND_TEST(KeepsOddDirectoryNames) {
  std::uint64_t number = 0;
  for (const std::string& name : odd_names(t.target())) {
    SCOPED_TRACE(escape_bytes(name));
    CO_ASSERT_OK(co_await t.target().make_directory(name + "/" + name, std::nullopt));
    CO_ASSERT_OK(co_await put(t.target(), name + "/" + name + "/f", "x", t.temporary(++number)));
    CO_ASSERT_VALUE(const auto entries, co_await list_all(t.source(), name + "/" + name));
    EXPECT_EQ(paths_of(entries), (std::vector<std::string>{name + "/" + name + "/f"}));
  }
}

BACKEND_TEST(ReportsWhatCannotBeListed) {
  if (!t.capabilities().directories) CO_SKIP("has no directories");
  CO_ASSERT_OK(co_await t.fixture().plant_file("file", "x"));
  EXPECT_FAILS(co_await list_all(t.source(), "missing"), ErrorKind::not_found);
  EXPECT_FAILS(co_await list_all(t.target(), "missing/deeper"), ErrorKind::not_found);
  EXPECT_FAILS_ONE_OF(co_await list_all(t.source(), "file"), {ErrorKind::not_a_directory, ErrorKind::not_found});
}

BACKEND_TEST(StatReportsWhatIsThere) {
  CO_ASSERT_OK(co_await plant_tree(t));
  for (bool follow : {false, true}) {
    CO_ASSERT_VALUE(const Entry file, co_await t.source().stat("a/b/c/two.txt", follow));
    EXPECT_EQ(file.path, "a/b/c/two.txt");
    EXPECT_EQ(file.type, EntryType::file);
    EXPECT_EQ(file.size_bytes, 2U);
    CO_ASSERT_VALUE(const Entry directory, co_await t.target().stat("a/b", follow));
    EXPECT_EQ(directory.type, EntryType::directory);
    EXPECT_FAILS(co_await t.source().stat("a/missing", follow), ErrorKind::not_found);
    EXPECT_FAILS(co_await t.target().stat("missing/deeper", follow), ErrorKind::not_found);
    EXPECT_FAILS_ONE_OF(co_await t.source().stat("top.txt/below", follow),
                        {ErrorKind::not_a_directory, ErrorKind::not_found});
  }
  CO_ASSERT_VALUE(const Entry root, co_await t.source().stat("", true));
  EXPECT_EQ(root.type, EntryType::directory);
  EXPECT_EQ(root.path, "");
}

BACKEND_TEST(ListingAndStatAgree) {
  CO_ASSERT_OK(co_await plant_tree(t));
  CO_ASSERT_VALUE(const auto entries, co_await list_all(t.source(), ""));
  for (const Entry& listed : entries) {
    CO_ASSERT_VALUE(const Entry found, co_await t.source().stat(listed.path, false));
    EXPECT_EQ(found.type, listed.type);
    EXPECT_EQ(found.size_bytes, listed.size_bytes);
    EXPECT_EQ(found.mtime_ns, listed.mtime_ns);
    EXPECT_EQ(found.mode, listed.mode);
    EXPECT_EQ(found.etag, listed.etag);
  }
}

BACKEND_TEST(ReportsSymbolicLinksAndFollowsThemOnRequest) {
  if (!t.capabilities().symlinks) {
    EXPECT_FAILS(co_await t.source().read_link("x"), ErrorKind::unsupported);
    EXPECT_FAILS(co_await t.target().make_link("x", "y", t.temporary(1), Replace::atomic), ErrorKind::unsupported);
    co_return;
  }
  CO_ASSERT_OK(co_await t.fixture().plant_directory("real"));
  CO_ASSERT_OK(co_await t.fixture().plant_file("real/file", "through the link"));
  CO_ASSERT_OK(co_await t.fixture().plant_link("link", "real/file"));
  CO_ASSERT_OK(co_await t.fixture().plant_link("real/up", "../real/file"));
  CO_ASSERT_OK(co_await t.fixture().plant_link("dangling", "no/such"));
  CO_ASSERT_OK(co_await t.fixture().plant_link("circle", "circle"));

  CO_ASSERT_VALUE(const auto entries, co_await list_all(t.source(), ""));
  for (const Entry& entry : entries)
    EXPECT_EQ(entry.type, entry.path == "real" ? EntryType::directory : EntryType::symlink) << entry.path;
  CO_ASSERT_VALUE(const Entry link, co_await t.source().stat("link", false));
  EXPECT_EQ(link.type, EntryType::symlink);
  CO_ASSERT_VALUE(const Entry file, co_await t.source().stat("link", true));
  EXPECT_EQ(file.type, EntryType::file);
  EXPECT_EQ(file.path, "link");
  EXPECT_EQ(file.size_bytes, 16U);
  CO_ASSERT_VALUE(const std::string text, co_await t.source().read_link("link"));
  EXPECT_EQ(text, "real/file");
  for (const char* path : {"link", "real/up"}) {
    CO_ASSERT_VALUE(const std::string content, co_await get(t.source(), path));
    EXPECT_EQ(content, "through the link");
  }
  EXPECT_FAILS(co_await t.source().stat("dangling", true), ErrorKind::not_found);
  EXPECT_FALSE((co_await t.source().stat("circle", true)).has_value());
  EXPECT_FALSE((co_await t.source().read_link("real/file")).has_value());
}

BACKEND_TEST(MakesSymbolicLinks) {
  if (!t.capabilities().symlinks) CO_SKIP("has no symbolic links");
  CO_ASSERT_OK(co_await t.fixture().plant_file("file", "content"));
  CO_ASSERT_OK(co_await t.target().make_link("link", "first", t.temporary(1), Replace::if_absent));
  CO_ASSERT_VALUE(const std::string first, co_await t.source().read_link("link"));
  EXPECT_EQ(first, "first");
  if (t.capabilities().atomic_replace) {
    CO_ASSERT_OK(co_await t.target().make_link("link", "second/with space", t.temporary(2), Replace::atomic));
    CO_ASSERT_VALUE(const std::string second, co_await t.source().read_link("link"));
    EXPECT_EQ(second, "second/with space");
  }
  EXPECT_FAILS(co_await t.target().make_link("file", "x", t.temporary(3), Replace::if_absent), ErrorKind::exists);
  CO_ASSERT_VALUE(const std::string untouched, co_await t.fixture().read_back("file"));
  EXPECT_EQ(untouched, "content");
  if (t.capabilities().atomic_replace) {
    CO_ASSERT_OK(co_await t.target().make_link("file", "now a link", t.temporary(4), Replace::atomic));
    CO_ASSERT_VALUE(const std::string now, co_await t.source().read_link("file"));
    EXPECT_EQ(now, "now a link");
  }
  CO_ASSERT_VALUE(const auto names, co_await t.fixture().raw_names(""));
  EXPECT_EQ(names, (std::vector<std::string>{"file", "link"}));
}

} // namespace
} // namespace checkvalve::conformance
