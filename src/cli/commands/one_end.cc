#include "cli/commands/one_end.h"

#include "cli/endpoints.h"

namespace checkvalve {

void add_one_end(CLI::App& app, OneEndArguments& arguments, unsigned command) {
  app.add_option("URL", arguments.url, "the endpoint: a URL, a path or NAME:path")->type_name("")->required();
  add_settings(app, command);
  add_process_options(app, arguments.process, false);
}

Result<Job> one_end_job(const CLI::App& app, const OneEndArguments& arguments) {
  CV_TRY(const Inputs inputs, read_inputs(app, arguments.process, ""));
  Job job = inputs.settings.job;
  CV_TRY(job.source, resolve_endpoint(arguments.url, Side::source, {inputs.config, inputs.secrets, inputs.settings}));
  job.target = job.source;
  return job;
}

} // namespace checkvalve
