// Result<T>: a value or an Error. Errors are values everywhere in the engine; exceptions are for bugs and
// for memory that has run out.
#pragma once

#include <expected>
#include <utility>

#include "core/error.h"

namespace checkvalve {

template <class T> using Result = std::expected<T, Error>;
using Failure = std::unexpected<Error>;

} // namespace checkvalve

// Assigns the value of a Result-valued expression to DECL, or returns its error. The CO_ forms are for coroutines.
#define CV_CONCAT_(a, b) a##b
#define CV_CONCAT(a, b) CV_CONCAT_(a, b)
#define CV_TRY_(tmp, decl, expr, ret)                                                                                  \
  auto tmp = (expr);                                                                                                   \
  if (!tmp) ret ::checkvalve::Failure(std::move(tmp.error()));                                                         \
  decl = std::move(*tmp)
#define CV_TRY(decl, expr) CV_TRY_(CV_CONCAT(cv_try_, __LINE__), decl, expr, return)
#define CV_CO_TRY(decl, expr) CV_TRY_(CV_CONCAT(cv_try_, __LINE__), decl, expr, co_return)
// The same for Result<void>.
#define CV_CHECK(expr)                                                                                                 \
  do {                                                                                                                 \
    if (auto cv_check_ = (expr); !cv_check_) return ::checkvalve::Failure(std::move(cv_check_.error()));               \
  } while (0)
#define CV_CO_CHECK(expr)                                                                                              \
  do {                                                                                                                 \
    if (auto cv_check_ = (expr); !cv_check_) co_return ::checkvalve::Failure(std::move(cv_check_.error()));            \
  } while (0)
