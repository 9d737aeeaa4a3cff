// Completions of shells, made from the app.
#pragma once

#include <CLI/CLI.hpp>

#include <string>

namespace checkvalve {

std::string bash_completions(const CLI::App& app);
std::string zsh_completions(const CLI::App& app);
std::string fish_completions(const CLI::App& app);

} // namespace checkvalve
