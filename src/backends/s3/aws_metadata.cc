// Credentials from the metadata services of containers and instances.
#include <fstream>
#include <iterator>

#include "backends/s3/aws_credential_sources.h"

namespace checkvalve {
namespace {

constexpr std::chrono::milliseconds patience{2'000}; // these services are on the same host

HttpRequest metadata_request(std::string method, std::string url) {
  HttpRequest request;
  request.method = std::move(method);
  request.url = std::move(url);
  request.timeout = patience;
  request.direct = true;
  request.max_body_bytes = 64 * 1024;
  return request;
}

Error refused(const std::string& from, const HttpResponse& response) {
  return make_error(ErrorKind::auth, "get credentials from", from,
                    "HTTP status " + std::to_string(response.head.status));
}

// "User Guide for the AWS SDKs: Container credential provider": plain http only to the same host or its agents.
bool may_be_plain(const std::string& url) {
  for (std::string_view host : {"http://127.", "http://localhost", "http://[::1]", "http://169.254.170.2",
                                "http://169.254.170.23", "http://[fd00:ec2::23]"})
    if (url.starts_with(host)) return true;
  return false;
}

} // namespace

Task<Result<std::optional<AwsCredentials>>> from_container(AwsCredentialSources sources) {
  const auto& variable = sources.environment.variable;
  std::string url = variable("AWS_CONTAINER_CREDENTIALS_FULL_URI");
  if (const std::string path = variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"); !path.empty())
    url = "http://169.254.170.2" + path;
  if (url.empty()) co_return std::nullopt;
  if (!url.starts_with("https://") && !may_be_plain(url))
    co_return Failure(make_error(ErrorKind::config, "get credentials from", std::string(without_query(url)),
                                 "AWS_CONTAINER_CREDENTIALS_FULL_URI must be https, or on this host"));
  HttpRequest request = metadata_request("GET", url);
  std::string token = variable("AWS_CONTAINER_AUTHORIZATION_TOKEN");
  if (const std::string file = variable("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"); !file.empty()) {
    std::ifstream in(file, std::ios::binary);
    if (!in)
      co_return Failure(make_error(ErrorKind::config, "read", file,
                                   "can't be read; AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE names it"));
    token.assign(std::istreambuf_iterator<char>(in), {});
  }
  if (!token.empty()) request.headers.push_back({"authorization", token, true});
  CV_CO_TRY(const HttpResponse response, co_await sources.http.fetch(request));
  const std::string from(without_query(url));
  if (!response.head.ok()) co_return Failure(refused(from, response));
  CV_CO_TRY(AwsCredentials credentials, read_credentials_json(response.body, from));
  co_return credentials;
}

Task<Result<std::optional<AwsCredentials>>> from_instance(AwsCredentialSources sources) {
  const auto& variable = sources.environment.variable;
  if (variable("AWS_EC2_METADATA_DISABLED") == "true") co_return std::nullopt;
  std::string service = variable("AWS_EC2_METADATA_SERVICE_ENDPOINT");
  if (service.empty()) service = "http://169.254.169.254";
  while (service.ends_with('/')) service.pop_back();

  // IMDSv2: a session token first.
  HttpRequest session = metadata_request("PUT", service + "/latest/api/token");
  session.headers.push_back({"x-aws-ec2-metadata-token-ttl-seconds", "21600"});
  auto token = co_await sources.http.fetch(session);
  if (!token || !token->head.ok()) co_return std::nullopt; // not such an instance
  HttpRequest request = metadata_request("GET", service + "/latest/meta-data/iam/security-credentials/");
  request.headers.push_back({"x-aws-ec2-metadata-token", token->body, true});
  CV_CO_TRY(const HttpResponse roles, co_await sources.http.fetch(request));
  if (roles.head.status == 404) co_return std::nullopt; // an instance without a role
  if (!roles.head.ok()) co_return Failure(refused(request.url, roles));
  request.url += roles.body.substr(0, roles.body.find('\n'));
  CV_CO_TRY(const HttpResponse response, co_await sources.http.fetch(request));
  if (!response.head.ok()) co_return Failure(refused(request.url, response));
  CV_CO_TRY(AwsCredentials credentials, read_credentials_json(response.body, request.url));
  co_return credentials;
}

} // namespace checkvalve
