#include "backends/local/local_backend.h"

#include <array>

#include "backends/local/local_source.h"
#include "backends/local/local_target.h"

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

} // namespace

constinit const BackendDescriptor local_backend = {"file", "files of this machine", options, make_local_source,
                                                   make_local_target};

} // namespace checkvalve
