#include "cli/commands/one_end.h"

#include "cli/endpoints.h"

namespace checkvalve {

void add_one_end(Command& command, OneEndArguments& arguments, unsigned takes) {
  command.option({.names = "URL", .help = "the endpoint: a URL, a path or NAME:path", .required = true}, arguments.url);
  add_settings(command, takes);
  add_process_options(command, arguments.process, false);
}

Result<Job> one_end_job(const Command& command, const OneEndArguments& arguments) {
  CV_TRY(const Inputs inputs, read_inputs(command, arguments.process, ""));
  Job job = inputs.settings.job;
  CV_TRY(job.source, resolve_endpoint(arguments.url, Side::source, {inputs.config, inputs.secrets, inputs.settings}));
  job.target = job.source;
  return job;
}

} // namespace checkvalve
