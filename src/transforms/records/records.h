// Transforms of records.
#pragma once

#include "transforms/transform.h"

namespace checkvalve {

extern const TransformDescriptor csv_transform;
extern const TransformDescriptor jsonl_transform;
extern const TransformDescriptor sql_transform;

} // namespace checkvalve
