#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include <span>

#include "core/hash.h"
#include "core/path.h"
#include "sync/job.h"
#include "sync/job_options.h"

namespace checkvalve {
namespace {

using Json = nlohmann::json;

// Names are bytes; JSON is UTF-8: they are kept escaped.
std::string unescape(const Json& json) { return unescape_bytes(json.get_ref<const std::string&>()).value(); }

Json endpoint_to(const Endpoint& endpoint) {
  Json options = Json::object();
  for (const auto& [name, value] : endpoint.options) options[name] = escape_bytes(value);
  return {{"name", endpoint.name}, {"scheme", endpoint.scheme}, {"user", endpoint.user},
          {"host", endpoint.host}, {"port", endpoint.port},     {"root", escape_bytes(endpoint.root)},
          {"options", options}};
}

Endpoint endpoint_from(const Json& json) {
  Endpoint endpoint;
  endpoint.name = json.at("name").get<std::string>();
  endpoint.scheme = json.at("scheme").get<std::string>();
  endpoint.user = json.at("user").get<std::string>();
  endpoint.host = json.at("host").get<std::string>();
  endpoint.port = json.at("port").get<std::uint16_t>();
  endpoint.root = unescape(json.at("root"));
  for (const auto& [name, value] : json.at("options").items()) endpoint.options[name] = unescape(value);
  return endpoint;
}

Failure invalid(std::string message) {
  return Failure(make_error(ErrorKind::config, "read the plan's job", "", std::move(message))
                     .with_hint("plan again: the plan may be of another version"));
}

template <class Read> auto reading(const std::string& text, Read read) -> decltype(read(Json())) {
  try {
    return read(Json::parse(text));
  } catch (const std::exception& problem) {
    return invalid(problem.what());
  }
}

} // namespace

std::string job_to_json(const Job& job) {
  OptionAssignments assignments;
  for (const JobOption& option : job_options()) option.write(job, assignments);
  Json options = Json::array(); // in order: it counts for include and exclude
  for (const auto& [name, value] : assignments) options.push_back({name, escape_bytes(value)});
  Json json = {{"name", job.name},
               {"source", endpoint_to(job.source)},
               {"target", endpoint_to(job.target)},
               {"options", std::move(options)}};
  // Jobs with different lists of files are different jobs.
  if (job.selection.files) {
    Hasher files;
    for (const std::string& file : *job.selection.files)
      files.update(std::as_bytes(std::span(file.c_str(), file.size() + 1))); // with the NUL, which no name has
    json["files"] = files.digest();
  }
  return json.dump();
}

Result<Job> job_from_json(const std::string& text) {
  return reading(text, [](const Json& json) -> Result<Job> {
    Job job;
    job.name = json.at("name").get<std::string>();
    job.source = endpoint_from(json.at("source"));
    job.target = endpoint_from(json.at("target"));
    for (const Json& assignment : json.at("options")) {
      const auto& name = assignment.at(0).get_ref<const std::string&>();
      const JobOption* option = find_job_option(name);
      if (!option) return invalid(fmt::format("unknown option '{}'", name));
      if (auto ok = option->read(job, unescape(assignment.at(1))); !ok)
        return invalid(fmt::format("{}: {}", name, ok.error().message));
    }
    return job;
  });
}

Result<JobEndpoints> endpoints_from_json(const std::string& text) {
  return reading(text, [](const Json& json) -> Result<JobEndpoints> {
    return JobEndpoints{endpoint_from(json.at("source")), endpoint_from(json.at("target"))};
  });
}

} // namespace checkvalve
