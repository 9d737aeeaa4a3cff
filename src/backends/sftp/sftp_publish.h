// The last step of a file or link: its temporary gets its final name.
#pragma once

#include <memory>
#include <string>

#include "backends/target.h"
#include "protocol/sftp_session.h"

namespace checkvalve {

// Renames `temporary` to `path`, both absolute and in one directory, as `replace` says. Gives the method:
// "posix-rename", "link" or "rename". At an error `path` is untouched. With allow_gap on a server that can't replace
// atomically an existing file is moved aside for a moment, to a temporary's name: if the connection is lost just then,
// it stays there.
//
// What RENAME does to an existing name differs (OpenSSH refuses, others replace): it is used only for names that do not
// exist, and for allow_gap.
Task<Result<std::string>> publish(std::shared_ptr<SftpSession> session, std::string temporary, std::string path,
                                  Replace replace);

} // namespace checkvalve
