// The sources of credentials, one by one. Private to src/backends/s3.
#pragma once

#include "backends/s3/aws_credentials.h"

namespace checkvalve {

struct AwsCredentialSources {
  HttpClient& http;
  ThreadPool& workers;
  const AwsEnvironment& environment;
  const std::string& region;
};

// The first source that is configured, in the order of AwsCredentialProvider. If it fails, the search ends with its
// error, which is the one that the user must see.
Task<Result<AwsCredentials>> find_credentials(AwsCredentialSources sources);

// {"AccessKeyId", "SecretAccessKey", "Token" or "SessionToken", "Expiration"}, as metadata services and
// credential_process give it. `from`: for messages.
Result<AwsCredentials> read_credentials_json(std::string_view json, const std::string& from);

// STS, AssumeRole or AssumeRoleWithWebIdentity (API version 2011-06-15). Without an access key in `signer` the request
// goes out unsigned.
Task<Result<AwsCredentials>> ask_sts(AwsCredentialSources sources, NameValues form, AwsCredentials signer);

// The metadata services of containers (ECS, EKS Pod Identity) and instances (IMDSv2). Nothing where not set up.
Task<Result<std::optional<AwsCredentials>>> from_container(AwsCredentialSources sources);
Task<Result<std::optional<AwsCredentials>>> from_instance(AwsCredentialSources sources);

} // namespace checkvalve
