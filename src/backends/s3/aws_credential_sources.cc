#include "backends/s3/aws_credential_sources.h"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <sys/wait.h>

#include <cstdio>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "backends/s3/s3_xml.h"
#include "core/path.h"
#include "core/units.h"

namespace checkvalve {
namespace {

using nlohmann::json;
constexpr int deepest_source_profiles = 8;

Failure no_credentials(const std::string& from, std::string message) {
  return Failure(make_error(ErrorKind::auth, "get credentials from", from, std::move(message)));
}

std::string setting(const AwsSection& section, const std::string& key) {
  const auto found = section.find(key);
  return found == section.end() ? "" : found->second;
}

std::string text_of(const json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

Result<std::string> read_small_file(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in) return no_credentials(file, "the file can't be read");
  return std::string(std::istreambuf_iterator<char>(in), {});
}

std::string session_name(const std::string& given) {
  return given.empty() ? fmt::format("checkvalve-{}", now_ms()) : given;
}

Task<Result<AwsCredentials>> from_web_identity(AwsCredentialSources sources, std::string role, std::string token_file,
                                               std::string session) {
  CV_CO_TRY(std::string token, read_small_file(token_file));
  while (!token.empty() && (token.back() == '\n' || token.back() == '\r')) token.pop_back();
  NameValues form{{"Action", "AssumeRoleWithWebIdentity"},
                  {"RoleArn", std::move(role)},
                  {"RoleSessionName", session_name(session)},
                  {"WebIdentityToken", std::move(token)}};
  co_return co_await ask_sts(sources, std::move(form), {});
}

// The token that `aws sso login` left ("AWS SDKs and Tools Reference Guide: IAM Identity Center credential provider").
Task<Result<AwsCredentials>> from_sso(AwsCredentialSources sources, AwsSection profile) {
  AwsSection session = profile;
  std::string cached_under = setting(profile, "sso_start_url");
  if (const std::string name = setting(profile, "sso_session"); !name.empty()) {
    const auto found = sources.environment.sso_sessions.find(name);
    if (found == sources.environment.sso_sessions.end())
      co_return no_credentials("sso-session " + name, "the config file has no such section");
    session = found->second;
    cached_under = name;
  }
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  EVP_Digest(cached_under.data(), cached_under.size(), digest, &size, EVP_sha1(), nullptr);
  std::string file_name;
  for (unsigned i = 0; i < size; ++i) file_name += fmt::format("{:02x}", digest[i]);
  const std::string file = join_path(sources.environment.variable("HOME"), ".aws/sso/cache/" + file_name + ".json");
  const auto text = read_small_file(file);
  if (!text) co_return no_credentials(file, "there is no SSO login: run `aws sso login`");
  const json cache = json::parse(*text, nullptr, false);
  const std::string token = cache.is_object() ? text_of(cache, "accessToken") : "";
  if (token.empty() || read_time(text_of(cache, "expiresAt")) * 1000 < now_ms())
    co_return no_credentials(file, "the SSO login has expired: run `aws sso login`");

  std::string service = sources.environment.variable("AWS_ENDPOINT_URL_SSO");
  if (service.empty()) service = fmt::format("https://portal.sso.{}.amazonaws.com", setting(session, "sso_region"));
  HttpRequest request;
  request.url = service + "/federation/credentials?" +
                canonical_query({{"account_id", setting(profile, "sso_account_id")},
                                 {"role_name", setting(profile, "sso_role_name")}});
  request.headers.push_back({"x-amz-sso_bearer_token", token, true});
  CV_CO_TRY(const HttpResponse response, co_await sources.http.fetch(request));
  if (!response.head.ok())
    co_return no_credentials(service, fmt::format("HTTP status {}; run `aws sso login`", response.head.status));
  const json answer = json::parse(response.body, nullptr, false);
  if (!answer.is_object() || !answer.contains("roleCredentials") || !answer["roleCredentials"].is_object())
    co_return no_credentials(service, "the answer holds no roleCredentials");
  const json& role = answer["roleCredentials"];
  AwsCredentials out{text_of(role, "accessKeyId"), Secret(text_of(role, "secretAccessKey")),
                     Secret(text_of(role, "sessionToken")), 0};
  if (role.contains("expiration") && role["expiration"].is_number_integer())
    out.expires_ms = role["expiration"].get<std::int64_t>();
  co_return out;
}

// Its standard output is JSON with "Version": 1; its standard error goes where ours goes.
Result<AwsCredentials> run_credential_process(const std::string& command) {
  std::FILE* pipe = popen(command.c_str(), "re");
  if (!pipe) return Failure(errno_error(errno, "start", "credential_process"));
  std::string out;
  char bytes[4096];
  while (const std::size_t got = std::fread(bytes, 1, sizeof bytes, pipe)) {
    out.append(bytes, got);
    if (out.size() > 64 * 1024) break;
  }
  const int status = pclose(pipe);
  if (status == -1 || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
    return no_credentials("credential_process", fmt::format("the program failed (status {})",
                                                            WIFEXITED(status) ? WEXITSTATUS(status) : status));
  const json answer = json::parse(out, nullptr, false);
  if (!answer.is_object() || answer.value("Version", 0) != 1)
    return no_credentials("credential_process", "its output is not valid JSON with \"Version\": 1");
  return read_credentials_json(out, "credential_process");
}

Task<Result<std::optional<AwsCredentials>>> from_profile(AwsCredentialSources sources, std::string name, int depth);

Task<Result<AwsCredentials>> from_role(AwsCredentialSources sources, AwsSection profile, std::string name, int depth) {
  const std::string role = setting(profile, "role_arn");
  const std::string session = setting(profile, "role_session_name");
  if (const std::string file = setting(profile, "web_identity_token_file"); !file.empty())
    co_return co_await from_web_identity(sources, role, file, session);
  Result<std::optional<AwsCredentials>> signer = std::nullopt;
  const std::string source = setting(profile, "source_profile");
  const std::string place = setting(profile, "credential_source");
  if (!source.empty() && source != name) {
    signer = co_await from_profile(sources, source, depth + 1);
  } else if (source == name) { // AWS allows it: the profile's own keys
    signer = AwsCredentials{setting(profile, "aws_access_key_id"), Secret(setting(profile, "aws_secret_access_key")),
                            Secret(setting(profile, "aws_session_token")), 0};
  } else if (place == "Environment") {
    const auto& variable = sources.environment.variable;
    signer = AwsCredentials{variable("AWS_ACCESS_KEY_ID"), Secret(variable("AWS_SECRET_ACCESS_KEY")),
                            Secret(variable("AWS_SESSION_TOKEN")), 0};
  } else if (place == "EcsContainer") {
    signer = co_await from_container(sources);
  } else if (place == "Ec2InstanceMetadata") {
    signer = co_await from_instance(sources);
  }
  if (!signer) co_return Failure(signer.error());
  if (!*signer || (*signer)->access_key_id.empty())
    co_return no_credentials(
        "profile " + name,
        "role_arn needs a source_profile, credential_source or web_identity_token_file that has credentials");
  NameValues form{{"Action", "AssumeRole"}, {"RoleArn", role}, {"RoleSessionName", session_name(session)}};
  if (const std::string id = setting(profile, "external_id"); !id.empty()) form.emplace_back("ExternalId", id);
  if (const std::string seconds = setting(profile, "duration_seconds"); !seconds.empty())
    form.emplace_back("DurationSeconds", seconds);
  co_return co_await ask_sts(sources, std::move(form), std::move(**signer));
}

Task<Result<std::optional<AwsCredentials>>> from_profile(AwsCredentialSources sources, std::string name, int depth) {
  const AwsSection* profile = sources.environment.find_profile(name);
  if (depth > deepest_source_profiles) co_return no_credentials("profile " + name, "source_profile leads in a circle");
  if (!profile) {
    if (depth == 0) co_return std::nullopt;
    co_return no_credentials("profile " + name, "there is no such profile, but a source_profile names it");
  }
  if (!setting(*profile, "role_arn").empty()) {
    CV_CO_TRY(AwsCredentials found, co_await from_role(sources, *profile, name, depth));
    co_return found;
  }
  if (const std::string key = setting(*profile, "aws_access_key_id"); !key.empty())
    co_return AwsCredentials{key, Secret(setting(*profile, "aws_secret_access_key")),
                             Secret(setting(*profile, "aws_session_token")), 0};
  if (!setting(*profile, "sso_start_url").empty() || !setting(*profile, "sso_session").empty()) {
    CV_CO_TRY(AwsCredentials found, co_await from_sso(sources, *profile));
    co_return found;
  }
  if (const std::string command = setting(*profile, "credential_process"); !command.empty()) {
    CV_CO_TRY(AwsCredentials found,
              co_await sources.workers.run([command] { return run_credential_process(command); }));
    co_return found;
  }
  co_return std::nullopt;
}

} // namespace

Result<AwsCredentials> read_credentials_json(std::string_view text, const std::string& from) {
  const json answer = json::parse(text, nullptr, false);
  if (!answer.is_object()) return no_credentials(from, "the answer is not a JSON object");
  AwsCredentials out;
  out.access_key_id = text_of(answer, "AccessKeyId");
  out.secret_access_key = Secret(text_of(answer, "SecretAccessKey"));
  const std::string token = text_of(answer, "Token");
  out.session_token = Secret(token.empty() ? text_of(answer, "SessionToken") : token);
  if (const std::string time = text_of(answer, "Expiration"); !time.empty()) out.expires_ms = read_time(time) * 1000;
  if (out.access_key_id.empty() || out.secret_access_key.empty())
    return no_credentials(from, "the answer holds no AccessKeyId and SecretAccessKey");
  return out;
}

Task<Result<AwsCredentials>> ask_sts(AwsCredentialSources sources, NameValues form, AwsCredentials signer) {
  std::string service = sources.environment.variable("AWS_ENDPOINT_URL_STS");
  if (service.empty()) service = fmt::format("https://sts.{}.amazonaws.com", sources.region);
  while (service.ends_with('/')) service.pop_back();
  form.emplace_back("Version", "2011-06-15");
  const std::string body = canonical_query(form);

  HttpRequest request;
  request.method = "POST";
  request.url = service + "/";
  request.headers.push_back({"content-type", "application/x-www-form-urlencoded; charset=utf-8"});
  auto chunks = std::make_shared<std::vector<Chunk>>();
  chunks->push_back(Chunk::copy_of(body));
  request.body = chunks;
  if (!signer.access_key_id.empty()) {
    SignedParts parts{"POST", service.substr(service.find("://") + 3),           "/",
                      {},     {{"content-type", request.headers.front().value}}, sha256_hex(body)};
    SigningKey key;
    for (auto& [name, value] : sign(parts, signer, {sources.region, "sts", now_ms()}, key))
      request.headers.push_back({std::move(name), std::move(value), true});
  }
  CV_CO_TRY(const HttpResponse response, co_await sources.http.fetch(request));
  if (!response.head.ok()) {
    const S3Fault fault = read_fault(response.body);
    co_return no_credentials(service, fmt::format("{} {}: {}", response.head.status, fault.code, fault.message));
  }
  AwsCredentials out{read_element(response.body, "AccessKeyId"), Secret(read_element(response.body, "SecretAccessKey")),
                     Secret(read_element(response.body, "SessionToken")),
                     read_time(read_element(response.body, "Expiration")) * 1000};
  if (out.access_key_id.empty()) co_return no_credentials(service, "the answer holds no credentials");
  co_return out;
}

Task<Result<AwsCredentials>> find_credentials(AwsCredentialSources sources) {
  const auto& variable = sources.environment.variable;
  if (!sources.environment.profile_is_option) {
    if (const std::string key = variable("AWS_ACCESS_KEY_ID"); !key.empty()) {
      AwsCredentials out{key, Secret(variable("AWS_SECRET_ACCESS_KEY")), Secret(variable("AWS_SESSION_TOKEN")), 0};
      if (out.secret_access_key.empty())
        co_return no_credentials("the environment", "AWS_ACCESS_KEY_ID is set, but AWS_SECRET_ACCESS_KEY is not");
      co_return out;
    }
    if (const std::string file = variable("AWS_WEB_IDENTITY_TOKEN_FILE"); !file.empty())
      co_return co_await from_web_identity(sources, variable("AWS_ROLE_ARN"), file, variable("AWS_ROLE_SESSION_NAME"));
  }
  CV_CO_TRY(auto found, co_await from_profile(sources, sources.environment.profile, 0));
  if (found) co_return *found;
  CV_CO_TRY(found, co_await from_container(sources));
  if (found) co_return *found;
  CV_CO_TRY(found, co_await from_instance(sources));
  if (found) co_return *found;
  co_return no_credentials("environment, profile, container and instance",
                           "there are none: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or the "
                           "endpoint's access_key_id and secret_access_key; anonymous = yes for a public bucket");
}

} // namespace checkvalve
