// main() of the test programs that use the memory backend.
#include <gtest/gtest.h>

#include "backends/registry.h"
#include "doubles/memory/memory_backend.h"

int main(int argc, char** argv) {
  checkvalve::add_backend(checkvalve::memory_backend);
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
