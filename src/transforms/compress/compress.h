// Compression and decompression.
#pragma once

#include <array>

#include "transforms/transform.h"

namespace checkvalve {

extern const TransformDescriptor gzip_transform; // RFC 1952
extern const TransformDescriptor gunzip_transform;
extern const TransformDescriptor zstd_transform; // RFC 8878
extern const TransformDescriptor unzstd_transform;
extern const TransformDescriptor bunzip2_transform;
extern const TransformDescriptor unxz_transform;

inline constexpr std::array compress_family = {&gzip_transform,   &gunzip_transform,  &zstd_transform,
                                               &unzstd_transform, &bunzip2_transform, &unxz_transform};

} // namespace checkvalve
