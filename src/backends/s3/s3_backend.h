// Object storage that speaks the S3 API: "s3://bucket/prefix".
#pragma once

#include "backends/backend.h"

namespace checkvalve {

extern const BackendDescriptor s3_backend;

} // namespace checkvalve
