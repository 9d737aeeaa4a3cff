// Opening and closing both ends of a job.
#include "layers/layers.h"
#include "sync/engine.h"
#include "sync/stop_watch.h"

namespace checkvalve {
namespace {

LayerOptions layers_for(BackendContext& context, const Job& job, Stop& stop) {
  LayerOptions options;
  options.loop = &context.loop;
  options.events = &context.events;
  options.retries = job.retries;
  options.stall_timeout = job.stall_timeout;
  options.stopping = [&stop] { return stop.requested(); };
  return options;
}

bool needs_readback(const Job& job) {
  return job.checksum || job.verify == VerifyMode::readback || job.links == LinkPolicy::copy;
}

Task<Result<void>> connect_ends(Ends& ends) {
  auto connecting_target = start(ends.target->connect());
  Result<void> source_there;
  if (ends.source) source_there = co_await ends.source->connect();
  auto target_there = co_await connecting_target.get();
  if (!source_there && source_there.error().kind == ErrorKind::not_a_directory)
    source_there.error().message += ": to copy one file, give the directory that holds it, and --file NAME";
  CV_CO_CHECK(std::move(source_there));
  CV_CO_CHECK(std::move(target_there));
  if (ends.readback) {
    auto readback_there = co_await ends.readback->connect();
    // A target's root may be made later; only then there is nothing to read back yet.
    if (!readback_there && readback_there.error().kind != ErrorKind::not_found) co_return readback_there;
  }
  co_return Result<void>();
}

Task<Result<Ends>> connected(BackendContext& context, Ends ends, Stop& stop) {
  StopWatch watch(context.loop, stop, ends, std::chrono::milliseconds(0));
  watch.start();
  const Result<void> there = co_await connect_ends(ends);
  co_await watch.finish();
  if (there && !stop.requested()) co_return ends;
  co_await close_ends(ends);
  co_return Failure(stop.requested() ? stop.reason() : there.error());
}

} // namespace

Task<Result<Ends>> open_ends(BackendContext& context, const Job& job, Stop& stop) {
  Ends ends;
  CV_CO_TRY(std::unique_ptr<Source> source, make_source(context, job.source));
  CV_CO_TRY(std::unique_ptr<Target> target, make_target(context, job.target));
  LayerOptions layers = layers_for(context, job, stop);
  ends.target = with_layers(std::move(target), layers);
  if (needs_readback(job)) {
    CV_CO_TRY(std::unique_ptr<Source> readback, make_source(context, job.target));
    ends.readback = with_layers(std::move(readback), layers);
  }
  layers.bytes_per_second = job.bytes_per_second;
  ends.source = with_layers(std::move(source), layers);
  co_return co_await connected(context, std::move(ends), stop);
}

Task<Result<std::unique_ptr<Target>>> open_target(BackendContext& context, const Job& job, Stop& stop) {
  Ends ends;
  CV_CO_TRY(std::unique_ptr<Target> target, make_target(context, job.target));
  ends.target = with_layers(std::move(target), layers_for(context, job, stop));
  CV_CO_TRY(Ends opened, co_await connected(context, std::move(ends), stop));
  co_return std::move(opened.target);
}

Task<Result<HashAlgorithm>> hash_of(const Job& job, Target& target) {
  if (job.verify != VerifyMode::hash) co_return HashAlgorithm::xxh128;
  auto told = co_await target.content_hash();
  if (told || told.error().kind != ErrorKind::unsupported) co_return told;
  co_return Failure(
      make_error(ErrorKind::config, "verify", job.target.display(),
                 told.error().message + ": use --verify readback, which reads each published file again, or size"));
}

Task<void> close_ends(Ends& ends) {
  TaskGroup group;
  if (ends.source) group.start(ends.source->disconnect());
  if (ends.target) group.start(ends.target->disconnect());
  if (ends.readback) group.start(ends.readback->disconnect());
  co_await group.join();
}

} // namespace checkvalve
