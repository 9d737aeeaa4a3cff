// The example of docs/transforms.md, "Write your own".
#include "transforms/transform.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>

namespace checkvalve {
namespace {

char rotated(char c) {
  const auto turn = [](char letter, char first) { return static_cast<char>(first + (letter - first + 13) % 26); };
  if (c >= 'a' && c <= 'z') return turn(c, 'a');
  if (c >= 'A' && c <= 'Z') return turn(c, 'A');
  return c;
}

class Rot13Stage : public Stage {
public:
  Result<void> push(Chunk& in, Emit& out) override {
    while (!in.empty() && !out.full()) { // back-pressure: stop when there is no room
      const std::size_t n = std::min(in.size(), out.room().size());
      for (std::size_t i = 0; i < n; ++i) out.room()[i] = std::byte(rotated(static_cast<char>(in.data()[i])));
      out.advance(n);
      in.narrow(n, in.size() - n);
    }
    return {};
  }
  Result<bool> finish(Emit&) override { return true; }
};

class Rot13 : public Transform {
public:
  bool keeps_size() const override { return true; }
  std::uint64_t memory_bytes(std::optional<std::uint64_t>) const override { return 0; }
  Result<std::unique_ptr<Stage>> start(const FileContext&) const override { return std::make_unique<Rot13Stage>(); }
};

const TransformDescriptor rot13_transform = {
    .name = "rot13",
    .summary = "rotates letters by 13 places",
    .stage_class = StageClass::stateless,
    .make = [](const OptionValues&) -> Result<std::shared_ptr<const Transform>> { return std::make_shared<Rot13>(); },
};

TEST(Example, DoesWhatTheGuideSays) {
  const std::map<std::string, std::string> none;
  const auto transform = rot13_transform.make(OptionValues(rot13_transform.options, none));
  ASSERT_TRUE(transform.has_value());
  const auto stage = (*transform)->start({"a", "a", 5});
  ASSERT_TRUE(stage.has_value());
  Emit out;
  Chunk in = Chunk::copy_of("Hello");
  ASSERT_TRUE((*stage)->push(in, out).has_value());
  EXPECT_TRUE(in.empty());
  EXPECT_TRUE(*(*stage)->finish(out));
  EXPECT_EQ(out.take(true).text(), "Uryyb");
}

std::string read_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(Example, IsWhatTheGuideShows) {
  const std::filesystem::path here = __FILE__;
  const std::string source = read_file(here);
  const std::string guide = read_file(here.parent_path() / "../../../docs/transforms.md");
  const std::size_t begin = guide.find("    #include \"transforms/transform.h\"");
  const std::size_t end = guide.find("\nThen add ", begin);
  ASSERT_NE(end, guide.npos);
  std::istringstream lines(guide.substr(begin, end - begin));
  std::size_t compared = 0;
  for (std::string line; std::getline(lines, line);) {
    if (line.empty()) continue;
    EXPECT_NE(source.find(line.substr(4) + "\n"), source.npos) << line;
    ++compared;
  }
  EXPECT_GT(compared, 20U);
}

} // namespace
} // namespace checkvalve
