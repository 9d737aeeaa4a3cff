#include "backends/s3/s3_settings.h"

#include <fmt/format.h>

#include <cstdio>
#include <memory>
#include <mutex>

#include "core/units.h"

namespace checkvalve {

Result<std::unique_ptr<Source>> make_s3_source(BackendContext& context, const Endpoint& endpoint);
Result<std::unique_ptr<Target>> make_s3_target(BackendContext& context, const Endpoint& endpoint);

namespace {

constexpr OptionSpec options[] = {
    {"endpoint_url", OptionType::text, "",
     "URL of an S3 service that is not AWS's; default: AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, the profile's "
     "endpoint_url"},
    {"region", OptionType::text, "",
     "region to sign for; default: AWS_REGION, AWS_DEFAULT_REGION, the profile's, us-east-1"},
    {"path_style", OptionType::text, "auto",
     "bucket in the path instead of the host: yes, no, or auto (yes with an endpoint_url)"},
    {"profile", OptionType::text, "", "profile of ~/.aws/config and ~/.aws/credentials; default: AWS_PROFILE"},
    {"access_key_id", OptionType::text, "",
     "access key; with the secret secret_access_key, instead of what AWS's tools use"},
    {"secret_access_key", OptionType::secret, "", "of access_key_id"},
    {"session_token", OptionType::secret, "", "of temporary credentials"},
    {"anonymous", OptionType::boolean, "no", "send requests unsigned, for public buckets"},
    {"storage_class", OptionType::text, "", "of what is written: STANDARD_IA, GLACIER_IR, …"},
    {"sse", OptionType::text, "", "server-side encryption of what is written: AES256, aws:kms, aws:kms:dsse"},
    {"sse_kms_key_id", OptionType::text, "", "key of sse = aws:kms"},
    {"acl", OptionType::text, "", "canned ACL of what is written: private, bucket-owner-full-control, …"},
    {"request_payer", OptionType::boolean, "no", "agree to pay for requests to a requester-pays bucket"},
    {"part_size", OptionType::size, "8MiB",
     "of multipart uploads, and from which on there is one; grows with files over max_parts parts"},
    {"copy_cutoff", OptionType::text, "auto",
     "size up to which a copy inside the service is one request, at most 5GiB; larger ones are made of parts, four at "
     "once; auto: copy_part_size at AWS, 5GiB elsewhere"},
    {"copy_part_size", OptionType::size, "128MiB", "of the parts of copies inside the service: 5MiB to 5GiB"},
    {"max_parts", OptionType::integer, "10000", "parts of an upload that the service allows"},
    {"connections", OptionType::integer, "64",
     "requests in flight at most, and files that are read; four times as many files are written"},
    {"checksum", OptionType::text, "crc32c",
     "sent with all that is written, and checked by the server: crc32c or none"},
    {"conditional_writes", OptionType::text, "auto",
     "the service honours If-None-Match: * when objects are created: yes, no, or auto (tried with a temporary object "
     "before it is relied upon)"},
    {"verbatim_keys", OptionType::text, "auto",
     "the service keeps keys with empty, '.' and '..' components as they are: yes, no, or auto (only AWS is known to)"},
    {"ca_bundle", OptionType::path, "",
     "PEM file of authorities to trust; default: AWS_CA_BUNDLE, the profile's ca_bundle, the system's"},
    {"proxy", OptionType::text, "",
     "URL of a proxy, or none; default: https_proxy, http_proxy, no_proxy of the environment"},
    {"http_trace", OptionType::path, "",
     "file to which the heads of requests and responses are appended, without secrets"},
};

Failure bad(const Endpoint& endpoint, std::string message) {
  return Failure(make_error(ErrorKind::config, "read options of", endpoint.display(), std::move(message)));
}

Result<bool> yes_no_auto(const Endpoint& endpoint, const OptionReader& reader, std::string_view name, bool automatic) {
  const std::string text = reader.text(name);
  if (text == "auto") return automatic;
  if (text == "yes" || text == "true") return true;
  if (text == "no" || text == "false") return false;
  return bad(endpoint, fmt::format("option '{}' is '{}', but must be yes, no or auto", name, text));
}

template <class... Texts> std::string first_of(const Texts&... texts) {
  for (const std::string& text : {std::string(texts)...})
    if (!text.empty()) return text;
  return "";
}

// "HTTPS://host:443/" → "https://host". No path: keys begin behind the host.
Result<std::string> tidy_endpoint(const Endpoint& endpoint, std::string url) {
  while (url.ends_with('/')) url.pop_back();
  const std::size_t scheme_end = url.find("://");
  const std::string scheme = url.substr(0, scheme_end);
  if (scheme_end == url.npos || (scheme != "http" && scheme != "https") || url.size() == scheme_end + 3 ||
      url.find_first_of("/?#@", scheme_end + 3) != url.npos)
    return bad(endpoint,
               fmt::format("endpoint_url is '{}', but must be https://HOST or http://HOST:PORT without a path", url));
  const std::string_view usual_port = scheme == "https" ? ":443" : ":80";
  if (url.ends_with(usual_port)) url.resize(url.size() - usual_port.size());
  return url;
}

std::function<void(std::string_view)> trace_to(const std::string& file) {
  const std::shared_ptr<std::FILE> out(std::fopen(file.c_str(), "ae"), [](std::FILE* f) {
    if (f) std::fclose(f);
  });
  if (!out) return {};
  return [out](std::string_view line) {
    fmt::print(out.get(), "{}\n", line);
    std::fflush(out.get());
  };
}

// AWS copies parts side by side, each on machines of its own. Other services copy one object in one request at least as
// fast as its parts, which some join by copying them once more, and some have nothing to copy at all.
Result<std::uint64_t> read_copy_cutoff(const Endpoint& endpoint, const OptionReader& reader, bool is_aws) {
  constexpr std::uint64_t most = 5ULL << 30; // of CopyObject
  const std::string text = reader.text("copy_cutoff");
  if (text == "auto") return is_aws ? reader.number("copy_part_size") : most;
  const auto bytes = parse_size(text);
  if (!bytes || *bytes > most)
    return bad(endpoint, fmt::format("option 'copy_cutoff' is '{}', but must be auto, or a size up to 5GiB", text));
  return *bytes;
}

Result<void> read_writing_options(const Endpoint& endpoint, const OptionReader& reader, S3Settings& settings) {
  const auto add = [&](const char* header, const std::string& value) {
    if (!value.empty()) settings.create_headers.emplace_back(header, value);
  };
  add("x-amz-storage-class", reader.text("storage_class"));
  add("x-amz-server-side-encryption", reader.text("sse"));
  add("x-amz-server-side-encryption-aws-kms-key-id", reader.text("sse_kms_key_id"));
  add("x-amz-acl", reader.text("acl"));
  const std::string checksum = reader.text("checksum");
  if (checksum != "crc32c" && checksum != "none")
    return bad(endpoint, fmt::format("option 'checksum' is '{}', but must be crc32c or none", checksum));
  settings.checksums = checksum == "crc32c";
  CV_TRY(const bool conditional, yes_no_auto(endpoint, reader, "conditional_writes", true));
  settings.conditional_writes = conditional ? ConditionalWrites::yes : ConditionalWrites::no;
  if (reader.text("conditional_writes") == "auto") settings.conditional_writes = ConditionalWrites::unknown;
  settings.copy_part_bytes = reader.number("copy_part_size");
  settings.part_bytes = reader.number("part_size");
  settings.max_parts = static_cast<std::uint32_t>(reader.number("max_parts"));
  settings.connections = static_cast<std::uint32_t>(reader.number("connections"));
  constexpr std::uint64_t mib = 1 << 20;
  if (settings.part_bytes < 5 * mib || settings.part_bytes > 5120 * mib)
    return bad(endpoint, "option 'part_size' must be from 5MiB to 5GiB");
  if (settings.copy_part_bytes < 5 * mib || settings.copy_part_bytes > 5120 * mib)
    return bad(endpoint, "option 'copy_part_size' must be from 5MiB to 5GiB");
  settings.part_bytes = (settings.part_bytes + mib - 1) / mib * mib;
  if (settings.max_parts < 1 || settings.max_parts > 10'000)
    return bad(endpoint, "option 'max_parts' must be from 1 to 10000");
  if (settings.connections < 1 || settings.connections > 10'000)
    return bad(endpoint, "option 'connections' must be from 1 to 10000");
  return {};
}

// Where the bucket is: all up to base_url.
Result<S3Settings> read_s3_address(const Endpoint& endpoint, const OptionReader& reader) {
  S3Settings settings;
  if (endpoint.port != 0 || !endpoint.user.empty())
    return bad(endpoint,
               "unexpected user or port in the URL: expected s3://BUCKET/PREFIX, and the service as endpoint_url");
  settings.bucket = endpoint.host;
  settings.prefix = endpoint.root.starts_with('/') ? endpoint.root.substr(1) : endpoint.root;
  if (!settings.prefix.empty() && !settings.prefix.ends_with('/')) settings.prefix += '/';

  CV_TRY(settings.aws, read_aws_environment(reader.text("profile")));
  const auto& variable = settings.aws.variable;
  settings.region = first_of(reader.text("region"), variable("AWS_REGION"), variable("AWS_DEFAULT_REGION"),
                             settings.aws.of_profile("region"), "us-east-1");
  const std::string given_url = first_of(reader.text("endpoint_url"), variable("AWS_ENDPOINT_URL_S3"),
                                         variable("AWS_ENDPOINT_URL"), settings.aws.of_profile("endpoint_url"));
  settings.is_aws = given_url.empty();
  CV_TRY(std::string url,
         tidy_endpoint(endpoint,
                       settings.is_aws ? fmt::format("https://s3.{}.amazonaws.com", settings.region) : given_url));
  // A bucket with dots does not match the wildcard certificate of virtual hosts.
  const bool dotted = settings.bucket.find('.') != std::string::npos;
  CV_TRY(settings.path_style, yes_no_auto(endpoint, reader, "path_style", !settings.is_aws || dotted));
  CV_TRY(settings.verbatim_keys, yes_no_auto(endpoint, reader, "verbatim_keys", settings.is_aws));
  settings.service_url = url;
  const std::size_t host = url.find("://") + 3;
  if (!settings.path_style) url.insert(host, settings.bucket + ".");
  settings.signed_host = url.substr(host);
  settings.base_url = std::move(url);
  return settings;
}

Result<void> read_s3_url(Endpoint& endpoint, std::string_view raw_path) {
  if (endpoint.host.empty())
    return Failure(make_error(ErrorKind::config, "read URL", "", "missing bucket: expected s3://BUCKET/PREFIX"));
  CV_TRY(endpoint.root, decode_url_path(raw_path)); // a key is what it is, byte for byte
  return {};
}

// At AWS a bucket's name is enough, whatever its region.
Result<Location> locate_s3(const Endpoint& endpoint) {
  const OptionReader reader(s3_backend, endpoint);
  CV_TRY(const S3Settings settings, read_s3_address(endpoint, reader));
  Location out;
  out.service =
      settings.is_aws ? "s3://" + settings.bucket : fmt::format("s3+{}/{}", settings.service_url, settings.bucket);
  if (!settings.prefix.empty()) out.root = "/" + settings.prefix.substr(0, settings.prefix.size() - 1);
  out.identity = out.service + out.root;
  out.from_environment = !settings.is_aws && reader.text("endpoint_url").empty();
  return out;
}

} // namespace

const BackendDescriptor s3_backend = {.scheme = "s3",
                                      .summary = "object storage with the S3 API: s3://BUCKET/PREFIX",
                                      .options = options,
                                      .make_source = make_s3_source,
                                      .make_target = make_s3_target,
                                      .read_url = read_s3_url,
                                      .locate = locate_s3};

Result<S3Settings> read_s3_settings(const BackendContext& context, const Endpoint& endpoint) {
  const OptionReader reader(s3_backend, endpoint);
  CV_TRY(S3Settings settings, read_s3_address(endpoint, reader));
  const auto& variable = settings.aws.variable;
  CV_TRY(settings.copy_whole_bytes, read_copy_cutoff(endpoint, reader, settings.is_aws));
  CV_CHECK(read_writing_options(endpoint, reader, settings));
  if (reader.boolean("request_payer")) settings.request_headers.emplace_back("x-amz-request-payer", "requester");
  settings.anonymous = reader.boolean("anonymous");
  settings.fixed.access_key_id = reader.text("access_key_id");
  settings.fixed.secret_access_key = reader.secret("secret_access_key");
  settings.fixed.session_token = reader.secret("session_token");
  if (settings.fixed.access_key_id.empty() != settings.fixed.secret_access_key.empty())
    return bad(endpoint,
               "access_key_id (an option) and secret_access_key (a secret) belong together; one of them is missing");

  settings.http.connect_timeout = context.connect_timeout;
  settings.http.stall_timeout = context.stall_timeout;
  settings.http.idle_connections = settings.connections * 2;
  settings.http.ca_bundle =
      first_of(reader.text("ca_bundle"), variable("AWS_CA_BUNDLE"), settings.aws.of_profile("ca_bundle"));
  settings.http.proxy = reader.text("proxy");
  if (const std::string file = reader.text("http_trace"); !file.empty()) {
    settings.http.trace = trace_to(file);
    if (!settings.http.trace) return bad(endpoint, fmt::format("http_trace: {} can't be opened for writing", file));
  }
  return settings;
}

} // namespace checkvalve
