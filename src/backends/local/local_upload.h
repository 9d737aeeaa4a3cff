// One file on its way into a local directory.
#pragma once

#include "backends/local/new_file.h"

namespace checkvalve {

std::unique_ptr<Upload> make_local_upload(ThreadPool& workers, std::shared_ptr<NewFile> file);

} // namespace checkvalve
