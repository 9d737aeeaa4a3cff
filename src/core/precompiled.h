// What nearly every source file includes, compiled once (CMakeLists.txt). No file may rely on it: each includes what it
// uses.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <coroutine>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include <nlohmann/json.hpp>

#include "core/async.h"
#include "core/result.h"
