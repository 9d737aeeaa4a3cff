#include "backends/registry.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "backends/local/local_backend.h"
#ifndef CHECKVALVE_WITHOUT_S3 // CMake option CHECKVALVE_S3
#include "backends/s3/s3_backend.h"
#endif
#include "backends/sftp/sftp_backend.h"

namespace checkvalve {
namespace {

std::vector<const BackendDescriptor*>& all_backends() {
  static std::vector<const BackendDescriptor*> all = {
      &sftp_backend,
#ifndef CHECKVALVE_WITHOUT_S3
      &s3_backend,
#endif
      &local_backend,
  };
  return all;
}

Result<const BackendDescriptor*> backend_of(const Endpoint& endpoint) {
  const BackendDescriptor* descriptor = find_backend(endpoint.scheme);
  if (!descriptor)
    return Failure(make_error(ErrorKind::config, "open", endpoint.display(), unknown_scheme(endpoint.scheme)));
  CV_CHECK(check_options(*descriptor, endpoint));
  return descriptor;
}

} // namespace

std::span<const BackendDescriptor* const> backends() { return all_backends(); }

const BackendDescriptor* find_backend(std::string_view scheme) {
  for (const BackendDescriptor* descriptor : all_backends())
    if (descriptor->scheme == scheme) return descriptor;
  return nullptr;
}

std::string unknown_scheme(std::string_view scheme) {
#ifdef CHECKVALVE_WITHOUT_S3 // its value is the scheme
  if (scheme == CHECKVALVE_WITHOUT_S3)
    return fmt::format("unknown scheme '{}': this program was built without its backend", scheme);
#endif
  std::vector<std::string_view> schemes;
  for (const BackendDescriptor* known : all_backends()) schemes.push_back(known->scheme);
  return fmt::format("unknown scheme '{}': expected one of {}", scheme, fmt::join(schemes, ", "));
}

const BackendDescriptor& plain_path_backend() { return local_backend; }

void add_backend(const BackendDescriptor& descriptor) { all_backends().push_back(&descriptor); }

Result<std::unique_ptr<Source>> make_source(BackendContext& context, const Endpoint& endpoint) {
  CV_TRY(const BackendDescriptor* descriptor, backend_of(endpoint));
  return descriptor->make_source(context, endpoint);
}

Result<std::unique_ptr<Target>> make_target(BackendContext& context, const Endpoint& endpoint) {
  CV_TRY(const BackendDescriptor* descriptor, backend_of(endpoint));
  return descriptor->make_target(context, endpoint);
}

} // namespace checkvalve
