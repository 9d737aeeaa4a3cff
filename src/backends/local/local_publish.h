// The steps by which a file gets its name in a local directory, and temporaries lose theirs. All calls block.
#pragma once

#include <string>
#include <string_view>

#include "backends/local/root_directory.h"
#include "backends/target.h"

namespace checkvalve {

// Removes a temporary; succeeds if it does not exist.
Result<void> remove_name(const RootDirectory& root, const std::string& path);

// Renames the temporary to `path`, both in one directory, in one atomic step. Gives the method. A symbolic link at
// `path` is replaced even for if_absent where `link_gives_way` says so.
Result<std::string> publish_name(const RootDirectory& root, const std::string& temporary, const std::string& path,
                                 Replace replace, bool link_gives_way);

// Gives a file that has no name (O_TMPFILE) the name `path`: at once where the name is free, else by way of the
// temporary, which is then renamed. Gives the method. Kind unsupported: this file system makes no names of such files.
Result<std::string> publish_nameless(const RootDirectory& root, int fd, const std::string& temporary,
                                     const std::string& path, Replace replace);

} // namespace checkvalve
