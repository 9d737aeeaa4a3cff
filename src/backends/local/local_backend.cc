#include "backends/local/local_backend.h"

#include <array>
#include <filesystem>
#include <system_error>

#include "backends/local/local_source.h"
#include "backends/local/local_target.h"
#include "backends/location.h"

namespace checkvalve {
namespace {

constexpr std::array options = {
    OptionSpec{
        "follow_outside", OptionType::boolean, "no",
        "let symbolic links lead out of the root: followed files at the source, linked directories at both sides"},
    OptionSpec{"sparse", OptionType::boolean, "yes", "write runs of zeros as holes"},
};

RootDirectory::Links links_of(const OptionReader& reader) {
  return reader.boolean("follow_outside") ? RootDirectory::Links::lead_out : RootDirectory::Links::stay_beneath;
}

Result<std::unique_ptr<Source>> make_local_source(BackendContext& context, const Endpoint& endpoint) {
  const OptionReader reader(local_backend, endpoint);
  return std::make_unique<LocalSource>(context.workers, endpoint.root, links_of(reader));
}

Result<std::unique_ptr<Target>> make_local_target(BackendContext& context, const Endpoint& endpoint) {
  const OptionReader reader(local_backend, endpoint);
  return std::make_unique<LocalTarget>(context.workers, endpoint.root, links_of(reader), reader.boolean("sparse"));
}

Result<void> read_local_url(Endpoint& endpoint, std::string_view raw_path) {
  const auto refused = [](std::string message) {
    return Failure(make_error(ErrorKind::config, "read URL", "", std::move(message)));
  };
  if (endpoint.host == "localhost") endpoint.host.clear(); // RFC 8089, 2
  if (!endpoint.host.empty() || !endpoint.user.empty() || endpoint.port != 0)
    return refused("a file URL has no host: write file:///PATH with three slashes");
  if (raw_path.empty()) return refused("missing path: expected file:///PATH");
  CV_TRY(const std::string path, decode_url_path(raw_path));
  endpoint.root = tidy_path(path);
  return {};
}

// Symbolic links in what exists of the root are resolved.
Result<Location> locate_local(const Endpoint& endpoint) {
  std::error_code error;
  const auto real = std::filesystem::weakly_canonical(endpoint.root, error);
  Endpoint resolved = endpoint;
  if (!error) resolved.root = real.string();
  return locate_by_url(resolved);
}

} // namespace

constinit const BackendDescriptor local_backend = {.scheme = "file",
                                                   .summary = "files of this machine",
                                                   .options = options,
                                                   .make_source = make_local_source,
                                                   .make_target = make_local_target,
                                                   .read_url = read_local_url,
                                                   .locate = locate_local};

} // namespace checkvalve
