// Uploads that resume what an earlier attempt left, where the target can.
#include <algorithm>

#include "conformance/backend/suite.h"

namespace checkvalve::conformance {
namespace {

constexpr std::size_t megabyte = 1 << 20;

UploadHints hints_for(TemporaryName name, std::size_t size, std::string version,
                      std::vector<TemporaryName> continues = {}) {
  return {.temporary = std::move(name),
          .size_bytes = size,
          .version = std::move(version),
          .continues = std::move(continues)};
}

// Writes the first bytes of a file, as a run that is killed then.
Task<void> leave_unfinished(BackendSuite& t, const std::string& content, std::size_t written, TemporaryName name) {
  CO_ASSERT_VALUE(auto upload, co_await t.target().begin("file", hints_for(name, content.size(), "version 1")));
  CO_ASSERT_OK(co_await write_all(*upload, content.substr(0, written), t.capabilities().chunk_bytes, 4));
}

Task<Result<Published>> finish(BackendSuite& t, Upload& upload, const std::string& content) {
  Result<void> written;
  for (std::size_t offset = upload.resumed_bytes(); offset < content.size() && written;) {
    const std::size_t piece = std::min<std::size_t>(t.capabilities().chunk_bytes, content.size() - offset);
    written = co_await upload.write(offset, Chunk::copy_of(content.substr(offset, piece)));
    offset += piece;
  }
  if (!written) co_return Failure(written.error());
  CommitOptions options;
  options.size_bytes = content.size();
  co_return co_await upload.commit(options);
}

BACKEND_TEST(ResumesAPartialUpload) {
  if (!t.capabilities().resumes_uploads) CO_SKIP("does not resume uploads");
  const std::string content = pattern(40 * megabyte + 1, 21);
  co_await leave_unfinished(t, content, 30 * megabyte, t.temporary(1));
  CO_ASSERT_VALUE(const auto left, co_await orphans_of(t.target(), "", 10));
  CO_ASSERT_TRUE(left.size() == 1);
  CO_ASSERT_VALUE(const auto path, co_await t.target().resumable_path(left.front()));
  EXPECT_EQ(path, "file");
  const TemporaryName second = t.temporary(1, 2);
  CO_ASSERT_VALUE(auto upload, co_await t.target().begin("file", hints_for(second, content.size(), "version 1",
                                                                           {t.temporary(7), t.temporary(1)})));
  EXPECT_LE(upload->resumed_bytes(), 30 * megabyte);
  CO_ASSERT_OK(co_await finish(t, *upload, content));
  CO_ASSERT_VALUE(const std::string arrived, co_await t.fixture().read_back("file"));
  EXPECT_TRUE(arrived == content);
  CO_ASSERT_VALUE(const auto names, co_await t.fixture().raw_names(""));
  EXPECT_EQ(names, (std::vector<std::string>{"file"}));
}

// After a lost connection: what was acknowledged stays, what was under way is written again, under another temporary.
BACKEND_TEST(ReopensAnUploadWhereItWasAcknowledged) {
  const std::string content = pattern(5 * megabyte + 1, 29);
  const std::size_t acknowledged = 2 * megabyte;
  CO_ASSERT_VALUE(auto upload, co_await t.target().begin("file", hints_for(t.temporary(1), content.size(), "")));
  CO_ASSERT_OK(co_await write_all(*upload, content.substr(0, 3 * megabyte), t.capabilities().chunk_bytes, 4));
  const auto reopened = co_await upload->reopen(acknowledged, t.temporary(1, 2));
  if (!reopened && reopened.error().kind == ErrorKind::unsupported) {
    CO_ASSERT_OK(co_await upload->abort());
    CO_SKIP("does not reopen uploads");
  }
  CO_ASSERT_OK(reopened);
  EXPECT_EQ(upload->resumed_bytes(), acknowledged);
  CO_ASSERT_OK(co_await t.target().discard("file", t.temporary(1))); // as a late request of the lost connection
  CO_ASSERT_OK(co_await finish(t, *upload, content));
  CO_ASSERT_VALUE(const std::string arrived, co_await t.fixture().read_back("file"));
  EXPECT_TRUE(arrived == content);
  CO_ASSERT_VALUE(const auto names, co_await t.fixture().raw_names(""));
  EXPECT_EQ(names, (std::vector<std::string>{"file"}));
}

BACKEND_TEST(AbortsAReopenedUpload) {
  const std::string content = pattern(megabyte, 31);
  CO_ASSERT_VALUE(auto upload, co_await t.target().begin("file", hints_for(t.temporary(1), content.size(), "")));
  CO_ASSERT_OK(co_await write_all(*upload, content, t.capabilities().chunk_bytes, 4));
  (void)co_await upload->reopen(content.size(), t.temporary(1, 2));
  CO_ASSERT_OK(co_await upload->abort());
  CO_ASSERT_VALUE(const auto names, co_await t.fixture().raw_names(""));
  EXPECT_TRUE(names.empty());
}

// A size and a time may be those of other content: what is resumed is what the source has.
BACKEND_TEST(ResumesWithTheBytesOfTheSource) {
  if (!t.capabilities().resumes_uploads) CO_SKIP("does not resume");
  const std::string before = pattern(40 * megabyte + 1, 21);
  const std::string after = pattern(40 * megabyte + 1, 23);
  co_await leave_unfinished(t, before, 30 * megabyte, t.temporary(1));
  CO_ASSERT_VALUE(auto upload, co_await t.target().begin(
                                   "file", hints_for(t.temporary(1, 2), after.size(), "version 1", {t.temporary(1)})));
  CO_ASSERT_OK(co_await finish(t, *upload, after));
  CO_ASSERT_VALUE(const std::string arrived, co_await t.fixture().read_back("file"));
  EXPECT_TRUE(arrived == after);
}

BACKEND_TEST(ResumesNoOtherVersion) {
  if (!t.capabilities().resumes_uploads) CO_SKIP("does not resume uploads");
  const std::string content = pattern(20 * megabyte, 22);
  co_await leave_unfinished(t, content, 18 * megabyte, t.temporary(1));
  CO_ASSERT_VALUE(auto upload, co_await t.target().begin("file", hints_for(t.temporary(1, 2), content.size(),
                                                                           "version 2", {t.temporary(1)})));
  EXPECT_EQ(upload->resumed_bytes(), 0U);
  CO_ASSERT_OK(co_await finish(t, *upload, content));
  CO_ASSERT_VALUE(const auto names, co_await t.fixture().raw_names(""));
  EXPECT_EQ(names, (std::vector<std::string>{"file"}));
}

BACKEND_TEST(ASmallFileRemovesWhatIsLeftOfALargeOne) {
  if (!t.capabilities().resumes_uploads) CO_SKIP("does not resume uploads");
  co_await leave_unfinished(t, pattern(20 * megabyte), 9 * megabyte, t.temporary(1));
  CO_ASSERT_VALUE(auto upload,
                  co_await t.target().begin("file", hints_for(t.temporary(1, 2), 5, "version 1", {t.temporary(1)})));
  CO_ASSERT_OK(co_await finish(t, *upload, "small"));
  CO_ASSERT_VALUE(const auto names, co_await t.fixture().raw_names(""));
  EXPECT_EQ(names, (std::vector<std::string>{"file"}));
}

} // namespace
} // namespace checkvalve::conformance
