// The app as a whole, and the pages made from it.
#include "cli/program.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "cli/completions.h"
#include "cli/reference.h"

namespace checkvalve {
namespace {

std::string read_page(const char* name) {
  const auto root = std::filesystem::path(__FILE__).parent_path() / "../../..";
  std::ifstream file(root / "docs/reference" / name);
  std::ostringstream text;
  text << file.rdbuf();
  return std::move(text).str();
}

class Program : public testing::Test {
protected:
  std::unique_ptr<CommandLine> line = make_command_line();
};

TEST_F(Program, CommittedPagesAreWhatTheProgramPrints) {
  EXPECT_EQ(read_page("commands.md"), commands_page(*line)) << "regenerate it: ./dev docs";
  EXPECT_EQ(read_page("config.md"), config_page()) << "regenerate it: ./dev docs";
}

TEST_F(Program, EveryCommandIsEverywhere) {
  EXPECT_EQ(line->commands().size(), 14u);
  for (const auto& command : line->commands()) {
    const std::string name = command->name();
    ASSERT_FALSE(command->examples().empty()) << name;
    EXPECT_NE(command->examples().front().find("checkvalve " + name), std::string::npos) << name;
    EXPECT_FALSE(command->description().empty()) << name;
    for (const std::string& script : {bash_completions(*line), zsh_completions(*line), fish_completions(*line)})
      EXPECT_NE(script.find(name), std::string::npos) << name;
    EXPECT_NE(man_page(*line).find(".SS checkvalve "), std::string::npos) << name;
    for (const ParameterGroup& group : option_groups(*command))
      for (const Parameter* option : group.parameters) {
        EXPECT_FALSE(option->help.empty()) << name << " " << option->names;
        EXPECT_NE(bash_completions(*line).find(option->all_names().back()), std::string::npos) << option->names;
      }
  }
}

TEST_F(Program, HelpDescribesEachParameter) {
  for (const auto& command : line->commands()) {
    const std::string name = command->name();
    const char* const argv[] = {"checkvalve", name.c_str(), "--help"};
    testing::internal::CaptureStdout();
    const auto chosen = make_command_line()->parse(3, argv);
    const std::string help = testing::internal::GetCapturedStdout();
    ASSERT_TRUE(chosen.has_value() && *chosen == nullptr) << name;
    for (const Parameter& each : command->parameters())
      EXPECT_NE(help.find(each.help.substr(0, 20)), std::string::npos) << name << " " << each.names;
  }
}

TEST_F(Program, ManPageIsAscii) {
  for (const unsigned char c : man_page(*line))
    ASSERT_TRUE(c == '\n' || (c >= 0x20 && c < 0x7F)) << static_cast<int>(c);
}

TEST_F(Program, ReadsTheChoicesOfAnOption) {
  const auto option = [&](std::string_view name) {
    for (const Parameter& each : line->find("sync")->parameters())
      if (each.all_names().front() == name) return each;
    ADD_FAILURE() << name;
    return Parameter{};
  };
  EXPECT_EQ(option("--verify").choices(), (std::vector<std::string>{"size", "hash", "readback"}));
  EXPECT_TRUE(option("--files-from").choices().empty());
  EXPECT_EQ(option("--progress").value_name, "auto|always|never");
  EXPECT_EQ(option("--checksum").shown_names(), "--checksum, --no-checksum");
}

} // namespace
} // namespace checkvalve
