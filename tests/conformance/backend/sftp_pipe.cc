// SFTP over a pipe to OpenSSH's sftp-server: no SSH, no network.
#include "backends/sftp/sftp_backend.h"
#include "conformance/backend/directory.h"
#include "support/sshd.h"

namespace checkvalve::conformance {
namespace {

class SftpPipeFixture : public DirectoryFixture {
public:
  explicit SftpPipeFixture(BackendContext& context) : context_(context) {}
  Result<std::unique_ptr<Source>> make_source() override { return sftp_backend.make_source(context_, at(root())); }
  Result<std::unique_ptr<Target>> make_target() override { return sftp_backend.make_target(context_, at(root())); }
  Result<std::unique_ptr<Target>> make_target_below(const std::string& directory) override {
    return sftp_backend.make_target(context_, at(root() + "/" + directory));
  }

private:
  static Endpoint at(const std::string& path) {
    Endpoint endpoint;
    endpoint.scheme = "sftp";
    endpoint.root = path;
    endpoint.options = {{"command", testing_support::sftp_server_program()}};
    return endpoint;
  }
  BackendContext& context_;
};

std::unique_ptr<BackendFixture> make_sftp_pipe(BackendContext& context) { return std::make_unique<SftpPipeFixture>(context); }

INSTANTIATE_TEST_SUITE_P(SftpPipe, BackendSuite, testing::Values(BackendCase{"sftp_pipe", make_sftp_pipe}), case_name);

} // namespace
} // namespace checkvalve::conformance
