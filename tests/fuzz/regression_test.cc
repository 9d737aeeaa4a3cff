// Runs the inputs of tests/fuzz/corpus through the fuzz targets, without fuzzing: those that once found a fault stay.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "fuzz/target.h"

void fuzz_chunking(checkvalve::fuzz::Input input);
void fuzz_config(checkvalve::fuzz::Input input);
void fuzz_glob(checkvalve::fuzz::Input input);
void fuzz_known_hosts(checkvalve::fuzz::Input input);
void fuzz_private_key(checkvalve::fuzz::Input input);
void fuzz_services(checkvalve::fuzz::Input input);
void fuzz_sftp_packet(checkvalve::fuzz::Input input);
void fuzz_sftp_session(checkvalve::fuzz::Input input);

namespace {

struct Target {
  const char* name;
  void (*run)(checkvalve::fuzz::Input input);
};
constexpr Target targets[] = {{"chunking", fuzz_chunking},
                              {"config", fuzz_config},
                              {"glob", fuzz_glob},
                              {"known_hosts", fuzz_known_hosts},
                              {"private_key", fuzz_private_key},
                              {"services", fuzz_services},
                              {"sftp_packet", fuzz_sftp_packet},
                              {"sftp_session", fuzz_sftp_session}};

void PrintTo(const Target& target, std::ostream* out) { *out << target.name; }

class Corpus : public ::testing::TestWithParam<Target> {};

TEST_P(Corpus, EveryInputEndsWell) {
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(std::string(CHECKVALVE_CORPUS "/") + GetParam().name)) {
    std::ifstream file(entry.path(), std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    SCOPED_TRACE(entry.path());
    GetParam().run({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
    ++count;
  }
  EXPECT_GT(count, 0);
}

INSTANTIATE_TEST_SUITE_P(Fuzz, Corpus, ::testing::ValuesIn(targets), [](const auto& info) { return info.param.name; });

} // namespace
