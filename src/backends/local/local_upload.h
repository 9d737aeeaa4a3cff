// One file on its way into a local directory, and the last step of publishing.
#pragma once

#include "backends/local/local_target.h"

namespace checkvalve {

// Removes a temporary; succeeds if it does not exist. Blocking.
Result<void> remove_name(const RootDirectory& root, const std::string& path, std::string_view operation);

// Renames the temporary to `path`, both in one directory, in one atomic step. Gives the method. A symbolic link at
// `path` is replaced even for if_absent where `link_gives_way` says so. Blocking.
Result<std::string> publish_name(const RootDirectory& root, const std::string& temporary, const std::string& path,
                                 Replace replace, bool link_gives_way);

// Blocking: creates the temporary.
Result<UniqueFd> create_temporary(const RootDirectory& root, const std::string& temporary);

std::unique_ptr<Upload> make_local_upload(ThreadPool& workers, std::shared_ptr<LocalTree> tree, SharedRoot root,
                                          std::string path, std::string temporary, UniqueFd fd, bool sparse);

} // namespace checkvalve
