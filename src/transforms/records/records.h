// Transforms of records.
#pragma once

#include <array>

#include "transforms/transform.h"

namespace checkvalve {

extern const TransformDescriptor csv_transform;
extern const TransformDescriptor jsonl_transform;
extern const TransformDescriptor sql_transform;

inline constexpr std::array records_family = {&csv_transform, &jsonl_transform, &sql_transform};

} // namespace checkvalve
