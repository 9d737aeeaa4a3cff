// The last step of a file or link: its temporary gets its final name.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "backends/target.h"
#include "protocol/sftp_session.h"

namespace checkvalve {

// Renames `temporary` to `path`, both absolute and in one directory, as `replace` says. Gives the method:
// "posix-rename", "link" or "rename". At an error `path` is untouched. With allow_gap on a server that can't replace
// atomically an existing file is moved aside for a moment (backends/set_aside.h): if the connection is lost just then,
// `set_aside`, else empty, is the path at which it may be, to be settled on another connection. It must outlive the
// call. `silent_work`: for the rename of a file (SftpSession).
//
// What RENAME does to an existing name differs (OpenSSH refuses, others replace): it is used only for names that do not
// exist, and for allow_gap.
Task<Result<std::string>> publish(std::shared_ptr<SftpSession> session, std::string temporary, std::string path,
                                  Replace replace, std::chrono::seconds silent_work, std::string& set_aside);

// Puts the file at `set_aside` back to `path`, removes it, or keeps it: see SetAsideOutcome. Both paths are absolute.
Task<Result<SetAsideOutcome>> settle_set_aside(std::shared_ptr<SftpSession> session, std::string set_aside,
                                               std::string path);

} // namespace checkvalve
