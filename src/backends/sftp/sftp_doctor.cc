#include "backends/sftp/sftp_doctor.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <cstring>

#include "backends/sftp/sftp_settings.h"
#include "backends/sftp/sftp_side.h"
#include "backends/temporary.h"
#include "core/path.h"
#include "core/units.h"

namespace checkvalve {
namespace {

using Clock = std::chrono::steady_clock;
using SessionPtr = std::shared_ptr<SftpSession>;

constexpr std::uint32_t create_new = open_flag::write | open_flag::create | open_flag::exclusive;
constexpr int round_trips = 10;
constexpr std::uint64_t probe_bytes = 16 * 1024 * 1024;
constexpr std::size_t probes_in_flight = 16;
constexpr std::chrono::seconds stop_grace{2}; // for removing the temporaries

// One visit: what it found, and the temporaries it made.
class Doctor {
public:
  Doctor(BackendContext& context, SftpSettings settings, CancellationToken token)
      : side_(context, std::move(settings)), token_(token), timer_(context.loop) {}
  Task<Result<std::vector<DoctorCheck>>> run();

private:
  Task<Result<void>> look();
  Task<void> watch_for_stop();
  Task<bool> check_root();
  Task<void> measure_round_trip();
  Task<Result<std::string>> make_temporary(std::string content);
  Task<void> check_replacing();
  Task<void> check_times();
  Task<void> check_digests();
  Task<void> measure_throughput();
  void describe_session();
  void note(std::string name, std::string value, bool ok = true) {
    checks_.push_back({std::move(name), std::move(value), ok});
  }

