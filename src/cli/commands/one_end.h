// What ls, doctor and trust share: a single endpoint, read as a source.
#pragma once

#include <string>

#include "cli/options.h"
#include "cli/session.h"

namespace checkvalve {

struct OneEndArguments {
  std::string url;
  ProcessOptions process;
};
void add_one_end(Command& command, OneEndArguments& arguments, unsigned takes = takes::endpoint);
// A job whose source and target are both this endpoint, with the source's secrets.
Result<Job> one_end_job(const Command& command, const OneEndArguments& arguments);

} // namespace checkvalve
