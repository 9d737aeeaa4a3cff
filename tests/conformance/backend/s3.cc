// S3 against versitygw, a real server that checks signatures, checksums and conditions.
#include <filesystem>
#include <map>

#include "backends/s3/s3_backend.h"
#include "conformance/backend/suite.h"
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

class S3Fixture : public BackendFixture {
public:
  S3Fixture(BackendContext& context, std::map<std::string, std::string> options)
      : context_(context), options_(std::move(options)) {
    std::filesystem::create_directory(versitygw().directory() + "/data/" + bucket_); // a directory is a bucket there
  }

  Result<std::unique_ptr<Source>> make_source() override { return s3_backend.make_source(context_, at("/the root")); }
  Result<std::unique_ptr<Target>> make_target() override { return s3_backend.make_target(context_, at("/the root")); }
  Result<std::unique_ptr<Target>> make_target_below(const std::string& directory) override {
    return s3_backend.make_target(context_, at("/the root/" + directory));
  }

private:
  Endpoint at(const std::string& root) const {
    Endpoint endpoint;
    endpoint.scheme = "s3";
    endpoint.host = bucket_;
    endpoint.root = root;
    endpoint.options = options_;
    endpoint.options["endpoint_url"] = "http://127.0.0.1:" + std::to_string(versitygw().port());
    endpoint.options["access_key_id"] = access_key;
    endpoint.options["region"] = "us-east-1";
    endpoint.options["proxy"] = "none";
    endpoint.secrets["secret_access_key"] = Secret(secret_key);
    return endpoint;
  }
  BackendContext& context_;
  std::map<std::string, std::string> options_;
  std::string bucket_ = "bucket-" + random_plan_id();
};

BackendCase versitygw_with(std::string name, std::map<std::string, std::string> options) {
  return {std::move(name),
          [options](BackendContext& context) { return std::make_unique<S3Fixture>(context, options); }};
}

INSTANTIATE_TEST_SUITE_P(S3, BackendSuite,
                         testing::Values(versitygw_with("s3_versitygw", {}),
                                         versitygw_with("s3_versitygw_without_checksums", {{"checksum", "none"}}),
                                         versitygw_with("s3_versitygw_copies_in_parts", {{"copy_part_size", "5MiB"}})),
                         case_name);

} // namespace
} // namespace checkvalve::conformance
