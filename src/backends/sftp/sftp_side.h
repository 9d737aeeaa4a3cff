// What the source and the target of an sftp endpoint share: the connections, the root, listings and stats.
#pragma once

#include <memory>
#include <string>

#include "backends/capabilities.h"
#include "backends/entry.h"
#include "backends/sftp/connection_pool.h"
#include "backends/source.h"

namespace checkvalve {

Entry entry_from(const FileAttributes& attributes, std::string path);

// Fails for a path that would leave the root; "" is the root itself. Error kind invalid_name.
Result<void> check_below_root(std::string_view path);

class SftpSide {
public:
  SftpSide(BackendContext& context, SftpSettings settings)
      : pool_(std::make_shared<ConnectionPool>(context, std::move(settings))) {}

  // Connects and finds the root. It need not exist if `may_be_missing`; it must not be a file.
  Task<Result<void>> connect(bool may_be_missing);
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
  void find_root(const SftpSession& session);
  std::shared_ptr<ConnectionPool> pool_;
  std::string root_; // absolute
};

} // namespace checkvalve
