// SftpSession: one SFTP version 3 conversation (draft-ietf-secsh-filexfer-02) with OpenSSH's extensions (OpenSSH's
// PROTOCOL, section 4). Every call is a coroutine; any number may be under way, and each costs one round trip: requests
// made in one turn of the loop go out together, in the order in which they were made.
//
// Engine thread only. Paths are the server's: absolute, bytes. Errors carry the path, escaped. When the connection is
// lost, when nothing was heard for the stall timeout while a reply was due, or one reply is missing for that long
// though those to later requests come, every call fails with a transient error, and so does each later one: make a new
// session. Requests at which a server may go through a whole file (CLOSE, renames, fsync, hashes) may take longer while
// others are answered, and `silent_work` longer though nothing is: a server that takes one request after the other is
// silent meanwhile (backends/silent_work.h).
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/async.h"
#include "core/chunk.h"
#include "core/result.h"
#include "core/task.h"
#include "protocol/sftp_packet.h"
#include "protocol/transport.h"

namespace checkvalve {

struct SftpSessionOptions {
  std::chrono::milliseconds stall_timeout{60'000};
  std::chrono::milliseconds connect_timeout{20'000}; // for VERSION to come
  std::uint32_t requests_in_flight = 2048;           // further calls wait
  std::uint32_t open_handles = 0;                    // 0: the server's limit, or default_open_handles
};

inline constexpr std::uint32_t default_open_handles = 256;

// The server's limits on one request and on the session (limits@openssh.com), or what every server must take.
struct SftpLimits {
  std::uint32_t read_bytes = 32 * 1024;
  std::uint32_t write_bytes = 32 * 1024;
  std::uint32_t open_handles = default_open_handles;
};

class SftpSession : public std::enable_shared_from_this<SftpSession>, private SftpTransport::Receiver {
public:
  // Opens the transport, exchanges INIT and VERSION, and asks for limits and the login directory. `peer` names the
  // server in errors.
  static Task<Result<std::shared_ptr<SftpSession>>> open(Loop& loop, std::unique_ptr<SftpTransport> transport,
                                                         std::string peer, SftpSessionOptions options);
  ~SftpSession() override;

  bool alive() const { return !closed_; }
  // Why the session ended; only when it is not alive.
  const Error& end_error() const { return *closed_; }
  const SftpLimits& limits() const { return limits_; }
  // Error: the server does not say.
  const Result<std::string>& login_directory() const { return login_directory_; }
  // The shortest that a request took that was alone on the way.
  std::chrono::microseconds round_trip() const { return round_trip_; }
  std::uint32_t version() const { return version_; }
  // Name → version, as the server advertised them.
  const std::map<std::string, std::string, std::less<>>& extensions() const { return extensions_; }
  // Whether the server has the extension in the version that we speak, and has not refused it since.
  bool has(std::string_view extension) const;
  // Leaves an extension alone that the server refused.
  void disable(std::string_view extension);
  // Whether requests for one file are known to be taken in the order in which they are sent, as section 6.1 of the
  // draft asks for: servers without fsync@openssh.com are not OpenSSH's, and some (Go's pkg/sftp) answer a STAT while a
  // READ or WRITE is under way.
  bool keeps_order() const { return has("fsync@openssh.com"); }
  // Whether it is OpenSSH's own server, whose handles write to the file itself at any offset. Gateways to object stores
  // may take each handle for an upload of its own.
  bool is_openssh() const;
  TransportFacts facts() const { return transport_->facts(); }
  // How many handles may be open: take a permit before open() and opendir(), keep it until the handle is closed.
  Semaphore& handles() { return handles_; }
  std::uint64_t open_handles() const { return limits_.open_handles - handles_.available(); }

  Task<Result<std::string>> open_file(std::string path, std::uint32_t flags, FileAttributes attributes);
  // On success the server has no more say in it; on an error the bytes written may be lost.
  Task<Result<void>> close_handle(std::string handle, std::chrono::seconds silent_work = {});
  // Closes and then gives the permit back, while the caller continues.
  void close_later(std::string handle, Semaphore::Permit permit);
  // Up to `size` bytes, fewer where the server likes; empty at the end of the file.
  Task<Result<Chunk>> read(std::string_view handle, std::uint64_t offset, std::uint32_t size);
  Task<Result<void>> write(std::string_view handle, std::uint64_t offset, Chunk chunk);
  Task<Result<std::string>> open_directory(std::string path);
  // The next names, "." and ".." among them; without names at the end.
  Task<Result<NamePage>> read_directory(std::string_view handle);

  Task<Result<FileAttributes>> stat(std::string path);
  Task<Result<FileAttributes>> lstat(std::string path);
  Task<Result<void>> setstat(std::string path, FileAttributes attributes);
  Task<Result<void>> fsetstat(std::string_view handle, FileAttributes attributes);
  Task<Result<void>> make_directory(std::string path, FileAttributes attributes);
  Task<Result<void>> remove(std::string path);
  // Whether an existing `to` is replaced depends on the server: OpenSSH refuses.
  Task<Result<void>> rename(std::string from, std::string to, std::chrono::seconds silent_work = {});
  Task<Result<std::string>> real_path(std::string path);
  Task<Result<std::string>> read_link(std::string path);
  // OpenSSH takes the arguments of SYMLINK in the order (target, link), not (link, target) as in the draft; so do most.
  Task<Result<void>> symlink(std::string target_text, std::string link_path);

  // Extensions; unsupported without them.
  // posix-rename@openssh.com: replaces atomically.
  Task<Result<void>> posix_rename(std::string from, std::string to, std::chrono::seconds silent_work = {});
  Task<Result<void>> hard_link(std::string existing, std::string path); // hardlink@openssh.com: never replaces
  Task<Result<void>> fsync(std::string_view handle, std::chrono::seconds silent_work = {}); // fsync@openssh.com
  Task<Result<FileSystemReply>> file_system(std::string path);                              // statvfs@openssh.com
  // The digest of a whole file that is not empty ("check-file-name", draft-ietf-secsh-filexfer-extensions-00, section
  // 3). The server reads the file meanwhile, and may answer nothing else.
  Task<Result<std::vector<std::byte>>> check_file(std::string path, std::string_view algorithm,
                                                  std::chrono::seconds silent_work = {});
  // Whether the server has that, asked with a path at which there is nothing: servers of version 3 do not advertise it.
  Task<Result<bool>> has_check_file(std::string missing_path);

  // OpenSSH answers FAILURE for a full or read-only file system (and for much else): asks whether it is either.
  Task<Error> diagnose(Error error, std::string directory);

  // Ends the session; calls under way fail. Waits for the other side at most a second.
  Task<void> close();

private:
  using Clock = std::chrono::steady_clock;
  struct Reply {
    PacketType type;
    Chunk body; // what follows the request id
  };
  struct Request {
    std::string_view operation; // as after "cannot"; on what is added by callers, who know it by its name at the user's
    bool patient = false;       // the server may go through a whole file before it answers
    std::chrono::seconds silent_work{0}; // how much longer than the stall timeout it may be silent for that
    bool has_name = false;               // a name at the server, which may be what the server can't take
  };
  // A request, sent when it is awaited, or when fewer than requests_in_flight are under way; gives its reply.
  class Call {
  public:
    Call(SftpSession& session, PacketBuilder packet, Request request, Chunk payload)
        : session_(session), packet_(std::move(packet)), payload_(std::move(payload)), request_(request) {}
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;
    ~Call();
    bool await_ready() const { return false; }
    bool await_suspend(std::coroutine_handle<> awaiting);
    Result<Reply> await_resume() {
      resumed_ = true;
      return std::move(*reply_);
    }

  private:
    friend SftpSession;
    SftpSession& session_;
    PacketBuilder packet_;
    Chunk payload_;
    const Request request_;
    detail::Suspended awaiting_;
    bool resumed_ = false;
    std::uint32_t id_ = 0;
    std::optional<Result<Reply>> reply_;
  };

  SftpSession(Loop& loop, std::unique_ptr<SftpTransport> transport, std::string peer, SftpSessionOptions options);
  Task<Result<void>> greet();
  static Task<bool> ask_limits(std::shared_ptr<SftpSession> self); // whether the server named some
  void take_limits(const LimitsReply& reply);
  Task<void> find_login_directory();
  void note_extensions(const VersionReply& reply);

  Call call(PacketBuilder packet, Request request, Chunk payload = {}) {
    return Call(*this, std::move(packet), request, std::move(payload));
  }
  void send(Call& call);
  void answer(Call& call, Result<Reply> reply);
  static bool says(const Reply& reply, StatusCode code);
  Task<Result<void>> call_status(PacketBuilder packet, Request request, Chunk payload = {});
  Task<Result<std::string>> call_handle(PacketBuilder packet, Request request);
  Task<Result<FileAttributes>> call_attributes(PacketBuilder packet, Request request);
  Task<Result<std::string>> call_name(PacketBuilder packet, Request request);
  Task<Result<Chunk>> call_read(PacketBuilder packet, std::uint32_t size);
  Task<Result<NamePage>> call_names(PacketBuilder packet);

  void queue(std::string_view packet, Chunk payload);
  void flush();
  void on_frames(std::vector<Chunk> frames) override;
  void on_closed(Error error) override;
  void on_frame(Chunk frame);
  void fail(Error error);
  void break_protocol(std::string what);
  Failure unexpected_reply(const Reply& reply, const Request& request);
  Error status_error(std::span<const std::byte> body, const Request& request) const;
  void watch_for_stall();
  // When the session is given up, as of now, and why.
  struct Stall {
    Clock::time_point at;
    std::string_view why;
  };
  Stall next_stall() const;
  void note_passed(std::uint64_t number);
  std::chrono::milliseconds stall_limit() const;

  Loop& loop_;
  std::unique_ptr<SftpTransport> transport_;
  std::string peer_;
  SftpSessionOptions options_;
  SftpLimits limits_;
  Result<std::string> login_directory_;
  std::uint32_t version_ = 0;
  std::map<std::string, std::string, std::less<>> extensions_;
  std::map<std::string, bool, std::less<>> refused_;
  std::chrono::microseconds round_trip_{std::chrono::microseconds::max()};
  Semaphore handles_{0, LockRank::handle};

  // A request whose reply is due. Its place in the table is its id modulo the table's size, a power of two.
  struct Due {
    std::uint32_t id = 0;
    std::uint64_t number = 0; // counts the requests as they are sent
    bool due = false;
    bool patient = false;
    std::chrono::seconds silent_work{0};
    bool alone = false; // on the way: it measures the round trip
    Clock::time_point sent;
    Call* call = nullptr; // null: nobody waits any more
  };
  Due& place_of(std::uint32_t id) { return due_[id & (due_.size() - 1)]; }
  std::vector<Due> due_;
  std::size_t due_count_ = 0;
  std::deque<Call*> waiting_; // for fewer to be due
  std::uint32_t next_id_ = 1;
  std::vector<OutSegment> outgoing_;
  bool flush_planned_ = false;
  Clock::time_point turn_began_; // when the first of the requests that leave next was made
  std::optional<Error> closed_;
  OneShotEvent version_came_;
  struct StallTimer;
  std::unique_ptr<StallTimer> stall_timer_;
  Clock::time_point last_heard_;   // or when a request was sent while none was under way
  Clock::time_point work_ended_{}; // when a request with silent work was answered last
  std::uint64_t sent_ = 0;         // requests
  // Samples of the newest request that was answered, and when: those before it that are due were passed over then.
  std::deque<std::pair<std::uint64_t, Clock::time_point>> passed_;
};

} // namespace checkvalve
