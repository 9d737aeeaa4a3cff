// Where credentials come from, and their renewal before they expire.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "backends/s3/aws_profile.h"
#include "backends/s3/sigv4.h"
#include "core/async.h"
#include "protocol/http/http_client.h"

namespace checkvalve {

// Gives credentials, the same until they are about to expire. Engine thread only; renewals that many ask for at once
// are one.
class AwsCredentialProvider {
public:
  // `fixed`: used if it has an access key, in place of all others. Otherwise, in this order: the environment
  // (AWS_ACCESS_KEY_ID) and web identity, unless an option names the profile; the profile (keys, assume-role,
  // SSO, credential_process), the container's endpoint, the instance's metadata service.
  AwsCredentialProvider(HttpClient& http, ThreadPool& workers, const AwsEnvironment& environment, AwsCredentials fixed,
                        std::string region);

  // Error kind auth where there are none, with what was tried; connection or timeout where their source can't be
  // reached.
  Task<Result<AwsCredentials>> get();
  // The server said that these have expired: the next get() renews them.
  void refuse(const AwsCredentials& credentials);

private:
  Task<Result<AwsCredentials>> renew();

  HttpClient& http_;
  ThreadPool& workers_;
  const AwsEnvironment environment_;
  const AwsCredentials fixed_;
  const std::string region_;
  std::optional<AwsCredentials> present_;
  Semaphore renewing_{1};
};

} // namespace checkvalve
