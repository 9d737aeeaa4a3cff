// Transforms that are neither compression nor text nor records.
#pragma once

#include <array>

#include "transforms/transform.h"

namespace checkvalve {

extern const TransformDescriptor checksum_transform; // passes bytes through, publishes their digest beside the file
extern const TransformDescriptor exec_transform;     // any program as a filter

inline constexpr std::array other_family = {&checksum_transform, &exec_transform};

} // namespace checkvalve
