#include "decorators/decorators.h"

#include "decorators/retry.h"
#include "decorators/throttle.h"
#include "decorators/timeout.h"

namespace checkvalve {
namespace {

template <class Side>
std::unique_ptr<Side> decorated(std::unique_ptr<Side> side, ErrorContext context, const DecoratorOptions& options) {
  if (!side->bounds_its_calls() && options.stall_timeout.count() > 0)
    side = with_timeout(std::move(side), *options.loop, options.stall_timeout);
  if (options.bytes_per_second > 0)
    side = with_throttle(
        std::move(side), *options.loop,
        std::make_shared<TokenBucket>(options.bytes_per_second, std::chrono::milliseconds(100), options.token));
  side = with_error_context(std::move(side), std::move(context));
  const RetryPolicy policy{options.retries, options.backoff, options.token};
  return with_retry(std::move(side), *options.loop, *options.events, policy);
}

} // namespace

std::unique_ptr<Source> with_decorators(std::unique_ptr<Source> source, ErrorContext context,
                                        const DecoratorOptions& options) {
  return decorated(std::move(source), std::move(context), options);
}

std::unique_ptr<Target> with_decorators(std::unique_ptr<Target> target, ErrorContext context,
                                        const DecoratorOptions& options) {
  return decorated(std::move(target), std::move(context), options);
}

} // namespace checkvalve
