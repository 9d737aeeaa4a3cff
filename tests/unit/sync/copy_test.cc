// A copy without this process in its way.
#include "sync/copy.h"

#include <gtest/gtest.h>

#include "sync_fixture.h"

namespace checkvalve {
namespace {

class ByteByByte : public DirectCopy {
public:
  explicit ByteByByte(std::uint64_t& bytes) : bytes_(bytes) {}
  Task<Result<std::uint64_t>> advance() override { co_return ++bytes_; }
  Task<Result<Published>> commit(CommitOptions) override { co_return Published(); }
  Task<Result<void>> abort() override { co_return Result<void>(); }

private:
  std::uint64_t& bytes_;
};

using DirectCopies = testing_support::SyncFixture;

TEST_F(DirectCopies, EndWhereTheRunIsCancelled) {
  auto both = connections();
  ASSERT_OK(both);
  Entry entry;
  entry.path = "file";
  entry.size_bytes = 10;
  std::uint64_t bytes = 0;
  const auto copy =
      copy_directly(*both->source, entry, std::make_unique<ByteByByte>(bytes), cancellation, [&](std::uint64_t done) {
        if (done == 3) cancellation.request(make_error(ErrorKind::interrupted, "stopped"));
      });
  EXPECT_FAILS(engine.run(copy->move()), ErrorKind::interrupted);
  EXPECT_EQ(bytes, 3U);
}

} // namespace
} // namespace checkvalve
