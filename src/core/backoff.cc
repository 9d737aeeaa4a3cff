#include "core/backoff.h"

#include <algorithm>
#include <cmath>
#include <random>

namespace checkvalve {

using std::chrono::milliseconds;

milliseconds Backoff::limit(std::uint32_t retry) const {
  const double grown = static_cast<double>(initial.count()) * std::pow(factor, retry - 1);
  return milliseconds(static_cast<std::int64_t>(std::min(grown, static_cast<double>(max.count()))));
}

milliseconds Backoff::delay(std::uint32_t retry, milliseconds floor) const {
  thread_local std::minstd_rand random{std::random_device{}()};
  return std::max(floor, milliseconds(std::uniform_int_distribution<std::int64_t>(0, limit(retry).count())(random)));
}

} // namespace checkvalve
