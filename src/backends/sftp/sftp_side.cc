#include "backends/sftp/sftp_side.h"

#include <sys/stat.h>

#include <algorithm>
#include <deque>

#include "backends/sftp/file_streams.h"
#include "core/path.h"

namespace checkvalve {
namespace {

using SessionPtr = std::shared_ptr<SftpSession>;

constexpr std::size_t max_refused = 1000;
constexpr std::size_t max_reads_ahead = 16;       // READDIRs in flight on one handle
constexpr std::uint64_t max_entries = 50'000'000; // of one directory: beyond this a listing is taken for endless
// A name is much larger in memory than on the wire: a page is taken in parts of this many.
constexpr std::size_t names_at_once = 512;
// Of the replies that wait to be taken, over all listings: from the first on listings read less far ahead, and beyond
// the second the server sends what no directory needs.
constexpr std::uint64_t many_ahead_bytes = 16ull << 20;
constexpr std::uint64_t max_ahead_bytes = 96ull << 20;
// As many as fill a way of 50 ms with small files. On a short one the server and the way are busy with few: more only
// grow its buffers and ours, and cost both time.
constexpr std::uint32_t files_in_flight_far = 256;
constexpr std::uint32_t files_in_flight_near = 64;
constexpr std::chrono::milliseconds distant_round_trip{2};
constexpr std::uint64_t near_window_bytes = 8ull << 20; // for one connection
constexpr std::uint64_t far_window_bytes = 32ull << 20; // for several
constexpr std::chrono::milliseconds far_round_trip{5};

// A page that waits to be taken, counted for as long as it does.
struct PageAhead {
  PageAhead(NamePage in, std::shared_ptr<std::uint64_t> counter) : page(std::move(in)), bytes(std::move(counter)) {
    *bytes += page.size_bytes();
  }
  PageAhead(PageAhead&& other) noexcept = default;
  PageAhead& operator=(PageAhead&&) = delete;
  ~PageAhead() {
    if (bytes) *bytes -= counted;
  }

  NamePage page;
  std::shared_ptr<std::uint64_t> bytes;
  std::uint64_t counted = page.size_bytes();
};

// Holds the session for as long as the reply is due, also when the listing is dropped.
Task<Result<PageAhead>> read_page(SessionPtr session, std::string handle, std::shared_ptr<std::uint64_t> ahead_bytes) {
  CV_CO_TRY(NamePage page, co_await session->read_directory(handle));
  if (*ahead_bytes + page.size_bytes() > max_ahead_bytes)
    co_return Failure(make_error(ErrorKind::protocol, "the server sends listings in packets of a megabyte"));
  co_return PageAhead(std::move(page), std::move(ahead_bytes));
}

std::optional<EntryType> type_of_letter(char letter) {
  switch (letter) {
  case '-': return EntryType::file;
  case 'd': return EntryType::directory;
  case 'l': return EntryType::symlink;
  case 0: return std::nullopt;
  default: return EntryType::other;
  }
}

// Servers of files that have no links may not know LSTAT.
Task<Result<FileAttributes>> look_at(SessionPtr session, std::string path) {
  auto found = co_await session->lstat(path);
  if (!found && found.error().kind == ErrorKind::unsupported) found = co_await session->stat(std::move(path));
  co_return found;
}

class SftpListing : public Listing {
public:
  SftpListing(SessionPtr session, Semaphore::Permit permit, std::string handle, std::string directory,
              std::string absolute, std::shared_ptr<std::uint64_t> ahead_bytes)
      : session_(std::move(session)), permit_(std::move(permit)), handle_(std::move(handle)),
        directory_(std::move(directory)), absolute_(std::move(absolute)), ahead_bytes_(std::move(ahead_bytes)) {}
  ~SftpListing() override {
    if (!handle_.empty()) close();
  }

