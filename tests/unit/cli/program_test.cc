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
  Action chosen;
  std::unique_ptr<CLI::App> app = make_app(chosen);
};

TEST_F(Program, CommittedPagesAreWhatTheProgramPrints) {
  EXPECT_EQ(read_page("commands.md"), commands_page(*app)) << "regenerate it: ./dev docs";
  EXPECT_EQ(read_page("config.md"), config_page()) << "regenerate it: ./dev docs";
}

TEST_F(Program, EveryCommandIsEverywhere) {
  const auto commands = commands_of(*app);
  EXPECT_EQ(commands.size(), 14u);
  for (const CLI::App* command : commands) {
    const std::string name = command->get_name();
    EXPECT_NE(command->get_footer().find("  checkvalve " + name), std::string::npos) << name << " has no example";
    EXPECT_FALSE(command->get_description().empty()) << name;
    for (const std::string& script : {bash_completions(*app), zsh_completions(*app), fish_completions(*app)})
      EXPECT_NE(script.find(name), std::string::npos) << name;
    EXPECT_NE(man_page(*app).find(".SS checkvalve "), std::string::npos) << name;
    for (const OptionGroup& group : option_groups(*command))
      for (const CLI::Option* option : group.options) {
        EXPECT_FALSE(option->get_description().empty()) << name << " " << option->get_name();
        EXPECT_NE(bash_completions(*app).find("--" + option->get_lnames().front()), std::string::npos)
            << option->get_name();
      }
  }
}

TEST_F(Program, ManPageIsAscii) {
  for (const unsigned char c : man_page(*app)) ASSERT_TRUE(c == '\n' || (c >= 0x20 && c < 0x7F)) << static_cast<int>(c);
}

TEST_F(Program, ReadsTheChoicesOfAnOption) {
  const CLI::App* sync = app->get_subcommand("sync");
  EXPECT_EQ(choices_of(*sync->get_option("--verify")), (std::vector<std::string>{"size", "hash", "readback"}));
  EXPECT_TRUE(choices_of(*sync->get_option("--files-from")).empty());
  EXPECT_EQ(type_of(*sync->get_option("--progress")), "auto|always|never");
  EXPECT_EQ(option_names(*sync->get_option("--checksum")), "--checksum, --no-checksum");
}

} // namespace
} // namespace checkvalve
