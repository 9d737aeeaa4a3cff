#include "backends/sftp/sftp_side.h"

#include <sys/stat.h>

#include <algorithm>
#include <deque>

#include "core/path.h"

namespace checkvalve {
namespace {

constexpr std::size_t max_refused = 1000;
constexpr std::size_t max_reads_ahead = 16;       // READDIRs in flight on one handle
constexpr std::uint64_t max_entries = 50'000'000; // of one directory: beyond this a listing is taken for endless
// As many as fill a way of 50 ms with small files. On a short one the server and the way are busy with few: more only
// grow its buffers and ours, and cost both time.
constexpr std::uint32_t files_in_flight_far = 256;
constexpr std::uint32_t files_in_flight_near = 64;
constexpr std::chrono::milliseconds distant_round_trip{2};
constexpr std::uint64_t near_window_bytes = 8ull << 20; // for one connection
constexpr std::uint64_t far_window_bytes = 32ull << 20; // for several
constexpr std::chrono::milliseconds far_round_trip{5};

// Holds the session for as long as the reply is due, also when the listing is dropped.
Task<Result<std::vector<NameEntry>>> read_names(std::shared_ptr<SftpSession> session, std::string handle) {
  co_return co_await session->read_directory(handle);
}

class SftpListing : public Listing {
public:
  SftpListing(std::shared_ptr<SftpSession> session, Semaphore::Permit permit, std::string handle, std::string directory)
      : session_(std::move(session)), permit_(std::move(permit)), handle_(std::move(handle)),
        directory_(std::move(directory)) {}
  ~SftpListing() override {
    if (!handle_.empty()) close();
  }

  Task<Result<std::vector<Entry>>> next() override {
    while (!handle_.empty()) {
      while (!ended_ && ahead_.size() < read_ahead_) ahead_.push_back(spawn(read_names(session_, handle_)));
      if (ahead_.empty()) break;
      auto reading = std::move(ahead_.front());
      ahead_.pop_front();
      auto names = co_await reading.get();
      if (!names) co_return fail(std::move(names.error()));
      if (names->empty()) {
        ended_ = true;
        continue;
      }
      read_ahead_ = std::min(read_ahead_ * 2, max_reads_ahead);
      seen_ += names->size();
      if (seen_ > max_entries) co_return fail(make_error(ErrorKind::protocol, "the server's listing does not end"));
      auto entries = accept(std::move(*names));
      if (!entries.empty()) co_return entries;
    }
    if (!handle_.empty()) close();
    co_return std::vector<Entry>();
  }

  std::vector<Error> take_refused() override { return std::exchange(refused_, {}); }

private:
  void close() { session_->close_later(std::exchange(handle_, {}), std::move(permit_)); }
  Failure fail(Error error) {
    close();
    return Failure(std::move(error));
  }
  std::vector<Entry> accept(std::vector<NameEntry>&& names) {
    std::vector<Entry> entries;
    entries.reserve(names.size());
    for (auto& name : names) {
      if (name.name == "." || name.name == "..") continue;
      if (auto usable = check_name(name.name); !usable) {
        usable.error().path = escape_bytes(join_path(directory_, name.name));
        if (refused_count_++ < max_refused) refused_.push_back(std::move(usable.error()));
        continue;
      }
      entries.push_back(entry_from(name.attributes, join_path(directory_, name.name)));
    }
    return entries;
  }

