// The backends that this program has. To add one: write its file, which exports a descriptor, and name that here and
// in registry.cc. One descriptor serves the parsing of options, --help, `checkvalve backends` and the reference page.
#pragma once

#include <chrono>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "backends/endpoint.h"
#include "backends/source.h"
#include "backends/target.h"
#include "core/async.h"
#include "core/event.h"
#include "core/option.h"

namespace checkvalve {

// What the engine lends to a backend. Outlives it.
struct BackendContext {
  Loop& loop;
  ThreadPool& workers;                             // for blocking calls and computation
  EventSink& events;                               // for RetryEvent and WarningEvent of connections
  std::chrono::milliseconds stall_timeout{60'000}; // an operation that hears nothing for this long fails
  std::chrono::milliseconds connect_timeout{20'000};
};

struct BackendDescriptor {
  std::string_view scheme;
  std::string_view summary; // one line
  std::span<const OptionSpec> options;
  Result<std::unique_ptr<Source>> (*make_source)(BackendContext& context, const Endpoint& endpoint);
  Result<std::unique_ptr<Target>> (*make_target)(BackendContext& context, const Endpoint& endpoint);
};

std::span<const BackendDescriptor* const> backends();
// Null if there is none.
const BackendDescriptor* find_backend(std::string_view scheme);

// Looks the scheme up, checks the options and secrets against the descriptor (unknown names and unreadable values are
// ErrorKind::config), and makes one side. Does not connect.
Result<std::unique_ptr<Source>> make_source(BackendContext& context, const Endpoint& endpoint);
Result<std::unique_ptr<Target>> make_target(BackendContext& context, const Endpoint& endpoint);

// Reads a checked endpoint's options and secrets.
class OptionReader : public OptionValues {
public:
  OptionReader(const BackendDescriptor& descriptor, const Endpoint& endpoint)
      : OptionValues(descriptor.options, endpoint.options), endpoint_(endpoint) {}
  Secret secret(std::string_view name) const;

private:
  const Endpoint& endpoint_;
};

} // namespace checkvalve
