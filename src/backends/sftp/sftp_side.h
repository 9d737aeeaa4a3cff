// What the source and the target of an sftp endpoint share: the connections, the root, listings and stats.
#pragma once

#include <memory>
#include <string>

#include "backends/capabilities.h"
#include "backends/entry.h"
#include "backends/sftp/connection_pool.h"
#include "backends/source.h"

namespace checkvalve {

// The type that the attributes show; nothing where the server left it out (every field may be missing, section 5 of the
// draft, and some servers send permissions without S_IFMT).
std::optional<EntryType> type_of(const FileAttributes& attributes);
Entry entry_from(const FileAttributes& attributes, EntryType type, std::string path);
// Whether the server opens the path as a directory: the last way to find out what it does not show.
Task<bool> opens_as_directory(std::shared_ptr<SftpSession> session, std::string path);

// Fails for a path that would leave the root; "" is the root itself. Error kind invalid_name.
Result<void> check_below_root(std::string_view path);

class SftpSide {
public:
  SftpSide(BackendContext& context, SftpSettings settings)
      : pool_(std::make_shared<ConnectionPool>(context, std::move(settings))) {}

  // Connects and finds the root. A source's must exist and be listable; a target's may be missing, or hidden from this
  // user. It must not be a file.
  Task<Result<void>> connect(bool is_target);
  Task<void> disconnect() { co_await pool_->close(); }
  const std::shared_ptr<ConnectionPool>& pool() const { return pool_; }
  Task<Result<std::shared_ptr<SftpSession>>> session();
  // The server's path of a path below the root, which must be sound (check_below_root). After connect() or session().
  std::string absolute(std::string_view path) const;
  const std::string& root() const { return root_; }

  // What the server and the way to it allow, as far as both sides have it in common.
  Capabilities capabilities(const SftpSession& session, std::uint32_t largest_request_bytes) const;

  Task<Result<std::unique_ptr<Listing>>> list(std::string directory);
  Task<Result<Entry>> stat(std::string path, bool follow);
  Task<Result<std::string>> read_link(std::string path);
  Task<Result<std::string>> real_path(std::string path);

private:
  Result<void> find_root(const SftpSession& session);
  std::shared_ptr<ConnectionPool> pool_;
  std::string root_; // absolute
  // Bytes of READDIR replies that listings have asked for ahead and not taken yet. Shared with replies under way.
  std::shared_ptr<std::uint64_t> ahead_bytes_ = std::make_shared<std::uint64_t>(0);
};

} // namespace checkvalve
