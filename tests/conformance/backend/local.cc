#include "conformance/backend/directory.h"

namespace checkvalve::conformance {
namespace {

class LocalFixture : public DirectoryFixture {
public:
  explicit LocalFixture(BackendContext& context) : context_(context) {}
  Result<std::unique_ptr<Source>> make_source() override { return checkvalve::make_source(context_, at(root())); }
  Result<std::unique_ptr<Target>> make_target() override { return checkvalve::make_target(context_, at(root())); }
  Result<std::unique_ptr<Target>> make_target_below(const std::string& directory) override {
    return checkvalve::make_target(context_, at(root() + "/" + directory));
  }

private:
  static Endpoint at(const std::string& path) {
    Endpoint endpoint;
    endpoint.scheme = "file";
    endpoint.root = path;
    return endpoint;
  }
  BackendContext& context_;
};

std::unique_ptr<BackendFixture> make_local(BackendContext& context) { return std::make_unique<LocalFixture>(context); }

INSTANTIATE_TEST_SUITE_P(Local, BackendSuite, testing::Values(BackendCase{"local", make_local}), case_name);

} // namespace
} // namespace checkvalve::conformance
