// SFTP over SSH to a real sshd: by libssh in this process, and by the ssh program.
#include "backends/sftp/sftp_backend.h"
#include "conformance/backend/directory.h"
#include "support/sshd.h"

namespace checkvalve::conformance {
namespace {

// One server for all tests of this program: starting one takes longer than a test.
testing_support::Sshd& shared_sshd() {
  static const auto sshd = testing_support::Sshd::start();
  return *sshd;
}

class SftpSshdFixture : public DirectoryFixture {
public:
  SftpSshdFixture(BackendContext& context, std::string transport) : context_(context), transport_(std::move(transport)) {}
  Result<std::unique_ptr<Source>> make_source() override { return sftp_backend.make_source(context_, at(root())); }
  Result<std::unique_ptr<Target>> make_target() override { return sftp_backend.make_target(context_, at(root())); }
  Result<std::unique_ptr<Target>> make_target_below(const std::string& directory) override {
    return sftp_backend.make_target(context_, at(root() + "/" + directory));
  }

private:
  Endpoint at(const std::string& path) const {
    Endpoint endpoint = shared_sshd().endpoint(path);
    endpoint.options["transport"] = transport_;
    return endpoint;
  }
  BackendContext& context_;
  std::string transport_;
};

std::unique_ptr<BackendFixture> make_libssh(BackendContext& context) { return std::make_unique<SftpSshdFixture>(context, "libssh"); }
std::unique_ptr<BackendFixture> make_ssh_program(BackendContext& context) { return std::make_unique<SftpSshdFixture>(context, "ssh"); }

INSTANTIATE_TEST_SUITE_P(SftpSshd, BackendSuite,
                         testing::Values(BackendCase{"sftp_libssh", make_libssh}, BackendCase{"sftp_ssh_program", make_ssh_program}),
                         case_name);

} // namespace
} // namespace checkvalve::conformance
