// Direct copies, where both sides can: no byte of the files passes through the test.
#include <algorithm>

#include "conformance/backend/suite.h"

namespace checkvalve::conformance {
namespace {

constexpr std::size_t megabyte = 1 << 20;

// begin, steps to the end, commit.
Task<Result<Published>> take(BackendSuite& t, Entry entry, std::string path, TemporaryName temporary,
                             Replace replace = Replace::atomic) {
  UploadHints hints{.temporary = std::move(temporary), .size_bytes = entry.size_bytes};
  CV_CO_TRY(auto copy, co_await t.target().begin_direct_copy(t.source().origin(), entry, path, hints));
  Result<std::uint64_t> done = 0;
  while (done && *done < entry.size_bytes) done = co_await copy->advance();
  CommitOptions options;
  options.size_bytes = entry.size_bytes;
  options.mtime_ns = entry.mtime_ns;
  options.replace = replace;
  Result<Published> published = Failure(done ? Error() : done.error());
  if (done) published = co_await copy->commit(options);
  if (!published) EXPECT_OK(co_await copy->abort());
  co_return published;
}

BACKEND_TEST(TakesFilesOfItsOwnKindByItself) {
  if (!t.source().origin()) CO_SKIP("its files come through open() only");
  std::uint64_t number = 0;
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{5'000}, 12 * megabyte + 1}) {
    const std::string content = pattern(size, 11);
    CO_ASSERT_OK(co_await t.fixture().plant_file("from", content));
    CO_ASSERT_VALUE(const Entry entry, co_await t.source().stat("from", false));
    CO_ASSERT_VALUE(const Published published, co_await take(t, entry, "to", t.temporary(++number)));
    EXPECT_FALSE(published.method.empty());
    CO_ASSERT_VALUE(const std::string arrived, co_await t.fixture().read_back("to"));
    EXPECT_TRUE(arrived == content) << size << " bytes";
    CO_ASSERT_VALUE(const Entry there, co_await t.source().stat("to", false));
    if (t.capabilities().keeps_mtime) EXPECT_EQ(there.mtime_ns, entry.mtime_ns);
  }
  CO_ASSERT_VALUE(const auto names, co_await t.fixture().raw_names(""));
  EXPECT_EQ(names, (std::vector<std::string>{"from", "to"}));
}

BACKEND_TEST(TakesNamesAsTheyAre) {
  if (!t.source().origin()) CO_SKIP("its files come through open() only");
  const std::string odd = "odd &+%2F name?#=\"'";
  CO_ASSERT_OK(co_await t.fixture().plant_file(odd, "content"));
  CO_ASSERT_VALUE(const Entry entry, co_await t.source().stat(odd, false));
  CO_ASSERT_OK(co_await take(t, entry, odd + " copy", t.temporary(1)));
  CO_ASSERT_VALUE(const std::string arrived, co_await t.fixture().read_back(odd + " copy"));
  EXPECT_EQ(arrived, "content");
}

// Where the service's copies can't refuse an existing name they do nothing, and the engine sends the file.
BACKEND_TEST(ATakenFileReplacesOnlyWhatItMay) {
  if (!t.source().origin()) CO_SKIP("its files come through open() only");
  std::uint64_t number = 0;
  std::vector<std::string> expected{"from", "to"};
  for (const std::size_t size : {std::size_t{10}, 12 * megabyte}) {
    const std::string content = pattern(size, 5);
    CO_ASSERT_OK(co_await t.fixture().plant_file("from", content));
    CO_ASSERT_OK(co_await t.fixture().plant_file("to", "old"));
    CO_ASSERT_VALUE(const Entry entry, co_await t.source().stat("from", false));
    EXPECT_FAILS_ONE_OF(co_await take(t, entry, "to", t.temporary(++number), Replace::if_absent),
                        {ErrorKind::exists, ErrorKind::unsupported});
    CO_ASSERT_VALUE(const std::string kept, co_await t.fixture().read_back("to"));
    EXPECT_EQ(kept, "old");
    const std::string fresh = "fresh" + std::to_string(size);
    const auto created = co_await take(t, entry, fresh, t.temporary(++number), Replace::if_absent);
    if (created)
      expected.push_back(fresh);
    else
      EXPECT_FAILS(created, ErrorKind::unsupported);
    CO_ASSERT_OK(co_await take(t, entry, "to", t.temporary(++number), Replace::atomic));
    CO_ASSERT_VALUE(const std::string replaced, co_await t.fixture().read_back("to"));
    EXPECT_TRUE(replaced == content);
  }
  std::sort(expected.begin(), expected.end());
  CO_ASSERT_VALUE(const auto names, co_await t.fixture().raw_names(""));
  EXPECT_EQ(names, expected);
}

BACKEND_TEST(ADroppedCopyShowsNothing) {
  if (!t.source().origin()) CO_SKIP("its files come through open() only");
  CO_ASSERT_OK(co_await t.fixture().plant_file("from", pattern(12 * megabyte)));
  CO_ASSERT_VALUE(const Entry entry, co_await t.source().stat("from", false));
  {
    UploadHints hints{.temporary = t.temporary(1), .size_bytes = entry.size_bytes};
    CO_ASSERT_VALUE(auto copy, co_await t.target().begin_direct_copy(t.source().origin(), entry, "to", hints));
    CO_ASSERT_OK(co_await copy->advance());
  }
  EXPECT_FAILS(co_await t.source().stat("to", false), ErrorKind::not_found);
  CO_ASSERT_OK(co_await t.target().discard("to", t.temporary(1)));
  CO_ASSERT_VALUE(const auto names, co_await t.fixture().raw_names(""));
  EXPECT_EQ(names, (std::vector<std::string>{"from"}));
}

BACKEND_TEST(CopiesOnlyTheVersionAskedFor) {
  if (!t.source().origin()) CO_SKIP("its files come through open() only");
  CO_ASSERT_OK(co_await t.fixture().plant_file("from", pattern(9'000, 1)));
  CO_ASSERT_VALUE(const Entry entry, co_await t.source().stat("from", false));
  if (entry.etag.empty()) CO_SKIP("has no versions: the engine looks at the source again");
  CO_ASSERT_OK(co_await t.fixture().plant_file("from", pattern(9'000, 2)));
  EXPECT_FAILS(co_await take(t, entry, "to", t.temporary(1)), ErrorKind::changed);
  CO_ASSERT_VALUE(const auto names, co_await t.fixture().raw_names(""));
  EXPECT_EQ(names, (std::vector<std::string>{"from"}));
}

struct OtherOrigin : Origin {};

BACKEND_TEST(TakesNothingOfAnotherKind) {
  CO_ASSERT_OK(co_await t.fixture().plant_file("from", "content"));
  CO_ASSERT_VALUE(const Entry entry, co_await t.source().stat("from", false));
  EXPECT_FAILS(co_await t.target().begin_direct_copy(std::make_shared<OtherOrigin>(), entry, "to", {t.temporary(1)}),
               ErrorKind::unsupported);
  CO_ASSERT_VALUE(const auto names, co_await t.fixture().raw_names(""));
  EXPECT_EQ(names, (std::vector<std::string>{"from"}));
}

} // namespace
} // namespace checkvalve::conformance
