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
  auto source_there = co_await ends.source->connect();
  auto target_there = co_await connecting_target.get();
  CV_CO_CHECK(std::move(source_there));
  CV_CO_CHECK(std::move(target_there));
  if (ends.readback) {
    auto readback_there = co_await ends.readback->connect();
    // A target's root may be made later; only then there is nothing to read back yet.
    if (!readback_there && readback_there.error().kind != ErrorKind::not_found) co_return readback_there;
  }
  co_return Result<void>();
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

  StopWatch watch(context.loop, stop, ends, std::chrono::milliseconds(0));
  watch.start();
  const Result<void> connected = co_await connect_ends(ends);
  co_await watch.finish();
  if (connected && !stop.requested()) co_return ends;
  co_await close_ends(ends);
  co_return Failure(stop.requested() ? stop.reason() : connected.error());
}

Task<void> close_ends(Ends& ends) {
  TaskGroup group;
  if (ends.source) group.start(ends.source->disconnect());
  if (ends.target) group.start(ends.target->disconnect());
  if (ends.readback) group.start(ends.readback->disconnect());
  co_await group.join();
}

} // namespace checkvalve
