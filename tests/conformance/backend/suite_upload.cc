// Writing and publishing.
#include <fmt/format.h>

#include <algorithm>

#include "conformance/backend/suite.h"

namespace checkvalve::conformance {
namespace {

constexpr std::size_t megabyte = 1 << 20;

CommitOptions with(Replace replace) {
  CommitOptions options;
  options.replace = replace;
  return options;
}

BACKEND_TEST(PublishesFilesOfAllSizes) {
  const std::size_t chunk = t.capabilities().chunk_bytes;
  std::uint64_t number = 0;
  for (std::size_t size : {std::size_t{0}, std::size_t{1}, chunk, chunk + 1, 3 * megabyte + 1}) {
    const std::string path = fmt::format("file{}", size);
    const std::string content = pattern(size, 7);
    CO_ASSERT_VALUE(const Published published, co_await put(t.target(), path, content, t.temporary(++number)));
    EXPECT_FALSE(published.method.empty());
    CO_ASSERT_VALUE(const std::string at_target, co_await t.fixture().read_back(path));
    EXPECT_TRUE(at_target == content) << size << " bytes";
    CO_ASSERT_VALUE(const Entry entry, co_await t.source().stat(path, false));
    EXPECT_EQ(entry.size_bytes, size);
    EXPECT_EQ(entry.type, EntryType::file);
  }
  CO_ASSERT_VALUE(const auto names, co_await t.fixture().raw_names(""));
  EXPECT_EQ(names.size(), number) << "temporaries stayed";
}

BACKEND_TEST(PublishesWholeFilesInOneGo) {
  std::uint64_t number = 0;
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{t.capabilities().chunk_bytes}}) {
    const std::string path = fmt::format("file{}", size);
    const std::string content = pattern(size, 5);
    CO_ASSERT_VALUE(auto upload, co_await t.target().begin(path, {t.temporary(++number), size}));
    CommitOptions options;
    options.size_bytes = size;
    CO_ASSERT_OK(co_await upload->write_and_commit(Chunk::copy_of(content), options));
    CO_ASSERT_VALUE(const std::string at_target, co_await t.fixture().read_back(path));
    EXPECT_TRUE(at_target == content) << size << " bytes";
  }
  CO_ASSERT_VALUE(const auto names, co_await t.fixture().raw_names(""));
  EXPECT_EQ(names.size(), number) << "temporaries stayed";
}

BACKEND_TEST(AWholeFileOfAnotherSizeIsNotPublished) {
  CO_ASSERT_VALUE(auto upload, co_await t.target().begin("file", {t.temporary(1), std::nullopt}));
  CommitOptions options;
  options.size_bytes = 9;
  EXPECT_FAILS(co_await upload->write_and_commit(Chunk::copy_of(std::string_view("12345678")), options),
               ErrorKind::integrity);
  CO_ASSERT_OK(co_await upload->abort());
  CO_ASSERT_VALUE(const auto names, co_await t.fixture().raw_names(""));
  EXPECT_TRUE(names.empty());
}