  SftpSide side_;
  const CancellationToken token_;
  Timer timer_; // of watch_for_stop
  OneShotEvent finished_;
  SessionPtr session_;
  std::vector<DoctorCheck> checks_;
  TemporaryName name_{random_plan_id(), 1, random_nonce(), 0};
  std::vector<std::string> made_; // temporaries to remove, absolute
};

Task<Result<std::vector<DoctorCheck>>> Doctor::run() {
  TaskGroup watching;
  watching.spawn(watch_for_stop());
  const auto looked = co_await look();
  session_.reset();
  finished_.set();
  timer_.cancel();
  co_await watching.join();
  co_await side_.disconnect();
  if (token_.requested())
    co_return Failure(make_error(ErrorKind::interrupted, "examine", side_.pool()->settings().display, "was stopped"));
  if (!looked) co_return Failure(looked.error());
  co_return std::move(checks_);
}

Task<Result<void>> Doctor::look() {
  CV_CO_TRY(session_, co_await side_.session());
  describe_session();
  co_await measure_round_trip();
  if (co_await check_root())
    for (const auto check :
         {&Doctor::check_replacing, &Doctor::check_times, &Doctor::check_digests, &Doctor::measure_throughput})
      if (!token_.requested()) co_await (this->*check)();
  for (const auto& path : made_) co_await session_->remove(path);
  co_return Result<void>();
}

// A stop must not wait for a server that has fallen silent: what waits on it fails once it is disconnected.
Task<void> Doctor::watch_for_stop() {
  if (co_await finished_.wait(token_)) co_return;
  if (session_) co_await timer_.wait(stop_grace);
  if (!finished_.is_set()) co_await side_.disconnect();
}

void Doctor::describe_session() {
  for (const auto& [name, value] : session_->facts()) note(name, value);
  note("protocol", fmt::format("SFTP version {}", session_->version()));
  std::vector<std::string> extensions;
  for (const auto& [name, version] : session_->extensions())
    extensions.push_back(fmt::format("{} {}", escape_bytes(name), escape_bytes(version)));
  note("extensions", extensions.empty() ? "none" : fmt::format("{}", fmt::join(extensions, ", ")));
  const SftpLimits& limits = session_->limits();
  note("limits", fmt::format("reads of {}, writes of {}, {} open files", format_size(limits.read_bytes),
                             format_size(limits.write_bytes), limits.open_handles));
  if (const auto& home = session_->login_directory())
    note("login directory", escape_bytes(*home));
  else
    note("login directory", "not shown: " + home.error().message);
}

Task<void> Doctor::measure_round_trip() {
  for (int i = 0; i < round_trips; ++i) co_await session_->real_path(".");
  const auto start = Clock::now();
  for (int i = 0; i < round_trips; ++i) co_await session_->real_path(".");
  const auto each = std::chrono::duration<double, std::milli>(Clock::now() - start).count() / round_trips;
  note("round trip", fmt::format("{:.2f} ms", each));
}

Task<bool> Doctor::check_root() {
  auto root = co_await session_->stat(side_.root());
  if (!root) {
    note("root", fmt::format("{}: {}", escape_bytes(side_.root()), root.error().message), false);
    co_return false;
  }
  const bool directory = type_of(*root) == EntryType::directory || co_await opens_as_directory(session_, side_.root());
  note("root", fmt::format("{} is {}", escape_bytes(side_.root()), directory ? "a directory" : "not a directory"),
       directory);
  if (!directory) co_return false;
  auto probe = co_await make_temporary("old");
  note("writable", probe ? "yes" : fmt::format("no: {}", probe.error().message), probe.has_value());
  co_return probe.has_value();
}

Task<Result<std::string>> Doctor::make_temporary(std::string content) {
  ++name_.file;
  std::string path = side_.absolute(name_.text());
  CV_CO_TRY(const std::string handle, co_await session_->open_file(path, create_new, {}));
  made_.push_back(path);
  auto written = co_await session_->write(handle, 0, Chunk::copy_of(content));
  auto closed = co_await session_->close_handle(handle);
  if (!written) co_return Failure(std::move(written.error()));
  if (!closed) co_return Failure(std::move(closed.error()));
  co_return path;
}

Task<void> Doctor::check_replacing() {
  auto from = co_await make_temporary("new");
  const std::string to = made_.front();
  if (!from) {
    note("rename", from.error().message, false);
    co_return;
  }
  auto legacy = co_await session_->rename(*from, to);
  note("legacy rename", legacy ? "replaces an existing name (perhaps not in one step)" : "refuses an existing name");
  if (legacy) from = co_await make_temporary("new");
  if (from && session_->has("posix-rename@openssh.com")) {
    auto replaced = co_await session_->posix_rename(*from, to);
    note("atomic replace",
         replaced ? "yes, by posix-rename@openssh.com"
                  : fmt::format("no: posix-rename@openssh.com is refused: {}", replaced.error().message),
         replaced.has_value());
  } else {
    note("atomic replace", "no: existing files are replaced only with overwrite = \"non-atomic\"", false);
  }
  if (session_->has("hardlink@openssh.com")) {
    auto linked = co_await session_->hard_link(to, to);
    auto other = side_.absolute(TemporaryName{name_.plan, 1, name_.nonce, ++name_.file}.text());
    auto fresh = co_await session_->hard_link(to, other);
    if (fresh) made_.push_back(other);
    const bool works = !linked && fresh;
    note("create if absent", works ? "yes, by hardlink@openssh.com" : "not in one step: hard links do not work here",
         works);
  } else {
    note("create if absent", "not in one step (no hardlink@openssh.com)", false);
  }
}

Task<void> Doctor::check_times() {
  constexpr std::uint32_t odd_second = 1'234'567'891;
  const std::string& path = made_.front();
  auto handle = co_await session_->open_file(path, open_flag::write, {});
  if (!handle) {
    note("file times", handle.error().message, false);
    co_return;
  }
  FileAttributes attributes;
  attributes.mtime_s = odd_second;
  auto set = co_await session_->fsetstat(*handle, attributes);
  auto synced = session_->has("fsync@openssh.com") ? co_await session_->fsync(*handle) : Result<void>();
  co_await session_->close_handle(*handle);
  auto found = co_await session_->stat(path);
  const std::uint32_t kept = found ? found->mtime_s.value_or(0) : 0;
  const auto difference = kept > odd_second ? kept - odd_second : odd_second - kept;
  if (!set || !found)
    note("file times", fmt::format("can't be set: {}", (set ? found.error() : set.error()).message), false);
  else
    note("file times",
         difference == 0   ? "kept, to 1 s"
         : difference <= 2 ? "kept, to 2 s"
                           : "not kept",
         difference <= 2);
  if (session_->has("fsync@openssh.com"))
    note("fsync", synced ? "yes" : fmt::format("refused: {}", synced.error().message), synced.has_value());
  else
    note("fsync", "no (no fsync@openssh.com)", false);
}

Task<void> Doctor::check_digests() {
  auto digest = co_await session_->check_file(made_.front(), "sha256");
  note("digests of its own (--verify hash)",
       digest ? "sha256, by check-file" : "none: --verify readback reads what was published again");
}

std::string rate_text(Clock::time_point start) {
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  return fmt::format(
      "{}/s", format_size(static_cast<std::uint64_t>(static_cast<double>(probe_bytes) / std::max(seconds, 1e-6))));
}

Task<Result<void>> write_piece(SessionPtr session, std::string handle, std::uint64_t offset, std::uint32_t size) {
  Chunk chunk = Chunk::allocate(size);
  std::memset(chunk.data(), static_cast<int>(offset >> 16), size);
  co_return co_await session->write(handle, offset, std::move(chunk));
}

Task<Result<void>> read_piece(SessionPtr session, std::string handle, std::uint64_t offset, std::uint32_t size) {
  auto chunk = co_await session->read(handle, offset, size);
  if (!chunk) co_return Failure(std::move(chunk.error()));
  co_return Result<void>();
}

using Piece = Task<Result<void>> (*)(SessionPtr, std::string, std::uint64_t, std::uint32_t);

// Moves probe_bytes with a window of requests.
Task<Result<void>> move_probe(SessionPtr session, std::string handle, std::uint32_t piece_bytes, Piece piece) {
  std::vector<JoinHandle<Result<void>>> window;
  Result<void> all;
  std::size_t oldest = 0;
  for (std::uint64_t offset = 0; offset < probe_bytes && all; offset += piece_bytes) {
    window.push_back(
        spawn(piece(session, handle, offset,
                    static_cast<std::uint32_t>(std::min<std::uint64_t>(piece_bytes, probe_bytes - offset)))));
    if (window.size() - oldest >= probes_in_flight) all = co_await window[oldest++].get();
  }
  for (; oldest < window.size(); ++oldest)
    if (auto done = co_await window[oldest].get(); !done && all) all = std::move(done);
  co_return all;
}

Task<void> Doctor::measure_throughput() {
  ++name_.file;
  const std::string path = side_.absolute(name_.text());
  auto handle = co_await session_->open_file(path, create_new | open_flag::read, {});
  if (!handle) {
    note("throughput", handle.error().message, false);
    co_return;
  }
  made_.push_back(path);
  const auto writing = Clock::now();
  auto written = co_await move_probe(session_, *handle, session_->limits().write_bytes, write_piece);
  note("write throughput", written ? rate_text(writing) : written.error().message, written.has_value());
  if (written) {
    const auto reading = Clock::now();
    auto read = co_await move_probe(session_, *handle, session_->limits().read_bytes, read_piece);
    note("read throughput", read ? rate_text(reading) : read.error().message, read.has_value());
  }
  co_await session_->close_handle(*handle);
}

} // namespace

Task<Result<std::vector<DoctorCheck>>> doctor_sftp(BackendContext& context, Endpoint endpoint,
                                                   CancellationToken token) {
  CV_CO_TRY(SftpSettings settings, read_sftp_settings(endpoint, context.connect_timeout));
  Doctor doctor(context, std::move(settings), token);
  co_return co_await doctor.run();
}

} // namespace checkvalve
