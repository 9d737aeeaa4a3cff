#include <array>
#include <nlohmann/json.hpp>

#include "core/path.h"
#include "sync/job.h"

namespace checkvalve {
namespace {

using Json = nlohmann::json;

constexpr std::array conflict_words = {"overwrite", "skip", "fail"};
constexpr std::array verify_words = {"size", "hash", "readback"};
constexpr std::array link_words = {"skip", "follow", "copy"};

template <std::size_t n, class E> E word_to(const std::array<const char*, n>& words, const Json& json) {
  const auto& word = json.get_ref<const std::string&>();
  for (std::size_t i = 0; i < n; ++i)
    if (word == words[i]) return static_cast<E>(i);
  throw std::invalid_argument("unknown word " + word);
}

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

Json selection_to(const Selection& selection) {
  Json rules = Json::array();
  for (const SelectionRule& rule : selection.rules)
    rules.push_back({{"include", rule.include}, {"glob", escape_bytes(rule.glob)}});
  // The list of files is not kept: the plan's files are its outcome.
  Json json = {{"rules", rules}, {"min_size_bytes", selection.min_size_bytes}};
  if (selection.min_age) json["min_age_ms"] = selection.min_age->count();
  if (selection.max_size_bytes) json["max_size_bytes"] = *selection.max_size_bytes;
  return json;
}

Selection selection_from(const Json& json) {
  Selection selection;
  for (const Json& rule : json.at("rules"))
    selection.rules.push_back({rule.at("include").get<bool>(), unescape(rule.at("glob"))});
  selection.min_size_bytes = json.at("min_size_bytes").get<std::uint64_t>();
  if (json.contains("min_age_ms"))
    selection.min_age = std::chrono::milliseconds(json["min_age_ms"].get<std::int64_t>());
  if (json.contains("max_size_bytes")) selection.max_size_bytes = json["max_size_bytes"].get<std::uint64_t>();
  return selection;
}

Json transforms_to(const std::vector<TransformCall>& transforms) {
  Json json = Json::array();
  for (const TransformCall& call : transforms) {
    Json options = Json::object();
    for (const auto& [name, value] : call.options) options[name] = escape_bytes(value);
    json.push_back({{"name", call.name}, {"options", options}});
  }
  return json;
}

std::vector<TransformCall> transforms_from(const Json& json) {
  std::vector<TransformCall> transforms;
  for (const Json& item : json) {
    TransformCall& call = transforms.emplace_back();
    call.name = item.at("name").get<std::string>();
    for (const auto& [name, value] : item.at("options").items()) call.options[name] = unescape(value);
  }
  return transforms;
}

std::chrono::milliseconds milliseconds_from(const Json& json) {
  return std::chrono::milliseconds(json.get<std::int64_t>());
}

} // namespace

std::string job_to_json(const Job& job) {
  const Json json = {
      {"name", job.name},
      {"source", endpoint_to(job.source)},
      {"target", endpoint_to(job.target)},
      {"selection", selection_to(job.selection)},
      {"transforms", transforms_to(job.transforms)},
      {"batching",
       {{"max_files", job.batching.max_files},
        {"max_bytes", job.batching.max_bytes},
        {"max_batches", job.batching.max_batches},
        {"file_cost_bytes", job.batching.file_cost_bytes}}},
      {"on_conflict", conflict_words.at(static_cast<std::size_t>(job.on_conflict))},
      {"overwrite_non_atomic", job.overwrite_non_atomic},
      {"verify", verify_words.at(static_cast<std::size_t>(job.verify))},
      {"links", link_words.at(static_cast<std::size_t>(job.links))},
      {"empty_directories", job.empty_directories},
      {"preserve_mtime", job.preserve_mtime},
      {"preserve_mode", job.preserve_mode},
      {"checksum", job.checksum},
      {"durable", job.durable},
      {"memory_bytes", job.memory_bytes},
      {"bytes_per_second", job.bytes_per_second},
      {"retries", job.retries},
      {"stall_timeout_ms", job.stall_timeout.count()},
      {"connect_timeout_ms", job.connect_timeout.count()},
      {"lease_ttl_ms", job.lease_ttl.count()},
  };
  return json.dump();
}

Result<Job> job_from_json(const std::string& text) {
  try {
    const Json json = Json::parse(text);
    Job job;
    job.name = json.at("name").get<std::string>();
    job.source = endpoint_from(json.at("source"));
    job.target = endpoint_from(json.at("target"));
    job.selection = selection_from(json.at("selection"));
    job.transforms = transforms_from(json.at("transforms"));
    const Json& batching = json.at("batching");
    job.batching.max_files = batching.at("max_files").get<std::uint64_t>();
    job.batching.max_bytes = batching.at("max_bytes").get<std::uint64_t>();
    job.batching.max_batches = batching.at("max_batches").get<std::uint32_t>();
    job.batching.file_cost_bytes = batching.at("file_cost_bytes").get<std::uint64_t>();
    job.on_conflict = word_to<conflict_words.size(), OnConflict>(conflict_words, json.at("on_conflict"));
    job.overwrite_non_atomic = json.at("overwrite_non_atomic").get<bool>();
    job.verify = word_to<verify_words.size(), VerifyMode>(verify_words, json.at("verify"));
    job.links = word_to<link_words.size(), LinkPolicy>(link_words, json.at("links"));
    job.empty_directories = json.at("empty_directories").get<bool>();
    job.preserve_mtime = json.at("preserve_mtime").get<bool>();
    job.preserve_mode = json.at("preserve_mode").get<bool>();
    job.checksum = json.at("checksum").get<bool>();
    job.durable = json.at("durable").get<bool>();
    job.memory_bytes = json.at("memory_bytes").get<std::uint64_t>();
    job.bytes_per_second = json.at("bytes_per_second").get<std::uint64_t>();
    job.retries = json.at("retries").get<std::uint32_t>();
    job.stall_timeout = milliseconds_from(json.at("stall_timeout_ms"));
    job.connect_timeout = milliseconds_from(json.at("connect_timeout_ms"));
    job.lease_ttl = milliseconds_from(json.at("lease_ttl_ms"));
    return job;
  } catch (const std::exception& problem) {
    return Failure(make_error(ErrorKind::config, "read the plan's job", "", problem.what()));
  }
}

} // namespace checkvalve