  Task<Result<std::vector<Entry>>> next() override {
    while (!handle_.empty()) {
      if (page_.at_end()) {
        auto turned = co_await turn_page();
        if (!turned) co_return fail(std::move(turned.error()));
        if (!*turned) break;
      }
      auto names = page_.next(names_at_once);
      if (!names) co_return fail(make_error(ErrorKind::protocol, "the server sent a malformed NAME packet"));
      seen_ += names->size();
      if (seen_ > max_entries) co_return fail(make_error(ErrorKind::protocol, "the server's listing does not end"));
      auto entries = co_await accept(std::move(*names));
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
  void refuse(const std::string& path, Error error) {
    error.path = escape_bytes(path);
    if (refused_count_++ < max_refused) refused_.push_back(std::move(error));
  }

  // False: there is no further page.
  Task<Result<bool>> turn_page() {
    for (;;) {
      while (!ended_ && ahead_.size() < read_ahead_)
        ahead_.push_back(spawn(read_page(session_, handle_, ahead_bytes_)));
      if (ahead_.empty()) co_return false;
      auto reading = std::move(ahead_.front());
      ahead_.pop_front();
      CV_CO_TRY(PageAhead read, co_await reading.get());
      page_ = std::move(read.page);
      if (!page_.at_end()) break;
      ended_ = true; // what was asked for beyond the end is still awaited
    }
    read_ahead_ = *ahead_bytes_ < many_ahead_bytes ? std::min(read_ahead_ * 2, max_reads_ahead) : 1;
    co_return true;
  }

  Task<std::vector<Entry>> accept(std::vector<NameEntry> names) {
    std::vector<Entry> entries;
    entries.reserve(names.size());
    std::vector<NameEntry> unclear;
    for (auto& name : names) {
      if (name.name == "." || name.name == "..") continue;
      std::string path = join_path(directory_, name.name);
      if (auto usable = check_name(name.name); !usable) {
        refuse(path, std::move(usable.error()));
        continue;
      }
      const auto type = shown_type(name);
      if (!type || (*type == EntryType::file && (!name.attributes.size_bytes || !name.attributes.mtime_s)))
        unclear.push_back(std::move(name));
      else
        entries.push_back(entry_from(name.attributes, *type, std::move(path)));
    }
    if (!unclear.empty()) co_await look_up(std::move(unclear), entries);
    co_return entries;
  }

  static std::optional<EntryType> shown_type(const NameEntry& name) {
    const auto type = type_of(name.attributes);
    return type ? type : type_of_letter(name.type_letter);
  }

  // What READDIR omits is asked for, name by name.
  Task<void> look_up(std::vector<NameEntry> names, std::vector<Entry>& entries) {
    std::vector<JoinHandle<Result<FileAttributes>>> looks;
    looks.reserve(names.size());
    for (const auto& name : names) looks.push_back(spawn(look_at(session_, join_path(absolute_, name.name))));
    for (std::size_t i = 0; i < names.size(); ++i) {
      auto found = co_await looks[i].get();
      const NameEntry& name = names[i];
      std::string path = join_path(directory_, name.name);
      auto type = found ? type_of(*found) : std::nullopt;
      if (!type) type = shown_type(name);
      if (!found && type != EntryType::directory) {
        found.error().message = "the listing does not show what it is, and: " + found.error().message;
        refuse(path, std::move(found.error()));
        continue;
      }
      if (!type)
        type = co_await opens_as_directory(session_, join_path(absolute_, name.name)) ? EntryType::directory
                                                                                      : EntryType::file;
      entries.push_back(entry_from(found ? *found : name.attributes, *type, std::move(path)));
    }
  }

  SessionPtr session_;
  Semaphore::Permit permit_;
  std::string handle_; // empty: at the end
  std::string directory_;
  std::string absolute_; // the same at the server
  std::shared_ptr<std::uint64_t> ahead_bytes_;
  NamePage page_;
  std::deque<JoinHandle<Result<PageAhead>>> ahead_;
  std::size_t read_ahead_ = 2; // the names of a small directory, and its end
  bool ended_ = false;
  std::uint64_t seen_ = 0;
  std::vector<Error> refused_;
  std::size_t refused_count_ = 0;
};

} // namespace

std::optional<EntryType> type_of(const FileAttributes& attributes) {
  switch (attributes.permissions.value_or(0) & S_IFMT) {
  case 0: return std::nullopt;
  case S_IFREG: return EntryType::file;
  case S_IFDIR: return EntryType::directory;
  case S_IFLNK: return EntryType::symlink;
  default: return EntryType::other;
  }
}

Entry entry_from(const FileAttributes& attributes, EntryType type, std::string path) {
  Entry entry;
  entry.path = std::move(path);
  entry.type = type;
  if (attributes.permissions) entry.mode = *attributes.permissions & 07777;
  entry.size_bytes = attributes.size_bytes.value_or(0);
  if (attributes.mtime_s) entry.mtime_ns = std::int64_t{*attributes.mtime_s} * 1'000'000'000;
  return entry;
}

// Without a permit of the session's handles: whoever asks may hold one, of which there may be no other.
Task<bool> opens_as_directory(SessionPtr session, std::string path) {
  auto handle = co_await session->open_directory(std::move(path));
  if (handle) session->close_later(std::move(*handle), {});
  co_return handle.has_value();
}

Result<void> check_below_root(std::string_view path) { return path.empty() ? Result<void>() : check_tree_path(path); }

Task<Result<void>> SftpSide::connect(bool is_target) {
  pool_->reopen();
  CV_CO_TRY(auto opened, co_await session());
  auto root = co_await opened->stat(root_);
  const auto type = root ? type_of(*root) : std::nullopt;
  if (type == EntryType::file)
    co_return Failure(make_error(ErrorKind::not_a_directory, "the root is a file, not a directory"));
  if (type) co_return Result<void>();
  if (!root && root.error().kind == ErrorKind::not_found) {
    if (is_target) co_return Result<void>();
    co_return Failure(std::move(root.error()));
  }
  // The server shows no types, or refuses to show anything of the root.
  auto listed = co_await opened->open_directory(root_);
  if (!opened->alive()) co_return Failure(opened->end_error());
  if (listed) {
    opened->close_later(std::move(*listed), {});
    co_return Result<void>();
  }
  // A target may be written to all the same; the walk reports that it can't be listed.
  if (is_target && listed.error().kind != ErrorKind::not_a_directory) co_return Result<void>();
  co_return Failure(root ? std::move(listed.error()) : std::move(root.error()));
}

Task<Result<SessionPtr>> SftpSide::session() {
  auto made = co_await pool_->get();
  if (made && root_.empty()) CV_CO_CHECK(find_root(**made));
  co_return made;
}

Result<void> SftpSide::find_root(const SftpSession& session) {
  const std::string& wanted = pool_->settings().root;
  root_ = wanted;
  if (wanted.starts_with('~')) {
    root_.clear();
    if (const auto& home = session.login_directory(); !home)
      return Failure(
          Error(home.error()).with_hint("give an absolute path: the server does not show the login directory"));
    else
      root_ = join_path(*home, std::string_view(wanted).substr(std::min<std::size_t>(2, wanted.size())));
  }
  while (root_.size() > 1 && root_.back() == '/') root_.pop_back();
  return {};
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
                                            std::move(directory), path, ahead_bytes_);
  handle.error() = explain_open(*opened, std::move(handle.error()));
  permit.release();
  // OpenSSH answers "no such file" for a file, too.
  if (handle.error().kind == ErrorKind::not_found || handle.error().kind == ErrorKind::io) {
    auto attributes = co_await opened->stat(path);
    if (attributes && type_of(*attributes).value_or(EntryType::directory) != EntryType::directory) {
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
  auto type = type_of(*attributes);
  if (!type) type = co_await opens_as_directory(opened, absolute(path)) ? EntryType::directory : EntryType::file;
  co_return entry_from(*attributes, *type, std::move(path));
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
