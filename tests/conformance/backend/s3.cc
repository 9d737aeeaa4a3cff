// S3 against real servers: versitygw, which checks signatures, checksums and conditions, and moto, which keeps odd keys.
#include <filesystem>

#include "backends/s3/s3_backend.h"
#include "conformance/backend/suite.h"
#include "protocol/http/http_client.h"
#include "support/python_server.h"

namespace checkvalve::conformance {
namespace {

using testing_support::PythonServer;

constexpr const char* access_key = "conformance";
constexpr const char* secret_key = "made-up-for-this-test-alone";

// One server for all tests of this program: starting one takes longer than a test.
PythonServer& versitygw() {
  static PythonServer server("s3_versitygw", {{"TEST_S3_ACCESS_KEY", access_key}, {"TEST_S3_SECRET_KEY", secret_key}});
  return server;
}

PythonServer& moto() {
  static PythonServer server("s3_moto", {});
  return server;
}

class S3Fixture : public BackendFixture {
public:
  S3Fixture(BackendContext& context, PythonServer& server, std::map<std::string, std::string> options)
      : context_(context), server_(server), options_(std::move(options)) {}

  Result<std::unique_ptr<Source>> make_source() override { return s3_backend.make_source(context_, at("/the root")); }
  Result<std::unique_ptr<Target>> make_target() override { return s3_backend.make_target(context_, at("/the root")); }
  Result<std::unique_ptr<Target>> make_target_below(const std::string& directory) override {
    return s3_backend.make_target(context_, at("/the root/" + directory));
  }

protected:
  Endpoint at(const std::string& root) const {
    Endpoint endpoint;
    endpoint.scheme = "s3";
    endpoint.host = bucket_;
    endpoint.root = root;
    endpoint.options = options_;
    endpoint.options["endpoint_url"] = "http://127.0.0.1:" + std::to_string(server_.port());
    endpoint.options["access_key_id"] = access_key;
    endpoint.options["region"] = "us-east-1";
    endpoint.options["proxy"] = "none";
    endpoint.secrets["secret_access_key"] = Secret(secret_key);
    return endpoint;
  }
  BackendContext& context_;
  PythonServer& server_;
  std::map<std::string, std::string> options_;
  std::string bucket_ = "bucket-" + random_plan_id();
};

class VersitygwFixture : public S3Fixture {
public:
  VersitygwFixture(BackendContext& context, std::map<std::string, std::string> options) : S3Fixture(context, versitygw(), std::move(options)) {
    std::filesystem::create_directory(server_.directory() + "/data/" + bucket_); // a folder is a bucket there
  }
};

class MotoFixture : public S3Fixture {
public:
  explicit MotoFixture(BackendContext& context) : S3Fixture(context, moto(), {{"verbatim_keys", "yes"}}) {
    HttpSettings settings;
    settings.proxy = "none";
    HttpClient client(context.loop, settings);
    HttpRequest request; // moto takes unsigned requests
    request.method = "PUT";
    request.url = "http://127.0.0.1:" + std::to_string(server_.port()) + "/" + bucket_;
    EXPECT_OK(context.loop.run(client.fetch(request)));
  }
};

BackendCase versitygw_with(std::string name, std::map<std::string, std::string> options) {
  return {std::move(name), [options](BackendContext& context) { return std::make_unique<VersitygwFixture>(context, options); }};
}

INSTANTIATE_TEST_SUITE_P(
    S3, BackendSuite,
    testing::Values(versitygw_with("s3_versitygw", {}), versitygw_with("s3_versitygw_without_checksums", {{"checksum", "none"}}),
                    BackendCase{"s3_moto", [](BackendContext& context) { return std::make_unique<MotoFixture>(context); }}),
    case_name);

} // namespace
} // namespace checkvalve::conformance
