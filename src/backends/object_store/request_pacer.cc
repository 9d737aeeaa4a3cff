#include "backends/object_store/request_pacer.h"

#include <curl/curl.h>

#include <algorithm>
#include <charconv>
#include <string>

#include "core/backoff.h"

namespace checkvalve {
namespace {

using std::chrono::milliseconds;
using Seconds = std::chrono::duration<double>;

constexpr std::size_t max_counted = 4'096;   // of a second: a service that answers more is not throttled at its rate
constexpr std::size_t min_refused = 3;       // a single refusal delays its own request only
constexpr std::size_t refused_share = 20;    // one in as many
constexpr double decrease = 0.8;             // of the rate of answers
constexpr double growth_a_second = 0.05;     // right after a decrease
constexpr double growth_doubles_after_s = 5; // the growth itself grows, for services that throttled for a moment only
constexpr double min_rate = 4;               // requests a second
constexpr double unlimited_from = 2'000;     // requests a second
constexpr milliseconds max_pause{120'000};
constexpr int max_throttled_tries = 60;
const Backoff backoff{milliseconds(100), milliseconds(10'000)};

} // namespace

void RequestPacer::Second::add(Clock::time_point now) {
  times.push_back(now);
  if (times.size() > max_counted) times.pop_front();
}

std::size_t RequestPacer::Second::count() {
  while (!times.empty() && times.front() + std::chrono::seconds(1) < times.back()) times.pop_front();
  return times.size();
}

double RequestPacer::rate(Clock::time_point now) const {
  if (base_rate_ == 0) return 0;
  const double since_s = Seconds(now - decreased_).count();
  const double rate = base_rate_ * (1 + growth_a_second * since_s * (1 + since_s / (2 * growth_doubles_after_s)));
  return rate < unlimited_from ? rate : 0;
}

Task<void> RequestPacer::admit(CancellationToken cancellation) {
  if (base_rate_ == 0 && paused_until_ == Clock::time_point()) co_return;
  const auto turn = co_await turn_.acquire(1, cancellation);
  for (auto now = Clock::now(); !cancellation.requested(); now = Clock::now()) {
    const auto due = std::max(paused_until_, rate(now) > 0 ? next_ : now);
    if (due <= now) {
      if (const double present = rate(now); present > 0)
        next_ = std::max(next_, now - std::chrono::milliseconds(20)) +
                std::chrono::duration_cast<Clock::duration>(Seconds(1 / present));
      break;
    }
    (void)co_await Loop::current()->sleep(std::chrono::ceil<milliseconds>(due - now), cancellation);
  }
}

void RequestPacer::succeeded(Clock::time_point now) {
  ++successes_;
  answered_.add(now);
}

void RequestPacer::throttled(milliseconds retry_after, Clock::time_point now) {
  if (retry_after.count() > 0) paused_until_ = std::max(paused_until_, now + std::min(retry_after, max_pause));
  // Requests that were sent before the latest decrease do not count against the new rate.
  if (base_rate_ != 0 && now < decreased_ + milliseconds(500)) return;
  refused_.add(now);
  const std::size_t answered = answered_.count();
  const std::size_t refused = refused_.count();
  if (refused < min_refused || refused * refused_share < answered) return;
  base_rate_ = std::max(min_rate, decrease * static_cast<double>(answered));
  decreased_ = next_ = now;
  refused_.times.clear();
}

std::optional<milliseconds> Retries::after(const Error& error, bool throttled) {
  // A body that arrived with another checksum is sent again as it is.
  if (!error.transient() && error.kind != ErrorKind::integrity) return std::nullopt;
  if (throttled) {
    if (pacer_.successes() != seen_successes_) tries_left_ = tries_;
    seen_successes_ = pacer_.successes();
    if (++throttled_ > max_throttled_tries) return std::nullopt;
  }
  // The stall timeout has passed once already: one more try is enough.
  tries_left_ = error.kind == ErrorKind::timeout ? std::min(tries_left_ - 1, 1) : tries_left_ - 1;
  if (tries_left_ <= 0) return std::nullopt;
  return backoff.delay(static_cast<std::uint32_t>(tries_ - tries_left_));
}

milliseconds read_retry_after(std::string_view text, std::int64_t now_s) {
  std::int64_t seconds = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (failed != std::errc() || end != text.data() + text.size()) {
    const std::time_t date = curl_getdate(std::string(text).c_str(), nullptr);
    seconds = date < 0 ? 0 : static_cast<std::int64_t>(date) - now_s;
  }
  return std::chrono::seconds(std::clamp<std::int64_t>(seconds, 0, 3'600));
}

} // namespace checkvalve
