// One file on its way to an SFTP server.
#pragma once

#include <memory>
#include <string>

#include "backends/sftp/file_streams.h"
#include "backends/sftp/sftp_target.h"

namespace checkvalve {

// `temporary` and `path` are the server's, absolute; the temporary is open for writing, and its first `resumed_bytes`
// are there already.
std::unique_ptr<Upload> make_sftp_upload(BackendContext& context, std::shared_ptr<ConnectionPool> pool,
                                         std::shared_ptr<SftpTarget::Shared> shared,
                                         std::unique_ptr<FileStreams> streams, std::string temporary, std::string path,
                                         std::uint64_t size_bytes, std::uint64_t resumed_bytes);

} // namespace checkvalve
