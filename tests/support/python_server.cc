#include "support/python_server.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <stdexcept>
#include <vector>

extern char** environ;

namespace checkvalve::testing_support {
namespace {

namespace fs = std::filesystem;

const fs::path tests_directory = fs::path(__FILE__).parent_path().parent_path();

std::string python() {
  const fs::path tools = tests_directory.parent_path() / ".venv/bin/python";
  return fs::exists(tools) ? tools.string() : "python3";
}

std::string read_line(int fd) {
  std::string line;
  char byte = 0;
  while (::read(fd, &byte, 1) == 1 && byte != '\n') line += byte;
  return line;
}

} // namespace

PythonServer::PythonServer(const std::string& name, const std::map<std::string, std::string>& environment) {
  directory_ = (fs::temp_directory_path() / "checkvalve-server-XXXXXX").string();
  if (!::mkdtemp(directory_.data())) throw std::runtime_error("can't make a directory for a test server");
  std::vector<std::string> variables;
  for (char** variable = environ; *variable; ++variable) variables.emplace_back(*variable);
  variables.push_back("PYTHONPATH=" + tests_directory.string());
  for (const auto& [key, value] : environment) variables.push_back(key + "=" + value);
  std::vector<std::string> arguments{python(), "-m", "servers." + name, "--directory", directory_};

  std::array<int, 2> in{};
  std::array<int, 2> out{};
  if (::pipe2(in.data(), O_CLOEXEC) != 0 || ::pipe2(out.data(), O_CLOEXEC) != 0)
    throw std::runtime_error("no pipes for a test server");
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, in[0], 0);
  posix_spawn_file_actions_adddup2(&actions, out[1], 1);
  const auto pointers = [](std::vector<std::string>& texts) {
    std::vector<char*> all;
    for (std::string& text : texts) all.push_back(text.data());
    all.push_back(nullptr);
    return all;
  };
  const int failed = ::posix_spawnp(&pid_, arguments[0].c_str(), &actions, nullptr, pointers(arguments).data(),
                                    pointers(variables).data());
  posix_spawn_file_actions_destroy(&actions);
  ::close(in[0]);
  ::close(out[1]);
  input_ = in[1];
  const std::string line = failed == 0 ? read_line(out[0]) : "";
  ::close(out[0]);
  if (!line.starts_with("port "))
    throw std::runtime_error(fmt::format("the test server {} did not start: {}", name, line));
  port_ = static_cast<std::uint16_t>(std::stoi(line.substr(5)));
}

PythonServer::~PythonServer() {
  ::close(input_);
  ::waitpid(pid_, nullptr, 0);
  std::error_code ignored;
  fs::remove_all(directory_, ignored);
}

} // namespace checkvalve::testing_support
