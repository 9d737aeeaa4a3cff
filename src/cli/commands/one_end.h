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
void add_one_end(CLI::App& app, OneEndArguments& arguments, unsigned command = takes::endpoint);
// A job whose source and target are both this endpoint, with the source's secrets.
Result<Job> one_end_job(const CLI::App& app, const OneEndArguments& arguments);

} // namespace checkvalve
