// Whether a service honours If-None-Match: * ("Conditional requests" of the S3 user guide) on writes and copies.
#pragma once

#include <optional>
#include <string>

#include "backends/s3/s3_client.h"

namespace checkvalve {

// One for each Target. Unless the endpoint's options say so, it is tried once, before it is first relied upon: on a
// temporary object of ours beside the path that asks, which is removed again. Engine thread only.
class S3Conditions {
public:
  explicit S3Conditions(std::shared_ptr<S3Client> client) : client_(std::move(client)) {}
  // On PutObject and CompleteMultipartUpload.
  Task<bool> hold_for_writes(std::string path);
  // On CopyObject.
  Task<bool> hold_for_copies(std::string path);

private:
  struct Found {
    bool writes = false;
    bool copies = false;
  };
  Task<Found> find(std::string path);
  Task<std::optional<Found>> probe(std::string key);
  Task<std::optional<bool>> refuses_existing(S3Request request);

  std::shared_ptr<S3Client> client_;
  std::optional<Found> found_;
  Semaphore turn_{1};
};

} // namespace checkvalve
