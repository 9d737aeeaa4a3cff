// toml++ with its functions compiled once, in toml.cc: they take longer than all that reads the config.
#pragma once

#define TOML_HEADER_ONLY 0
#define TOML_EXCEPTIONS 0
#define TOML_ASSERT(expr) static_assert(true)
#include <toml++/impl/preprocessor.h>
// Some of its assumptions do not hold for malformed text ("[?"): version 3.3 would make them undefined behaviour.
#undef TOML_ASSERT_ASSUME
#define TOML_ASSERT_ASSUME(expr) static_assert(true)
#include <toml++/toml.h>
