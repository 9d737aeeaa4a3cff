#include "backends/s3/aws_credentials.h"

#include "backends/s3/aws_credential_sources.h"
#include "core/units.h"

namespace checkvalve {
namespace {

// Renewed this long before they expire, so that no request outlives its signature.
constexpr std::int64_t margin_ms = 5 * 60 * 1000;

bool usable(const std::optional<AwsCredentials>& credentials) {
  return credentials && (credentials->expires_ms == 0 || credentials->expires_ms > now_ms() + margin_ms);
}

} // namespace

AwsCredentialProvider::AwsCredentialProvider(HttpClient& http, ThreadPool& workers, const AwsEnvironment& environment,
                                             AwsCredentials fixed, std::string region)
    : http_(http), workers_(workers), environment_(environment), fixed_(std::move(fixed)), region_(std::move(region)) {}

Task<Result<AwsCredentials>> AwsCredentialProvider::get() {
  if (usable(present_)) co_return *present_;
  const auto turn = co_await renewing_.acquire();
  Result<AwsCredentials> found = usable(present_) ? Result<AwsCredentials>(*present_) : co_await renew();
  // A renewal that fails while the old ones still hold is tried again by the next caller.
  if (!found && present_ && present_->expires_ms > now_ms()) found = *present_;
  if (found) present_ = *found;
  co_return found;
}

void AwsCredentialProvider::refuse(const AwsCredentials& credentials) {
  if (present_ && present_->access_key_id == credentials.access_key_id &&
      present_->session_token.reveal() == credentials.session_token.reveal())
    present_.reset();
}

Task<Result<AwsCredentials>> AwsCredentialProvider::renew() {
  if (!fixed_.access_key_id.empty()) co_return fixed_;
  AwsCredentialSources sources{http_, workers_, environment_, region_};
  co_return co_await find_credentials(sources);
}

} // namespace checkvalve
