#include "sync/batch.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <random>

namespace checkvalve {
namespace {

struct Cut {
  std::map<std::uint32_t, std::uint64_t> files;
  std::map<std::uint32_t, std::uint64_t> bytes;
};

Cut cut(const Batching& batching, std::vector<std::uint64_t> sizes) {
  std::ranges::sort(sizes, std::greater<>());
  Balancer balancer(batching, sizes.size(), std::accumulate(sizes.begin(), sizes.end(), std::uint64_t{0}));
  Cut out;
  for (const std::uint64_t size : sizes) {
    const std::uint32_t batch = balancer.place(size);
    EXPECT_GE(batch, 1U);
    EXPECT_LE(batch, balancer.batches());
    ++out.files[batch];
    out.bytes[batch] += size;
  }
  EXPECT_EQ(out.files.size(), balancer.batches()); // none is empty
  EXPECT_LE(balancer.batches(), batching.max_batches);
  return out;
}

TEST(Balancer, KeepsTheLimitOfFiles) {
  const Cut out = cut({.max_files = 100}, std::vector<std::uint64_t>(950, 10));
  EXPECT_EQ(out.files.size(), 10U);
  for (const auto& [batch, files] : out.files) EXPECT_LE(files, 100U);
}

TEST(Balancer, KeepsTheLimitOfBytesButForASingleFile) {
  std::vector<std::uint64_t> sizes(90, 10);
  sizes.push_back(1'000);
  const Cut out = cut({.max_files = 1'000, .max_bytes = 100}, sizes);
  for (const auto& [batch, bytes] : out.bytes) EXPECT_TRUE(bytes <= 100 || out.files.at(batch) == 1) << batch;
}

TEST(Balancer, MaxBatchesWins) {
  const Cut out = cut({.max_files = 10, .max_bytes = 50, .max_batches = 4}, std::vector<std::uint64_t>(1'000, 10));
  EXPECT_EQ(out.files.size(), 4U);
  for (const auto& [batch, files] : out.files) EXPECT_NEAR(static_cast<double>(files), 250, 5);
}

TEST(Balancer, BalancesBytesAndFiles) {
  std::mt19937_64 random(7);
  std::vector<std::uint64_t> sizes;
  for (int i = 0; i < 5'000; ++i) sizes.push_back(random() % (1 << 20));
  for (int i = 0; i < 8; ++i) sizes.push_back(64 << 20);
  const Batching batching{.max_files = 700, .max_bytes = 4ULL << 30};
  const Cut out = cut(batching, sizes);
  std::vector<std::uint64_t> costs;
  for (const auto& [batch, bytes] : out.bytes) costs.push_back(bytes + out.files.at(batch) * batching.file_cost_bytes);
  const auto [least, most] = std::ranges::minmax(costs);
  EXPECT_LT(static_cast<double>(most), static_cast<double>(least) * 1.1);
}

TEST(Balancer, NoFilesNoBatches) { EXPECT_TRUE(cut({}, {}).files.empty()); }

} // namespace
} // namespace checkvalve