BACKEND_TEST(TakesOddPiecesWithManyWritesInFlight) {
  const std::string content = pattern(3 * megabyte + 1, 3);
  const std::size_t piece = std::min<std::size_t>(t.capabilities().chunk_bytes, 100'003) - 1;
  CO_ASSERT_VALUE(auto upload, co_await t.target().begin("file", {t.temporary(1), content.size()}));
  CO_ASSERT_OK(co_await write_all(*upload, content, piece, 200));
  CommitOptions options;
  options.size_bytes = content.size();
  CO_ASSERT_OK(co_await upload->commit(options));
  CO_ASSERT_VALUE(const std::string at_target, co_await t.fixture().read_back("file"));
  EXPECT_TRUE(at_target == content);
}

BACKEND_TEST(ANewFileMayBeReadAndWrittenByItsOwner) {
  CO_ASSERT_OK(co_await put(t.target(), "file", "content", t.temporary(1)));
  CO_ASSERT_VALUE(const Entry entry, co_await t.source().stat("file", false));
  if (!entry.mode) CO_SKIP("has no modes");
  EXPECT_EQ(*entry.mode & 0600, 0600U);
}

BACKEND_TEST(ChecksDigestsOfWhatItHolds) {
  const auto algorithm = co_await t.target().server_side_checksum();
  if (!algorithm) {
    EXPECT_EQ(algorithm.error().kind, ErrorKind::unsupported) << algorithm.error().text();
    CO_SKIP("has no server-side checksums");
  }
  CO_ASSERT_VALUE(const auto names, co_await t.fixture().raw_names(""));
  EXPECT_TRUE(names.empty()) << "finding out left something behind";
  std::uint64_t number = 0;
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, 9 * megabyte + 1}) {
    const std::string content = pattern(size, 31);
    const std::string path = "with a space " + std::to_string(++number);
    Hasher hasher(*algorithm);
    hasher.update(std::as_bytes(std::span(content)));
    CommitOptions options;
    options.content_digest = hasher.digest();
    CO_ASSERT_OK(co_await put(t.target(), path, content, t.temporary(number), options));
    CO_ASSERT_VALUE(const std::string at_target, co_await t.fixture().read_back(path));
    EXPECT_TRUE(at_target == content) << size << " bytes";
  }
  CommitOptions others;
  others.content_digest = Hasher(*algorithm).digest();
  EXPECT_FAILS(co_await put(t.target(), "other", "not what the digest says", t.temporary(9), others),
               ErrorKind::integrity);
}

BACKEND_TEST(KeepsRunsOfZeros) {
  const std::size_t chunk = t.capabilities().chunk_bytes;
  const std::string zeros(2 * chunk, '\0');
  const std::string content = zeros + "in the middle" + zeros + zeros;
  CO_ASSERT_OK(co_await put(t.target(), "sparse", content, t.temporary(1)));
  CO_ASSERT_VALUE(const std::string at_target, co_await t.fixture().read_back("sparse"));
  EXPECT_TRUE(at_target == content);
  CO_ASSERT_OK(co_await put(t.target(), "nothing but zeros", zeros, t.temporary(2)));
  CO_ASSERT_VALUE(const std::string empty, co_await t.fixture().read_back("nothing but zeros"));
  EXPECT_TRUE(empty == zeros);
}

BACKEND_TEST(ShowsNothingBeforeCommit) {
  CO_ASSERT_VALUE(auto upload, co_await t.target().begin("new", {t.temporary(1), 8}));
  CO_ASSERT_OK(co_await upload->write(0, Chunk::copy_of(std::string_view("12345678"))));
  EXPECT_FAILS(co_await t.source().stat("new", false), ErrorKind::not_found);
  CO_ASSERT_VALUE(const auto during, co_await t.fixture().raw_names(""));
  for (const std::string& name : during) EXPECT_EQ(name, t.temporary(1).text());
  CommitOptions options;
  options.size_bytes = 8;
  CO_ASSERT_OK(co_await upload->commit(options));
  CO_ASSERT_VALUE(const auto after, co_await t.fixture().raw_names(""));
  EXPECT_EQ(after, (std::vector<std::string>{"new"}));
}

