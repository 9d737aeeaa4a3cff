// The example backend joins the conformance suite: a fixture, and one line.
#include "conformance/backend/suite.h"

namespace checkvalve {

extern const BackendDescriptor dictionary_backend;

namespace conformance {
namespace {

class DictionaryFixture : public BackendFixture {
public:
  explicit DictionaryFixture(BackendContext& context) : context_(context) {}
  Result<std::unique_ptr<Source>> make_source() override {
    return dictionary_backend.make_source(context_, at("/root"));
  }
  Result<std::unique_ptr<Target>> make_target() override {
    return dictionary_backend.make_target(context_, at("/root"));
  }
  Result<std::unique_ptr<Target>> make_target_below(const std::string& directory) override {
    return dictionary_backend.make_target(context_, at("/root/" + directory));
  }

private:
  Endpoint at(const std::string& root) const {
    Endpoint endpoint;
    endpoint.scheme = "dictionary";
    endpoint.host = name_;
    endpoint.root = root;
    return endpoint;
  }
  BackendContext& context_;
  const std::string name_ = random_plan_id();
};

std::unique_ptr<BackendFixture> make(BackendContext& context) { return std::make_unique<DictionaryFixture>(context); }

INSTANTIATE_TEST_SUITE_P(Example, BackendSuite, testing::Values(BackendCase{"dictionary", make}), case_name);

} // namespace
} // namespace conformance
} // namespace checkvalve
