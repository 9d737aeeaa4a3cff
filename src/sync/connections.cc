// Opening and closing both ends of a job.
#include "backends/location.h"
#include "decorators/decorators.h"
#include "sync/cancel_watch.h"
#include "sync/engine.h"

namespace checkvalve {
namespace {

DecoratorOptions decorators_for(BackendContext& context, const Job& job, Cancellation& cancellation) {
  DecoratorOptions options;
  options.loop = &context.loop;
  options.events = &context.events;
  options.retries = job.retries;
  options.stall_timeout = job.stall_timeout;
  options.token = cancellation;
  return options;
}

ErrorContext at_target(const Job& job) { return {job.target.display(), ErrorCode::target_root_missing}; }

bool needs_readback(const Job& job) {
  return job.checksum || job.verify == VerifyMode::readback || job.links == LinkPolicy::copy;
}

Task<Result<void>> connect_ends(Connections& connections) {
  auto connecting_target = spawn(connections.target->connect());
  Result<void> source_there;
  if (connections.source) source_there = co_await connections.source->connect();
  auto target_there = co_await connecting_target.get();
  if (!source_there && source_there.error().kind == ErrorKind::not_a_directory)
    source_there.error().hint = "to copy one file, give its directory, and --file NAME";
  CV_CO_CHECK(std::move(source_there));
  CV_CO_CHECK(std::move(target_there));
  if (connections.readback) {
    auto readback_there = co_await connections.readback->connect();
    // A target's root may be made later; only then there is nothing to read back yet.
    if (!readback_there && readback_there.error().kind != ErrorKind::not_found) co_return readback_there;
  }
  co_return Result<void>();
}

Task<Result<Connections>> connected(BackendContext& context, Connections connections, Cancellation& cancellation) {
  CancelWatch watch(context.loop, cancellation, connections, std::chrono::milliseconds(0));
  watch.start();
  const Result<void> there = co_await connect_ends(connections);
  co_await watch.finish();
  if (there && !cancellation.requested()) co_return connections;
  co_await close_connections(connections);
  co_return Failure(cancellation.requested() ? cancellation.reason() : there.error());
}

} // namespace

Result<PairKey> identities(const Job& job) {
  CV_TRY(std::string source, identity(job.source));
  CV_TRY(std::string target, identity(job.target));
  return PairKey{std::move(source), std::move(target)};
}

Task<Result<Connections>> open_connections(BackendContext& context, const Job& job, Cancellation& cancellation) {
  Connections connections;
  CV_CO_TRY(std::unique_ptr<Source> source, make_source(context, job.source));
  CV_CO_TRY(std::unique_ptr<Target> target, make_target(context, job.target));
  CV_CO_TRY(connections.pair, co_await context.workers.run([&job] { return identities(job); }));
  DecoratorOptions decorators = decorators_for(context, job, cancellation);
  connections.target = with_decorators(std::move(target), at_target(job), decorators);
  if (needs_readback(job)) {
    CV_CO_TRY(std::unique_ptr<Source> readback, make_source(context, job.target));
    connections.readback = with_decorators(std::move(readback), at_target(job), decorators);
  }
  decorators.bytes_per_second = job.bytes_per_second;
  connections.source =
      with_decorators(std::move(source), {job.source.display(), ErrorCode::source_root_missing}, decorators);
  co_return co_await connected(context, std::move(connections), cancellation);
}

Task<Result<std::unique_ptr<Target>>> open_target(BackendContext& context, const Job& job, Cancellation& cancellation) {
  Connections connections;
  CV_CO_TRY(std::unique_ptr<Target> target, make_target(context, job.target));
  connections.target = with_decorators(std::move(target), at_target(job), decorators_for(context, job, cancellation));
  CV_CO_TRY(Connections opened, co_await connected(context, std::move(connections), cancellation));
  co_return std::move(opened.target);
}

Task<Result<HashAlgorithm>> hash_of(const Job& job, Target& target) {
  if (job.verify != VerifyMode::hash) co_return HashAlgorithm::xxh128;
  auto algorithm = co_await target.server_side_checksum();
  if (algorithm || algorithm.error().kind != ErrorKind::unsupported) co_return algorithm;
  co_return Failure(make_error(ErrorKind::config, "verify", job.target.display(),
                               algorithm.error().message +
                                   ": use --verify readback, which reads each published file again, or size"));
}

Task<void> close_connections(Connections& connections) {
  TaskGroup group;
  if (connections.source) group.spawn(connections.source->disconnect());
  if (connections.target) group.spawn(connections.target->disconnect());
  if (connections.readback) group.spawn(connections.readback->disconnect());
  co_await group.join();
}

} // namespace checkvalve
