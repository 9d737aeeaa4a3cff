// The contract of a backend: what the engine lends it, and the descriptor by which the program knows it.
//
// A backend is the code for one URL scheme. It exports one BackendDescriptor, which registry.cc lists; nothing else in
// the program names a scheme (tools/check_layers.py checks that). The sides that it makes are described in source.h and
// target.h.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "backends/endpoint.h"
#include "backends/source.h"
#include "backends/target.h"
#include "core/async.h"
#include "core/cancellation.h"
#include "core/event.h"
#include "core/option.h"

namespace checkvalve {

// What the engine lends to a backend. Outlives every source and target that is made with it.
struct BackendContext {
  Loop& loop;
  ThreadPool& workers;                             // for blocking calls and computation
  EventSink& events;                               // for RetryEvent and WarningEvent of connections
  std::chrono::milliseconds stall_timeout{60'000}; // an operation without any progress for this long fails
  std::chrono::milliseconds connect_timeout{20'000};
};

// Where an endpoint's files are, normalised: equal texts, equal place.
struct Location {
  std::string service; // what holds the files: "sftp://host:22", "s3://bucket"; without a '/' at the end
  std::string root;    // within the service: empty, or "/a/b"; may begin with "~" for a login's own directory
  // Canonical: the service, the login where it decides what a path means, and the root. The key of what the state keeps
  // of the endpoint, so stable over releases.
  std::string identity;
  bool from_environment =
      false; // variables or a profile chose the service: elsewhere the endpoint may be another place
};

// One finding of `checkvalve doctor`.
struct DoctorCheck {
  std::string name;  // "server", "extensions", "round trip", …
  std::string value; // for people
  bool ok = true;    // false: something does not work as checkvalve would like
};

struct TrustRequest {
  std::string fingerprint;                                  // "SHA256:…" of the only acceptable key; empty: ask
  std::function<bool(const std::string& question)> confirm; // blocks; false: not confirmed
  std::chrono::milliseconds connect_timeout{20'000};
};

struct BackendDescriptor {
  std::string_view scheme;
  std::string_view summary; // one line
  std::span<const OptionSpec> options;
  // The endpoint's options and secrets have been checked against `options`. No I/O with the endpoint.
  Result<std::unique_ptr<Source>> (*make_source)(BackendContext& context, const Endpoint& endpoint);
  Result<std::unique_ptr<Target>> (*make_target)(BackendContext& context, const Endpoint& endpoint);

  // All below is optional: null or empty takes what the comment says.

  // The root of an endpoint that names none: where relative paths begin.
  std::string_view default_root = "";
  // Completes an endpoint read from a URL, whose user, host and port are set: checks these and sets the root from
  // `raw_path`, which is percent-encoded and empty or begins with '/'. The message of an error, of kind config, is
  // shown with the URL. Null: a host is required, and the root is the decoded path, byte for byte.
  Result<void> (*read_url)(Endpoint& endpoint, std::string_view raw_path) = nullptr;
  // May block: looks at files of this machine, never at the endpoint. Null: scheme, user, host, port and root as in the
  // URL, with the host in lower case and no '/' at the end.
  Result<Location> (*locate)(const Endpoint& endpoint) = nullptr;
  // What `checkvalve doctor` tries out after it has read from the source: connects, makes a few temporaries
  // (temporary.h) below the root and removes them. A root that can't be written is a check that is not ok; an error
  // means that there was no connection or, with kind interrupted, that the token was cancelled. Null: writes one
  // temporary through the Target.
  Task<Result<std::vector<DoctorCheck>>> (*examine)(BackendContext& context, Endpoint endpoint,
                                                    CancellationToken token) = nullptr;
  // `checkvalve trust`: fetches the server's key, asks, and records it. Blocks. Returns what to print. Null: there is
  // no key to trust.
  Result<std::string> (*trust)(const Endpoint& endpoint, const TrustRequest& request) = nullptr;
};

// Checks an endpoint's options and secrets against the descriptor: an unknown name or a value that can't be read is
// ErrorKind::config.
Result<void> check_options(const BackendDescriptor& descriptor, const Endpoint& endpoint);

// Reads a checked endpoint's options and secrets. Keeps references to both arguments.
class OptionReader : public OptionValues {
public:
  OptionReader(const BackendDescriptor& descriptor, const Endpoint& endpoint)
      : OptionValues(descriptor.options, endpoint.options), endpoint_(endpoint) {}
  Secret secret(std::string_view name) const; // empty if it was not given

private:
  const Endpoint& endpoint_;
};

} // namespace checkvalve
