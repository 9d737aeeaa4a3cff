// Copies between local directories by the kernel: reflinks where the file system has them, else copy_file_range(2),
// with the source's holes kept.
#pragma once

#include "backends/local/new_file.h"

namespace checkvalve {

// Blocking. Kind unsupported if the two file systems, or the kernel, can't: then nothing is left behind.
Result<std::unique_ptr<DirectCopy>> begin_local_copy(ThreadPool& workers, const LocalOrigin& origin, const Entry& entry,
                                                     std::shared_ptr<LocalTree> tree, const std::string& path,
                                                     const std::string& temporary);

} // namespace checkvalve
