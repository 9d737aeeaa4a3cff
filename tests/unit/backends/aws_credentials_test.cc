// Where credentials come from: each source against a small HTTP server that answers as AWS's services do.
#include "backends/s3/aws_credentials.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "core/units.h"
#include "support/http_server.h"
#include "support/run.h"

namespace checkvalve {
namespace {

using testing_support::HttpServer;
using testing_support::HttpServerConnection;
using testing_support::HttpServerRequest;

// An environment made of a map, and a server that plays every service.
struct Cloud {
  explicit Cloud(HttpServer::Handler handler) : server(std::move(handler)) {
    HttpSettings settings;
    settings.proxy = "none";
    http.emplace(engine.loop, settings);
    environment.variable = [this](const std::string& name) { return variables[name]; };
    variables["AWS_EC2_METADATA_DISABLED"] = "true";
  }
  Result<AwsCredentials> get() {
    AwsCredentialProvider provider(*http, engine.workers, environment, {}, "eu-west-1");
    return engine.run(provider.get());
  }
  testing_support::TestEngine engine;
  HttpServer server;
  std::optional<HttpClient> http;
  std::map<std::string, std::string> variables;
  AwsEnvironment environment;
};

bool refuse(const HttpServerRequest&, HttpServerConnection& connection) {
  connection.respond(404, "", "");
  return true;
}

std::string json_credentials(const std::string& id, std::int64_t expires_ms) {
  return R"({"Code":"Success","AccessKeyId":")" + id + R"(","SecretAccessKey":"s","Token":"t","Expiration":")" +
         format_time(expires_ms) + "\"}";
}

constexpr std::int64_t hour_ms = 3'600'000;

TEST(AwsCredentials, ComeFromTheEnvironmentFirst) {
  Cloud cloud(refuse);
  cloud.variables["AWS_ACCESS_KEY_ID"] = "from-environment";
  cloud.variables["AWS_SECRET_ACCESS_KEY"] = "s";
  cloud.environment.profiles["default"]["aws_access_key_id"] = "from-profile";
  auto found = cloud.get();
  ASSERT_OK(found);
  EXPECT_EQ(found->access_key_id, "from-environment");
  cloud.environment.profile_is_option = true;
  found = cloud.get();
  ASSERT_OK(found);
  EXPECT_EQ(found->access_key_id, "from-profile");
}

TEST(AwsCredentials, SayWhatWasTriedWhereThereAreNone) {
  Cloud cloud(refuse);
  auto found = cloud.get();
  EXPECT_FAILS(found, ErrorKind::auth);
  EXPECT_NE(found.error().text().find("AWS_ACCESS_KEY_ID"), std::string::npos);
}

TEST(AwsCredentials, ComeFromTheInstanceWithASessionToken) {
  Cloud cloud([](const HttpServerRequest& request, HttpServerConnection& connection) {
    const auto token = request.headers.find("x-aws-ec2-metadata-token");
    if (request.method == "PUT" && request.target == "/latest/api/token") {
      connection.respond(200, "", "session");
    } else if (token == request.headers.end() || token->second != "session") {
      connection.respond(401, "", "");
    } else if (request.target == "/latest/meta-data/iam/security-credentials/") {
      connection.respond(200, "", "the-role");
    } else {
      connection.respond(request.target.ends_with("/the-role") ? 200 : 404, "",
                         json_credentials("instance", now_ms() + hour_ms));
    }
    return true;
  });
  cloud.variables["AWS_EC2_METADATA_DISABLED"] = "";
  cloud.variables["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = cloud.server.url("/");
  auto found = cloud.get();
  ASSERT_OK(found);
  EXPECT_EQ(found->access_key_id, "instance");
  EXPECT_EQ(found->session_token.reveal(), "t");
  EXPECT_GT(found->expires_ms, now_ms());
}

TEST(AwsCredentials, ComeFromTheContainer) {
  Cloud cloud([](const HttpServerRequest& request, HttpServerConnection& connection) {
    const auto token = request.headers.find("authorization");
    const bool good = token != request.headers.end() && token->second == "the token";
    connection.respond(good ? 200 : 403, "", json_credentials("container", now_ms() + hour_ms));
    return true;
  });
  cloud.variables["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = cloud.server.url("/credentials");
  cloud.variables["AWS_CONTAINER_AUTHORIZATION_TOKEN"] = "the token";
  auto found = cloud.get();
  ASSERT_OK(found);
  EXPECT_EQ(found->access_key_id, "container");
  cloud.variables["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = "http://example.invalid/credentials";
  EXPECT_FAILS(cloud.get(), ErrorKind::config);
}

bool answer_sts(const HttpServerRequest& request, HttpServerConnection& connection) {
  const bool is_signed = request.headers.contains("authorization");
  const bool web = request.body.find("Action=AssumeRoleWithWebIdentity") != std::string::npos &&
                   request.body.ends_with("WebIdentityToken=a%2Ftoken") && !is_signed;
  const bool role = request.body.find("Action=AssumeRole&") != std::string::npos && is_signed &&
                    request.body.find("RoleArn=arn%3Arole") != std::string::npos;
  const std::string id = web ? "web" : role ? "role" : "none";
  connection.respond(web || role ? 200 : 403, "",
                     "<R><Result><Credentials><AccessKeyId>" + id +
                         "</AccessKeyId><SecretAccessKey>s</SecretAccessKey>"
                         "<SessionToken>t</SessionToken><Expiration>" +
                         format_time(now_ms() + hour_ms) + "</Expiration></Credentials></Result></R>");
  return true;
}

TEST(AwsCredentials, ComeFromARoleOfAnotherProfile) {
  Cloud cloud(answer_sts);
  cloud.variables["AWS_ENDPOINT_URL_STS"] = cloud.server.url("");
  cloud.environment.profiles["default"] = {{"role_arn", "arn:role"}, {"source_profile", "base"}};
  cloud.environment.profiles["base"] = {{"aws_access_key_id", "id"}, {"aws_secret_access_key", "s"}};
  auto found = cloud.get();
  ASSERT_OK(found);
  EXPECT_EQ(found->access_key_id, "role");
  cloud.environment.profiles["base"] = {{"role_arn", "arn:role"}, {"source_profile", "default"}};
  EXPECT_FAILS(cloud.get(), ErrorKind::auth); // in a circle
}

TEST(AwsCredentials, ComeFromAWebIdentity) {
  const std::string file = (std::filesystem::temp_directory_path() / ("token-" + std::to_string(now_ms()))).string();
  std::ofstream(file) << "a/token\n";
  Cloud cloud(answer_sts);
  cloud.variables["AWS_ENDPOINT_URL_STS"] = cloud.server.url("");
  cloud.variables["AWS_WEB_IDENTITY_TOKEN_FILE"] = file;
  cloud.variables["AWS_ROLE_ARN"] = "arn:role";
  auto found = cloud.get();
  std::filesystem::remove(file);
  ASSERT_OK(found);
  EXPECT_EQ(found->access_key_id, "web");
}

TEST(AwsCredentials, ComeFromAProgram) {
  Cloud cloud(refuse);
  cloud.environment.profiles["default"]["credential_process"] =
      R"(echo '{"Version": 1, "AccessKeyId": "program", "SecretAccessKey": "s"}')";
  auto found = cloud.get();
  ASSERT_OK(found);
  EXPECT_EQ(found->access_key_id, "program");
  cloud.environment.profiles["default"]["credential_process"] = "exit 3";
  EXPECT_FAILS(cloud.get(), ErrorKind::auth);
}

TEST(AwsCredentials, AreRenewedBeforeTheyExpireAndWhenRefused) {
  int asked = 0;
  Cloud cloud([&](const HttpServerRequest&, HttpServerConnection& connection) {
    ++asked;
    connection.respond(200, "",
                       json_credentials("id" + std::to_string(asked), now_ms() + (asked == 1 ? 60'000 : hour_ms)));
    return true;
  });
  cloud.variables["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = cloud.server.url("/");
  AwsCredentialProvider provider(*cloud.http, cloud.engine.workers, cloud.environment, {}, "r");
  EXPECT_EQ(cloud.engine.run(provider.get())->access_key_id, "id1"); // holds for a minute: not long enough to keep
  const AwsCredentials second = *cloud.engine.run(provider.get());
  EXPECT_EQ(second.access_key_id, "id2");
  EXPECT_EQ(cloud.engine.run(provider.get())->access_key_id, "id2");
  provider.refuse(second);
  EXPECT_EQ(cloud.engine.run(provider.get())->access_key_id, "id3");
}

} // namespace
} // namespace checkvalve
