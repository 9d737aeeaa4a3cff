#include "transforms/reference.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace checkvalve {
namespace {

// CHECKVALVE_WRITE_REFERENCE=1 rewrites the page.
TEST(Reference, ThePageIsThatOfTheDescriptors) {
  const auto path = std::filesystem::path(__FILE__).parent_path() / "../../../docs/reference/transforms.md";
  if (std::getenv("CHECKVALVE_WRITE_REFERENCE")) std::ofstream(path, std::ios::binary) << transforms_page();
  std::ifstream file(path, std::ios::binary);
  const std::string page{std::istreambuf_iterator<char>(file), {}};
  EXPECT_EQ(page, transforms_page())
      << "run this test with CHECKVALVE_WRITE_REFERENCE=1 and commit docs/reference/transforms.md";
}

} // namespace
} // namespace checkvalve
