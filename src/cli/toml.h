// toml++ with its functions compiled once, in toml.cc: they take longer than all that reads the config.
#pragma once

#define TOML_HEADER_ONLY 0
#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>
