// Reading, and that a source changes nothing.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "conformance/backend/suite.h"

namespace checkvalve::conformance {
namespace {

constexpr std::size_t megabyte = 1 << 20;

BACKEND_TEST(ReadsRanges) {
  const std::string content = pattern(100'000);
  CO_ASSERT_OK(co_await t.fixture().plant_file("file", content));
  CO_ASSERT_VALUE(const Entry entry, co_await t.source().stat("file", true));
  CO_ASSERT_VALUE(auto reader, co_await t.source().open(entry));
  if (!t.source().capabilities().ranged_reads) CO_SKIP("reads one ascending stream");
  struct Range {
    std::uint64_t offset;
    std::uint32_t size;
  };
  for (const Range& range :
       {Range{0, 10}, {50'000, 1'000}, {99'999, 1}, {99'000, 5'000}, {100'000, 10}, {5'000'000'000, 10}, {7, 1}}) {
    CO_ASSERT_VALUE(const Chunk chunk, co_await reader->read(range.offset, range.size));
    EXPECT_EQ(chunk.text(),
              std::string_view(content).substr(std::min<std::uint64_t>(range.offset, content.size()), range.size))
        << "at " << range.offset;
  }
}

BACKEND_TEST(ReadsFilesOfAllSizesToTheEnd) {
  const std::size_t chunk = t.source().capabilities().chunk_bytes;
  for (std::size_t size : {std::size_t{0}, std::size_t{1}, chunk - 1, chunk, chunk + 1, 3 * megabyte + 1}) {
    const std::string content = pattern(size, static_cast<std::uint32_t>(size));
    CO_ASSERT_OK(co_await t.fixture().plant_file(fmt::format("file{}", size), content));
    CO_ASSERT_VALUE(const std::string read, co_await get(t.source(), fmt::format("file{}", size)));
    EXPECT_TRUE(read == content) << size << " bytes, read " << read.size();
  }
}

BACKEND_TEST(ReadsWholeFilesAndLooksAgain) {
  const std::size_t chunk = t.source().capabilities().chunk_bytes;
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{40'000}, chunk}) {
    const std::string path = fmt::format("file{}", size);
    const std::string content = pattern(size, 11);
    CO_ASSERT_OK(co_await t.fixture().plant_file(path, content));
    CO_ASSERT_VALUE(const Entry entry, co_await t.source().stat(path, true));
    CO_ASSERT_VALUE(auto reader, co_await t.source().open(entry));
    CO_ASSERT_VALUE(const Reader::Whole whole, co_await reader->read_whole(static_cast<std::uint32_t>(size)));
    EXPECT_TRUE(whole.content.text() == content) << size << " bytes, read " << whole.content.size();
    CO_ASSERT_VALUE(const Entry after, whole.after);
    EXPECT_EQ(after.size_bytes, size);
    EXPECT_EQ(after.mtime_ns, entry.mtime_ns);
    EXPECT_EQ(after.path, path);
  }
}

BACKEND_TEST(AWholeFileThatBecameShorterIsRead) {
  CO_ASSERT_OK(co_await t.fixture().plant_file("file", pattern(1'000)));
  CO_ASSERT_VALUE(Entry entry, co_await t.source().stat("file", true));
  entry.size_bytes = 3'000;
  auto reader = co_await t.source().open(entry);
  if (!reader) {
    EXPECT_EQ(reader.error().kind, ErrorKind::changed) << reader.error().text();
    co_return;
  }
  CO_ASSERT_VALUE(const Reader::Whole whole, co_await (*reader)->read_whole(3'000));
  EXPECT_TRUE(whole.content.text() == pattern(1'000));
  CO_ASSERT_VALUE(const Entry after, whole.after);
  EXPECT_EQ(after.size_bytes, 1'000u);
}

Task<void> read_into(Reader& reader, std::uint64_t offset, std::uint32_t size, std::string& content) {
  CO_ASSERT_VALUE(const Chunk chunk, co_await reader.read(offset, size));
  chunk.text().copy(content.data() + offset, chunk.size());
}

BACKEND_TEST(ServesManyReadsOfAFileAtOnce) {
  if (!t.source().capabilities().ranged_reads) CO_SKIP("reads one ascending stream");
  const std::string content = pattern(3 * megabyte + 17);
  CO_ASSERT_OK(co_await t.fixture().plant_file("file", content));
  CO_ASSERT_VALUE(const Entry entry, co_await t.source().stat("file", true));
  CO_ASSERT_VALUE(auto reader, co_await t.source().open(entry));
  constexpr std::uint32_t piece = 30'001;
  std::string read(content.size(), '\0');
  std::vector<std::uint64_t> offsets;
  for (std::uint64_t offset = 0; offset < content.size(); offset += piece) offsets.push_back(offset);
  std::reverse(offsets.begin(), offsets.begin() + static_cast<std::ptrdiff_t>(offsets.size() / 2));
  TaskGroup group;
  for (std::uint64_t offset : offsets) group.spawn(read_into(*reader, offset, piece, read));
  co_await group.join();
  EXPECT_TRUE(read == content);
}

Task<void> get_into(Source& source, std::string path, std::string& content) {
  CO_ASSERT_VALUE(content, co_await get(source, std::move(path)));
}

BACKEND_TEST(ReadsAsManyFilesAtOnceAsItSays) {
  const std::size_t count = std::min<std::size_t>(t.source().capabilities().files_in_flight, 64);
  std::vector<std::unique_ptr<Reader>> open;
  for (std::size_t i = 0; i < count; ++i) {
    CO_ASSERT_OK(co_await t.fixture().plant_file(fmt::format("f{}", i), pattern(1'000, static_cast<std::uint32_t>(i))));
    CO_ASSERT_VALUE(const Entry entry, co_await t.source().stat(fmt::format("f{}", i), true));
    CO_ASSERT_VALUE(auto reader, co_await t.source().open(entry));
    open.push_back(std::move(reader));
  }
  open.clear(); // gives the files back: the next ones can be opened

  std::map<std::string, std::string> contents;
  TaskGroup group;
  for (std::size_t i = 0; i < count; ++i) {
    const std::string path = fmt::format("f{}", i);
    group.spawn(get_into(t.source(), path, contents[path]));
  }
  co_await group.join();
  for (std::size_t i = 0; i < count; ++i)
    EXPECT_TRUE(contents[fmt::format("f{}", i)] == pattern(1'000, static_cast<std::uint32_t>(i))) << i;
}

BACKEND_TEST(ReaderReportsThatAFileChanged) {
  CO_ASSERT_OK(co_await t.fixture().plant_file("file", "before"));
  CO_ASSERT_VALUE(const Entry entry, co_await t.source().stat("file", true));
  CO_ASSERT_VALUE(auto reader, co_await t.source().open(entry));
  CO_ASSERT_VALUE(const Entry same, co_await reader->stat());
  EXPECT_EQ(same.path, entry.path);
  EXPECT_EQ(same.size_bytes, entry.size_bytes);
  EXPECT_EQ(same.mtime_ns, entry.mtime_ns);
  EXPECT_EQ(same.etag, entry.etag);
  CO_ASSERT_OK(co_await t.fixture().plant_file("file", "after, and longer"));
  CO_ASSERT_VALUE(const Entry changed, co_await reader->stat());
  EXPECT_EQ(changed.size_bytes, 17U);
}

BACKEND_TEST(ReportsWhatCannotBeOpened) {
  Entry missing;
  missing.path = "missing";
  EXPECT_FAILS(co_await t.source().open(missing), ErrorKind::not_found);
  CO_ASSERT_OK(co_await t.fixture().plant_file("file", "x"));
  if (t.capabilities().directories) {
    CO_ASSERT_OK(co_await t.fixture().plant_directory("directory"));
    CO_ASSERT_VALUE(const Entry directory, co_await t.source().stat("directory", true));
    EXPECT_FAILS(co_await t.source().open(directory), ErrorKind::is_a_directory);
    Entry below;
    below.path = "file/below";
    EXPECT_FAILS_ONE_OF(co_await t.source().open(below), {ErrorKind::not_a_directory, ErrorKind::not_found});
  }
}

BACKEND_TEST(ReportsThatAFileMayNotBeRead) {
  CO_ASSERT_OK(co_await t.fixture().plant_file("secret", "x"));
  CO_ASSERT_OK(co_await t.fixture().plant_file("open", "y"));
  if (!t.fixture().deny("secret")) CO_SKIP("this user may read everything");
  EXPECT_FAILS(co_await get(t.source(), "secret"), ErrorKind::permission);
  CO_ASSERT_VALUE(const std::string other, co_await get(t.source(), "open"));
  EXPECT_EQ(other, "y");
}

BACKEND_TEST(ErrorsSayTheReason) {
  const auto missing = co_await get(t.source(), "some where/missing.txt");
  CO_ASSERT_TRUE(!missing.has_value());
  EXPECT_FALSE(missing.error().message.empty());
  EXPECT_EQ(missing.error().status, ErrorStatus::permanent);
}

// Names, sizes, mtimes and modes of all that is there.
Task<Result<std::string>> picture(Target& target, std::string directory) {
  CV_CO_TRY(const auto entries, co_await list_all(target, std::move(directory)));
  std::string out;
  for (const Entry& entry : entries) {
    out += fmt::format("{} {} {} {} {}\n", entry.path, static_cast<int>(entry.type), entry.size_bytes,
                       entry.mtime_ns.value_or(0), entry.mode.value_or(0));
    if (entry.type != EntryType::directory) continue;
    CV_CO_TRY(const std::string below, co_await picture(target, entry.path));
    out += below;
  }
  co_return out;
}

BACKEND_TEST(SourceChangesNothing) {
  CO_ASSERT_OK(co_await t.target().make_directory("a", std::nullopt));
  CO_ASSERT_OK(co_await put(t.target(), "a/file", "content", t.temporary(1)));
  CO_ASSERT_OK(co_await put(t.target(), t.temporary(7).text(), "looks like a leftover", t.temporary(2)));
  if (t.capabilities().symlinks)
    CO_ASSERT_OK(co_await t.target().make_link("link", "a/file", t.temporary(3), Replace::atomic));
  CO_ASSERT_VALUE(const std::string before, co_await picture(t.target(), ""));

  CO_ASSERT_OK(co_await list_all(t.source(), ""));
  CO_ASSERT_OK(co_await list_all(t.source(), "a"));
  CO_ASSERT_OK(co_await get(t.source(), "a/file"));
  CO_ASSERT_OK(co_await t.source().stat("a", true));
  (void)co_await t.source().read_link("link");
  (void)co_await get(t.source(), "missing");
  (void)co_await list_all(t.source(), "missing");

  CO_ASSERT_VALUE(const std::string after, co_await picture(t.target(), ""));
  EXPECT_EQ(before, after);
}

} // namespace
} // namespace checkvalve::conformance
