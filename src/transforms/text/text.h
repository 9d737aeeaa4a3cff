// Transforms of text.
#pragma once

#include <array>

#include "transforms/transform.h"

namespace checkvalve {

extern const TransformDescriptor lines_transform;   // choose, replace, skip, count lines
extern const TransformDescriptor redact_transform;  // overwrite what matches
extern const TransformDescriptor charset_transform; // character sets, byte order mark, newlines
extern const TransformDescriptor split_transform;   // several files of one

inline constexpr std::array text_family = {&lines_transform, &redact_transform, &charset_transform, &split_transform};

} // namespace checkvalve
