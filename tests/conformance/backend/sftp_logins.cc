// Logins, host keys and lost connections of the sftp backend, against a real sshd.
#include <gtest/gtest.h>

#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "backends/sftp/sftp_backend.h"
#include "backends/sftp/sftp_doctor.h"
#include "backends/sftp/sftp_settings.h"
#include "protocol/host_key.h"
#include "support/run.h"
#include "support/sshd.h"

namespace checkvalve::conformance {
namespace {

using testing_support::Sshd;
using testing_support::TestEngine;

std::string read_text(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

class SftpLogin : public testing::TestWithParam<std::string> {
protected:
  void SetUp() override {
    sshd = Sshd::start();
    root = sshd->directory() + "/root";
    std::filesystem::create_directories(root);
    std::ofstream(root + "/file") << "content";
    endpoint = sshd->endpoint(root);
    endpoint.options["transport"] = GetParam();
  }
  Result<void> connect() {
    auto source = sftp_backend.make_source(engine.context, endpoint);
    if (!source) return Failure(source.error());
    auto connected = engine.run((*source)->connect());
    engine.run((*source)->disconnect());
    return connected;
  }

  Result<HostKey> shown_key() {
    CV_TRY(const SftpSettings settings, read_sftp_settings(endpoint, engine.context.connect_timeout));
    return fetch_host_key(settings.ssh);
  }

  TestEngine engine;
  std::unique_ptr<Sshd> sshd;
  std::string root;
  Endpoint endpoint;
};

std::string message_of(const Result<void>& result) { return result ? "" : result.error().text(); }
std::string code_of(const Result<void>& result) { return std::string(result ? "" : result.error().code_word()); }

TEST_P(SftpLogin, WithAnIdentity) { EXPECT_OK(connect()); }

TEST_P(SftpLogin, UnknownHostKeyStopsBeforeTheLogin) {
  std::ofstream(sshd->known_hosts()) << "";
  const auto result = connect();
  EXPECT_FAILS(result, ErrorKind::host_key);
  EXPECT_EQ(code_of(result), "host_key_unknown");
  EXPECT_NE(result.error().hint.find("checkvalve trust sftp://"), std::string::npos) << result.error().hint;
  EXPECT_EQ(read_text(sshd->directory() + "/log").find("publickey"), std::string::npos) << "a key was offered";
}

TEST_P(SftpLogin, ChangedHostKeyStops) {
  std::istringstream user_key(read_text(sshd->identity() + ".pub"));
  std::string type, key;
  user_key >> type >> key;
  std::ofstream(sshd->known_hosts()) << "[127.0.0.1]:" << sshd->port() << " " << type << " " << key << "\n";
  const auto result = connect();
  EXPECT_FAILS(result, ErrorKind::host_key);
  EXPECT_EQ(code_of(result), "host_key_changed");
  EXPECT_NE(result.error().hint.find("ssh-keygen -R"), std::string::npos) << result.error().hint;
}

TEST_P(SftpLogin, PinnedHostKey) {
  std::ofstream(sshd->known_hosts()) << "";
  endpoint.options["host_key"] = sshd->host_key();
  EXPECT_OK(connect());
  std::string other = read_text(sshd->identity() + ".pub");
  endpoint.options["host_key"] = other.substr(0, other.find('\n'));
  EXPECT_FAILS(connect(), ErrorKind::host_key);
}

TEST_P(SftpLogin, UncheckedHostKeyWarns) {
  std::ofstream(sshd->known_hosts()) << "";
  endpoint.options["host_key_check"] = "no";
  EXPECT_OK(connect());
  EXPECT_EQ(engine.events.of<WarningEvent>().size(), 1u);
}

TEST_P(SftpLogin, RefusedKey) {
  std::ofstream(sshd->directory() + "/authorized_keys") << "";
  const auto result = connect();
  EXPECT_FAILS(result, ErrorKind::auth);
  if (!result) EXPECT_FALSE(result.error().transient());
}

TEST_P(SftpLogin, NobodyListens) {
  sshd->stop();
  const auto result = connect();
  EXPECT_FAILS(result, ErrorKind::connection);
  if (!result) EXPECT_TRUE(result.error().transient());
}

Task<void> loses_and_comes_back(Source& source, Sshd& sshd) {
  CO_ASSERT_OK(co_await source.connect());
  CO_ASSERT_VALUE(const Entry entry, co_await source.stat("file", true));
  CO_ASSERT_VALUE(auto reader, co_await source.open(entry));
  sshd.stop();
  const auto lost = co_await reader->read(0, 7);
  EXPECT_FALSE(lost) << "the server is gone";
  if (!lost) EXPECT_TRUE(lost.error().transient()) << lost.error().text();
  const auto refused = co_await source.stat("file", true);
  EXPECT_FAILS(refused, ErrorKind::connection);
  sshd.restart();
  EXPECT_OK(co_await source.stat("file", true));
  co_await source.disconnect();
}

TEST_P(SftpLogin, RemakesALostConnection) {
  auto source = sftp_backend.make_source(engine.context, endpoint);
  ASSERT_OK(source);
  engine.run(loses_and_comes_back(**source, *sshd));
  EXPECT_FALSE(engine.events.of<RetryEvent>().empty());
}

std::size_t open_descriptors() {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) ++count;
  return count;
}

TEST_P(SftpLogin, GivesEverythingBack) {
  EXPECT_OK(connect());
  const std::size_t before = open_descriptors();
  EXPECT_OK(connect());
  std::ofstream(sshd->directory() + "/authorized_keys") << "";
  EXPECT_FAILS(connect(), ErrorKind::auth);
  // A connection's thread gives its last descriptor back just after the transport has let it go.
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (open_descriptors() > before && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  EXPECT_LE(open_descriptors(), before);
}

// A server that accepts and says nothing.
class SilentServer {
public:
  SilentServer() : acceptor_(io_, {asio::ip::address_v4::loopback(), 0}) {}
  std::uint16_t port() const { return acceptor_.local_endpoint().port(); }

private:
  asio::io_context io_;
  asio::ip::tcp::acceptor acceptor_;
};

Task<Result<void>> connect_to(Source& source) { co_return co_await source.connect(); }

Task<void> gives_up(Source& source) {
  auto connecting = spawn(connect_to(source));
  co_await Loop::current()->sleep(
      std::chrono::milliseconds(100)); // so that it may be stuck; whether it is does not matter
  co_await source.disconnect();
  EXPECT_FAILS(co_await connecting.get(), ErrorKind::connection);
}

TEST_P(SftpLogin, DisconnectEndsAnAttemptUnderWay) {
  SilentServer silent;
  endpoint.port = silent.port();
  engine.context.connect_timeout = std::chrono::minutes(10); // longer than a test may run
  auto source = sftp_backend.make_source(engine.context, endpoint);
  ASSERT_OK(source);
  engine.run(gives_up(**source));
}

INSTANTIATE_TEST_SUITE_P(Transports, SftpLogin, testing::Values("libssh", "ssh"),
                         [](const auto& info) { return info.param; });

class SftpLibssh : public SftpLogin {};
INSTANTIATE_TEST_SUITE_P(Transports, SftpLibssh, testing::Values("libssh"),
                         [](const auto& info) { return info.param; });

TEST_P(SftpLibssh, TextOfAPrivateKey) {
  endpoint.options.erase("identity");
  endpoint.secrets["private_key"] = Secret(read_text(sshd->identity()));
  EXPECT_OK(connect());
}

TEST_P(SftpLibssh, KeyWithAPassphrase) {
  ASSERT_EQ(std::system(("ssh-keygen -q -p -P '' -N 'a phrase' -f " + sshd->identity()).c_str()), 0);
  EXPECT_FAILS(connect(), ErrorKind::auth);
  endpoint.secrets["passphrase"] = Secret("a phrase");
  EXPECT_OK(connect());
  endpoint.secrets["passphrase"] = Secret("another");
  EXPECT_FAILS(connect(), ErrorKind::auth);
}

TEST_P(SftpLogin, AnSshConfigThatIsNotThere) {
  endpoint.options["ssh_config"] = sshd->directory() + "/no such file";
  const auto result = connect();
  EXPECT_FAILS(result, ErrorKind::config);
  EXPECT_NE(message_of(result).find("no such file"), std::string::npos) << message_of(result);
}

TEST_P(SftpLibssh, PinnedFingerprint) {
  std::ofstream(sshd->known_hosts()) << "";
  const auto key = shown_key();
  ASSERT_OK(key);
  endpoint.options["host_key_fingerprint"] = key->fingerprint;
  EXPECT_OK(connect());
  endpoint.options["host_key_fingerprint"] = "SHA256:AAAA";
  EXPECT_FAILS(connect(), ErrorKind::host_key);
}

TEST_P(SftpLibssh, TrustAppendsTheKey) {
  std::ofstream(sshd->known_hosts()) << "other.example ssh-ed25519 AAAA";
  auto key = shown_key();
  ASSERT_OK(key);
  EXPECT_EQ(key->state, HostKeyState::unknown);
  EXPECT_EQ(key->known_hosts_file, sshd->known_hosts());
  ASSERT_OK(trust_host_key(*key));
  EXPECT_EQ(read_text(sshd->known_hosts()), "other.example ssh-ed25519 AAAA\n" + key->known_hosts_line + "\n");
  EXPECT_OK(connect());
  auto again = shown_key();
  ASSERT_OK(again);
  EXPECT_EQ(again->state, HostKeyState::known);
}

TEST_P(SftpLibssh, DoctorFindsWhatOpenSshDoesAndCleansUp) {
  const auto checks = engine.run(doctor_sftp(engine.context, endpoint, {}));
  ASSERT_OK(checks);
  const auto value = [&](std::string_view name) {
    for (const auto& check : *checks)
      if (check.name == name) return check.value;
    return std::string("missing");
  };
  for (const auto& check : *checks) EXPECT_TRUE(check.ok) << check.name << ": " << check.value;
  EXPECT_EQ(value("legacy rename"), "refuses an existing name");
  EXPECT_EQ(value("file times"), "kept, to 1 s");
  EXPECT_NE(value("read throughput"), "missing");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(root), {}), 1) << "temporaries are left";
}

std::ptrdiff_t names_in(const std::filesystem::path& directory) {
  return std::distance(std::filesystem::directory_iterator(directory), {});
}

Task<Result<std::vector<DoctorCheck>>> cancelled_at_first_temporary(BackendContext& context, Endpoint endpoint,
                                                                    std::filesystem::path root) {
  Cancellation cancellation;
  auto checks = spawn(doctor_sftp(context, std::move(endpoint), cancellation));
  while (names_in(root) == 1 && !checks.ready()) co_await context.loop.sleep(std::chrono::milliseconds(1));
  cancellation.request(make_error(ErrorKind::interrupted, "cancelled"));
  co_return co_await checks.get();
}

TEST_P(SftpLibssh, DoctorThatIsCancelledCleansUp) {
  EXPECT_FAILS(engine.run(cancelled_at_first_temporary(engine.context, endpoint, root)), ErrorKind::interrupted);
  EXPECT_EQ(names_in(root), 1) << "temporaries are left";
}

TEST_P(SftpLibssh, DoctorThatIsCancelledDoesNotWaitForASilentServer) {
  SilentServer silent;
  endpoint.port = silent.port();
  engine.context.connect_timeout = std::chrono::minutes(10); // longer than a test may run
  Cancellation cancellation;
  cancellation.request(make_error(ErrorKind::interrupted, "cancelled"));
  EXPECT_FAILS(engine.run(doctor_sftp(engine.context, endpoint, cancellation)), ErrorKind::interrupted);
}

} // namespace
} // namespace checkvalve::conformance