BACKEND_TEST(AbortLeavesNothing) {
  CO_ASSERT_VALUE(auto upload, co_await t.target().begin("file", {t.temporary(1), std::nullopt}));
  CO_ASSERT_OK(co_await upload->write(0, Chunk::copy_of(pattern(1'000))));
  CO_ASSERT_OK(co_await upload->abort());
  upload.reset();
  CO_ASSERT_VALUE(const auto names, co_await t.fixture().raw_names(""));
  EXPECT_TRUE(names.empty());
}

Task<void> write_whatever(Upload& upload, std::uint64_t offset, std::size_t size) {
  (void)co_await upload.write(offset, Chunk::copy_of(pattern(size)));
}

BACKEND_TEST(AbortWaitsForWritesUnderWay) {
  const std::size_t piece = t.capabilities().chunk_bytes;
  CO_ASSERT_VALUE(auto upload, co_await t.target().begin("file", {t.temporary(1), std::nullopt}));
  TaskGroup writes;
  for (std::uint64_t i = 0; i < 8; ++i) writes.spawn(write_whatever(*upload, i * piece, piece));
  CO_ASSERT_OK(co_await upload->abort());
  co_await writes.join();
  upload.reset();
  CO_ASSERT_VALUE(const auto names, co_await t.fixture().raw_names(""));
  EXPECT_TRUE(names.empty());
}

BACKEND_TEST(ADroppedUploadLeavesOnlyItsTemporary) {
  CO_ASSERT_OK(co_await t.fixture().plant_file("file", "old"));
  {
    CO_ASSERT_VALUE(auto upload, co_await t.target().begin("file", {t.temporary(1), std::nullopt}));
    CO_ASSERT_OK(co_await upload->write(0, Chunk::copy_of(pattern(1'000))));
  }
  CO_ASSERT_VALUE(const std::string old, co_await t.fixture().read_back("file"));
  EXPECT_EQ(old, "old");
  CO_ASSERT_VALUE(const auto names, co_await t.fixture().raw_names(""));
  for (const std::string& name : names) EXPECT_TRUE(name == "file" || name == t.temporary(1).text()) << name;
  CO_ASSERT_OK(co_await t.target().discard("file", t.temporary(1)));
  CO_ASSERT_VALUE(const auto left, co_await t.fixture().raw_names(""));
  EXPECT_EQ(left, (std::vector<std::string>{"file"}));
}

BACKEND_TEST(BeginsOverItsOwnLeftover) {
  {
    CO_ASSERT_VALUE(auto first, co_await t.target().begin("file", {t.temporary(1), std::nullopt}));
    CO_ASSERT_OK(co_await first->write(0, Chunk::copy_of(pattern(1'000))));
  }
  CO_ASSERT_OK(co_await put(t.target(), "file", "short", t.temporary(1)));
  CO_ASSERT_VALUE(const std::string content, co_await t.fixture().read_back("file"));
  EXPECT_EQ(content, "short");
  CO_ASSERT_VALUE(const auto names, co_await t.fixture().raw_names(""));
  EXPECT_EQ(names, (std::vector<std::string>{"file"}));
}

BACKEND_TEST(RefusesToPublishAnotherSize) {
  CO_ASSERT_OK(co_await t.fixture().plant_file("file", "old"));
  for (std::uint64_t wrong : {std::uint64_t{0}, std::uint64_t{999}, std::uint64_t{1'001}}) {
    CO_ASSERT_VALUE(auto upload, co_await t.target().begin("file", {t.temporary(wrong), std::nullopt}));
    CO_ASSERT_OK(co_await upload->write(0, Chunk::copy_of(pattern(1'000))));
    CommitOptions options = with(Replace::allow_gap);
    options.size_bytes = wrong;
    EXPECT_FAILS(co_await upload->commit(options), ErrorKind::integrity);
    CO_ASSERT_OK(co_await upload->abort());
  }
  CO_ASSERT_VALUE(const std::string content, co_await t.fixture().read_back("file"));
  EXPECT_EQ(content, "old");
  CO_ASSERT_VALUE(const auto names, co_await t.fixture().raw_names(""));
  EXPECT_EQ(names, (std::vector<std::string>{"file"}));
}

BACKEND_TEST(ReplacesAFile) {
  CO_ASSERT_OK(co_await t.fixture().plant_file("file", "the old content"));
  const auto atomic = co_await put(t.target(), "file", "new", t.temporary(1));
  if (t.capabilities().atomic_replace) {
    EXPECT_OK(atomic);
  } else {
    EXPECT_FAILS(atomic, ErrorKind::unsupported);
    CO_ASSERT_VALUE(const std::string untouched, co_await t.fixture().read_back("file"));
    EXPECT_EQ(untouched, "the old content");
    CO_ASSERT_OK(co_await t.target().discard("file", t.temporary(1)));
    CO_ASSERT_OK(co_await put(t.target(), "file", "new", t.temporary(2), with(Replace::allow_gap)));
  }
  CO_ASSERT_VALUE(const std::string content, co_await t.fixture().read_back("file"));
  EXPECT_EQ(content, "new");
  CO_ASSERT_OK(co_await put(t.target(), "file", "newer", t.temporary(3), with(Replace::allow_gap)));
  CO_ASSERT_OK(co_await put(t.target(), "fresh", "a new name needs no replacing", t.temporary(4)));
  CO_ASSERT_VALUE(const auto names, co_await t.fixture().raw_names(""));
  EXPECT_EQ(names, (std::vector<std::string>{"file", "fresh"}));
}

BACKEND_TEST(RefusesAnExistingNameIfAskedTo) {
  CO_ASSERT_OK(co_await put(t.target(), "new", "content", t.temporary(1), with(Replace::if_absent)));
  CO_ASSERT_OK(co_await t.fixture().plant_file("old", "old"));
  CO_ASSERT_VALUE(auto upload, co_await t.target().begin("old", {t.temporary(2), 3}));
  CO_ASSERT_OK(co_await upload->write(0, Chunk::copy_of(std::string_view("new"))));
  CommitOptions options = with(Replace::if_absent);
  options.size_bytes = 3;
  EXPECT_FAILS(co_await upload->commit(options), ErrorKind::exists);
  CO_ASSERT_OK(co_await upload->abort());
  CO_ASSERT_VALUE(const std::string content, co_await t.fixture().read_back("old"));
  EXPECT_EQ(content, "old");
  CO_ASSERT_VALUE(const auto names, co_await t.fixture().raw_names(""));
  EXPECT_EQ(names, (std::vector<std::string>{"new", "old"}));
}

struct Race {
  std::vector<std::string> winners;
  std::vector<ErrorKind> losers;
};

Task<void> race_for(BackendSuite& t, std::uint64_t number, Race& race) {
  const std::string content = fmt::format("content of {}", number);
  auto published = co_await put(t.target(), "prize", content, t.temporary(number), with(Replace::if_absent));
  if (published) {
    race.winners.push_back(content);
  } else {
    race.losers.push_back(published.error().kind);
    EXPECT_OK(co_await t.target().discard("prize", t.temporary(number)));
  }
}

BACKEND_TEST(LetsOneOfManyCreateAName) {
  if (!t.capabilities().create_if_absent || t.capabilities().files_in_flight < 10)
    CO_SKIP("no atomic create-if-absent");
  Race race;
  TaskGroup group;
  for (std::uint64_t i = 1; i <= 10; ++i) group.spawn(race_for(t, i, race));
  co_await group.join();
  CO_ASSERT_TRUE(race.winners.size() == 1);
  for (ErrorKind kind : race.losers) EXPECT_EQ(kind, ErrorKind::exists);
  CO_ASSERT_VALUE(const std::string content, co_await t.fixture().read_back("prize"));
  EXPECT_EQ(content, race.winners.front());
}

BACKEND_TEST(KeepsTheMtime) {
  if (!t.capabilities().keeps_mtime) CO_SKIP("keeps no mtimes");
  const std::int64_t precision = t.capabilities().mtime_precision_ns;
  std::uint64_t number = 0;
  for (std::int64_t mtime_ns : {std::int64_t{1'234'567'890'123'456'789}, std::int64_t{1'000'000'000'000'000'000},
                                std::int64_t{2'000'000'000}}) {
    CommitOptions options = with(Replace::allow_gap);
    options.mtime_ns = mtime_ns;
    CO_ASSERT_OK(co_await put(t.target(), "file", "content", t.temporary(++number), options));
    CO_ASSERT_VALUE(const Entry entry, co_await t.source().stat("file", false));
    CO_ASSERT_TRUE(entry.mtime_ns.has_value());
    EXPECT_EQ(*entry.mtime_ns % precision, 0) << *entry.mtime_ns;
    EXPECT_LT(std::abs(*entry.mtime_ns - mtime_ns), precision) << *entry.mtime_ns;
  }
}

BACKEND_TEST(KeepsTheMode) {
  if (!t.capabilities().keeps_mode) CO_SKIP("keeps no modes");
  std::uint64_t number = 0;
  for (std::uint32_t mode : {0644U, 0600U, 0755U, 0440U}) {
    CommitOptions options = with(Replace::allow_gap);
    options.mode = mode;
    CO_ASSERT_OK(co_await put(t.target(), "file", "content", t.temporary(++number), options));
    CO_ASSERT_VALUE(const Entry entry, co_await t.source().stat("file", false));
    EXPECT_EQ(entry.mode, mode);
  }
  CO_ASSERT_OK(co_await t.target().make_directory("directory", 0750));
  CO_ASSERT_VALUE(const Entry directory, co_await t.source().stat("directory", false));
  EXPECT_EQ(directory.mode, 0750U);
}

BACKEND_TEST(PublishesWithoutDurabilityToo) {
  CommitOptions options;
  options.durable = false;
  CO_ASSERT_OK(co_await put(t.target(), "file", "content", t.temporary(1), options));
  CO_ASSERT_VALUE(const std::string content, co_await t.fixture().read_back("file"));
  EXPECT_EQ(content, "content");
}

Task<void> put_one(BackendSuite& t, std::uint64_t number, Semaphore& slots) {
  const auto slot = co_await slots.acquire();
  EXPECT_OK(co_await put(t.target(), fmt::format("files/{:03}", number),
                         pattern(10'000, static_cast<std::uint32_t>(number)), t.temporary(number)));
}

BACKEND_TEST(TakesAHundredFilesAtOnce) {
  CO_ASSERT_OK(co_await t.target().make_directory("files", std::nullopt));
  Semaphore slots(t.capabilities().files_in_flight);
  TaskGroup group;
  for (std::uint64_t i = 0; i < 100; ++i) group.spawn(put_one(t, i, slots));
  co_await group.join();
  CO_ASSERT_VALUE(const auto names, co_await t.fixture().raw_names("files"));
  EXPECT_EQ(names.size(), 100U);
  for (std::uint64_t i = 0; i < 100; ++i) {
    CO_ASSERT_VALUE(const std::string content, co_await t.fixture().read_back(fmt::format("files/{:03}", i)));
    EXPECT_TRUE(content == pattern(10'000, static_cast<std::uint32_t>(i))) << i;
  }
}

BACKEND_TEST(ReportsWhatCannotBeWritten) {
  if (!t.capabilities().directories) CO_SKIP("has no directories");
  CO_ASSERT_OK(co_await t.fixture().plant_file("file", "x"));
  CO_ASSERT_OK(co_await t.fixture().plant_directory("directory"));
  CO_ASSERT_OK(co_await t.fixture().plant_file("directory/kept", "y"));
  EXPECT_FAILS(co_await t.target().begin("missing/file", {t.temporary(1), 1}), ErrorKind::not_found);
  EXPECT_FAILS_ONE_OF(co_await t.target().begin("file/below", {t.temporary(2), 1}),
                      {ErrorKind::not_a_directory, ErrorKind::not_found});
  EXPECT_FAILS_ONE_OF(co_await put(t.target(), "directory", "x", t.temporary(3), with(Replace::allow_gap)),
                      {ErrorKind::is_a_directory, ErrorKind::exists});
  CO_ASSERT_VALUE(const std::string kept, co_await t.fixture().read_back("directory/kept"));
  EXPECT_EQ(kept, "y");
}

BACKEND_TEST(ReportsThatADirectoryMayNotBeWritten) {
  if (!t.capabilities().directories) CO_SKIP("has no directories");
  CO_ASSERT_OK(co_await t.fixture().plant_directory("locked"));
  if (!t.fixture().deny("locked")) CO_SKIP("this user may write everywhere");
  EXPECT_FAILS(co_await t.target().begin("locked/file", {t.temporary(1), 1}), ErrorKind::permission);
  EXPECT_FAILS(co_await t.target().make_directory("locked/sub", std::nullopt), ErrorKind::permission);
}

} // namespace
} // namespace checkvalve::conformance
