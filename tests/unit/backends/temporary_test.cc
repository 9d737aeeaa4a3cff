#include "backends/temporary.h"

#include <gtest/gtest.h>

#include <set>

namespace checkvalve {
namespace {

const TemporaryName name{"7k3m9q2x5t", 12, "9f02ab17", 42};

TEST(TemporaryName, IsWrittenAndReadBack) {
  EXPECT_EQ(name.text(), ".cv-7k3m9q2x5t-12-9f02ab17-42.part");
  EXPECT_EQ(name.beside("a/b.txt"), "a/.cv-7k3m9q2x5t-12-9f02ab17-42.part");
  EXPECT_EQ(name.beside("b.txt"), name.text());
  EXPECT_EQ(parse_temporary(name.text()), name);
  const TemporaryName second{"7k3m9q2x5t", 12, "9f02ab17", 42, 2};
  EXPECT_EQ(second.text(), ".cv-7k3m9q2x5t-12-9f02ab17-42-2.part");
  EXPECT_EQ(parse_temporary(second.text()), second);
  const TemporaryName largest{"7k3m9q2x5t", 4'294'967'295U, "ffffffff", 18'446'744'073'709'551'615ULL, 4'294'967'295U};
  EXPECT_EQ(parse_temporary(largest.text()), largest);
  EXPECT_LT(largest.text().size(), 255U);
  for (const char* probe : {"Name", "a.b-c", "\xff"}) {
    const TemporaryName asks{"7k3m9q2x5t", 12, "9f02ab17", 42, 1, probe};
    EXPECT_EQ(asks.text(), std::string(".cv-7k3m9q2x5t-12-9f02ab17-42.") + probe + ".part");
    EXPECT_EQ(parse_temporary(asks.text()), asks);
  }
}

TEST(TemporaryName, IsNoOtherName) {
  for (const char* text : {"",
                           ".cv-",
                           ".part",
                           ".cv-.part",
                           ".cv-7k3m9q2x5t-1-9f02ab17-42",
                           ".cv-7k3m9q2x5t-1-9f02ab17.part",
                           "cv-7k3m9q2x5t-1-9f02ab17-42.part",
                           ".cv-7k3m9q2x5t-1-9f02ab17-42.part.bak",
                           ".cv-7K3M9Q2X5T-1-9f02ab17-42.part",
                           ".cv-7k3m9q2x5-1-9f02ab17-42.part",
                           ".cv-7k3m9q2x5t--9f02ab17-42.part",
                           ".cv-7k3m9q2x5t-1-9F02AB17-42.part",
                           ".cv-7k3m9q2x5t-1-9f02ab1g-42.part",
                           ".cv-7k3m9q2x5t-1-9f02ab17-.part",
                           ".cv-7k3m9q2x5t-1-9f02ab17--2.part",
                           ".cv-7k3m9q2x5t-4294967296-9f02ab17-42.part",
                           ".cv-7k3m9q2x5t-1-9f02ab17-42-1.part",
                           ".cv-7k3m9q2x5t-1-9f02ab17-42-.part",
                           ".cv-7k3m9q2x5t-1-9f02ab17-42-2-2.part",
                           ".cv-7k3m9q2x5t-1-9f02ab17-42..part",
                           ".cv-7k3m9q2x5t-1-9f02ab17-.Name.part",
                           ".cv-7k3m9q2x5t-+1-9f02ab17-42.part",
                           "a/.cv-7k3m9q2x5t-1-9f02ab17-42.part"})
    EXPECT_FALSE(parse_temporary(text).has_value()) << text;
}

TEST(TemporaryName, IsDrawnAtRandom) {
  std::set<std::string> plans;
  std::set<std::string> nonces;
  for (int i = 0; i < 200; ++i) {
    plans.insert(random_plan_id());
    nonces.insert(random_nonce());
    EXPECT_TRUE(parse_temporary(TemporaryName{random_plan_id(), 1, random_nonce(), 1}.text()).has_value());
  }
  EXPECT_EQ(plans.size(), 200U);
  EXPECT_EQ(nonces.size(), 200U);
}

} // namespace
} // namespace checkvalve