  std::shared_ptr<SftpSession> session_;
  Semaphore::Permit permit_;
  std::string handle_; // empty: at the end
  std::string directory_;
  std::deque<JoinHandle<Result<std::vector<NameEntry>>>> ahead_;
  std::size_t read_ahead_ = 2; // the names of a small directory, and its end
  bool ended_ = false;
  std::uint64_t seen_ = 0;
  std::vector<Error> refused_;
  std::size_t refused_count_ = 0;
};

} // namespace

// A server that sends no permissions does not tell the type either: what has a size is taken for a file.
Entry entry_from(const FileAttributes& attributes, std::string path) {
  Entry entry;
  entry.path = std::move(path);
  if (attributes.permissions) {
    switch (*attributes.permissions & S_IFMT) {
    case S_IFREG: entry.type = EntryType::file; break;
    case S_IFDIR: entry.type = EntryType::directory; break;
    case S_IFLNK: entry.type = EntryType::symlink; break;
    case 0: entry.type = attributes.size_bytes ? EntryType::file : EntryType::other; break;
    default: entry.type = EntryType::other; break;
    }
    entry.mode = *attributes.permissions & 07777;
  } else {
    entry.type = attributes.size_bytes ? EntryType::file : EntryType::other;
  }
  entry.size_bytes = attributes.size_bytes.value_or(0);
  if (attributes.mtime_s) entry.mtime_ns = std::int64_t{*attributes.mtime_s} * 1'000'000'000;
  return entry;
}

Result<void> check_below_root(std::string_view path) { return path.empty() ? Result<void>() : check_tree_path(path); }

Task<Result<void>> SftpSide::connect(bool may_be_missing) {
  pool_->reopen();
  CV_CO_TRY(auto opened, co_await session());
  auto root = co_await opened->stat(root_);
  if (!root && root.error().kind == ErrorKind::not_found && may_be_missing) co_return Result<void>();
  if (!root) co_return Failure(std::move(root.error()));
  if (entry_from(*root, {}).type == EntryType::file)
    co_return Failure(make_error(ErrorKind::not_a_directory, "the root is a file, not a directory"));
  co_return Result<void>();
}

Task<Result<std::shared_ptr<SftpSession>>> SftpSide::session() {
  auto made = co_await pool_->get();
  if (made && root_.empty()) find_root(**made);
  co_return made;
}

void SftpSide::find_root(const SftpSession& session) {
  const std::string& wanted = pool_->settings().root;
  root_ = wanted.starts_with('~') ? join_path(session.login_directory(),
                                              std::string_view(wanted).substr(std::min<std::size_t>(2, wanted.size())))
                                  : wanted;
  while (root_.size() > 1 && root_.back() == '/') root_.pop_back();
}

std::string SftpSide::absolute(std::string_view path) const { return join_path(root_, path); }

Capabilities SftpSide::capabilities(const SftpSession& session, std::uint32_t largest_request_bytes) const {
  const auto& settings = pool_->settings();
  const std::uint32_t handles = session.limits().open_handles;
  const bool far = session.round_trip() >= far_round_trip && settings.connections > 1;
  Capabilities c;
  c.symlinks = true;
  c.min_mtime_ns = 0; // version 3 has unsigned 32-bit seconds since 1970 (section 5)
  c.max_mtime_ns = std::int64_t{UINT32_MAX} * 1'000'000'000;
  c.atomic_replace = session.has("posix-rename@openssh.com");
  c.create_if_absent = session.has("hardlink@openssh.com");
  c.durable = session.has("fsync@openssh.com");
  c.chunk_bytes = std::min(largest_request_bytes, 256u * 1024);
  if (settings.chunk_bytes != 0) c.chunk_bytes = std::min(largest_request_bytes, settings.chunk_bytes);
  // Some handles are left for listings.
  constexpr std::uint32_t for_listings = 8;
  const std::uint32_t useful = session.round_trip() >= distant_round_trip ? files_in_flight_far : files_in_flight_near;
  c.files_in_flight = handles > 2 * for_listings ? std::min(useful, handles - for_listings) : std::max(1u, handles - 1);
  c.window_bytes = far ? std::min(far_window_bytes, near_window_bytes * settings.connections) : near_window_bytes;
  return c;
}

Task<Result<std::unique_ptr<Listing>>> SftpSide::list(std::string directory) {
  CV_CO_CHECK(check_below_root(directory));
  CV_CO_TRY(auto opened, co_await session());
  const std::string path = absolute(directory);
  auto permit = co_await opened->handles().acquire();
  auto handle = co_await opened->open_directory(path);
  if (handle)
    co_return std::make_unique<SftpListing>(std::move(opened), std::move(permit), std::move(*handle),
                                            std::move(directory));
  permit.release();
  // OpenSSH answers "no such file" for a file, too.
  if (handle.error().kind == ErrorKind::not_found || handle.error().kind == ErrorKind::io) {
    auto attributes = co_await opened->stat(path);
    if (attributes && entry_from(*attributes, {}).type != EntryType::directory) {
      handle.error().kind = ErrorKind::not_a_directory;
      handle.error().message = "not a directory";
    }
  }
  co_return Failure(std::move(handle.error()));
}

Task<Result<Entry>> SftpSide::stat(std::string path, bool follow) {
  CV_CO_CHECK(check_below_root(path));
  CV_CO_TRY(auto opened, co_await session());
  auto attributes = follow ? co_await opened->stat(absolute(path)) : co_await opened->lstat(absolute(path));
  if (!attributes) co_return Failure(std::move(attributes.error()));
  co_return entry_from(*attributes, std::move(path));
}

Task<Result<std::string>> SftpSide::read_link(std::string path) {
  CV_CO_CHECK(check_tree_path(path));
  CV_CO_TRY(auto opened, co_await session());
  co_return co_await opened->read_link(absolute(path));
}

Task<Result<std::string>> SftpSide::real_path(std::string path) {
  CV_CO_CHECK(check_below_root(path));
  CV_CO_TRY(auto opened, co_await session());
  co_return co_await opened->real_path(absolute(path));
}

} // namespace checkvalve
