#include "cli/session.h"

#include <unistd.h>

#include <fmt/format.h>

#include <algorithm>
#include <iostream>
#include <thread>

#include "cli/exit_code.h"
#include "cli/printable.h"
#include "core/path.h"
#include "core/units.h"

namespace checkvalve {
namespace {

constexpr std::int64_t progress_event_interval_ms = 500;

} // namespace

Session::Session(std::string command, const ProcessOptions& options)
    : command_(std::move(command)), options_(options), workers_(std::max(2u, std::thread::hardware_concurrency())),
      tracker_(now_ms()), progress_(choose_progress(options.progress)) {}

Session::~Session() {
  if (!events_) return;
  events_->finish();
  if (events_->failed()) print_error("checkvalve: warning: cannot write to --events; it is incomplete");
}

Result<void> Session::open_events() {
  if (!options_.events.empty()) {
    CV_TRY(events_, EventWriter::open(options_.events));
  }
  return {};
}

void Session::watch_parent(const Inputs& inputs) {
  if (!options_.die_with_parent) return;
  const bool input_is_free = inputs.settings.files_from != "-" && options_.secrets_fd != 0;
  parent_ = std::make_unique<ParentWatch>(loop_, input_is_free, [this] { request_stop(SIGTERM); });
}

Result<void> Session::open_store(const Inputs& inputs) {
  if (options_.config) place_options_ += " --config " + shell_word(*options_.config);
  if (!inputs.state_option.empty()) place_options_ += " --state " + shell_word(inputs.state_option);
  CV_TRY(const std::string location, state_location(inputs.settings.state));
  std::vector<std::string> warnings;
  StateOptions state_options;
  if (const auto password = inputs.secrets.state.find("password"); password != inputs.secrets.state.end())
    state_options.password = password->second;
  CV_TRY(store_, open_state_store(location, warnings, state_options));
  for (std::string& warning : warnings) emit(WarningEvent{std::move(warning)});
  return {};
}

void Session::restart_tracker() { tracker_.emplace(now_ms()); }

void Session::write_event(const Json& event) {
  if (!events_) return;
  events_->write(event);
  if (flush_is_due_ || !Loop::current()) return;
  flush_is_due_ = true;
  Loop::current()->at_end_of_turn([this] {
    flush_is_due_ = false;
    events_->flush();
  });
}

void Session::emit(const EngineEvent& event) {
  tracker_->on_event(event);
  if (events_) write_event(event_json(event, now_ms()));
  if (const auto* planned = std::get_if<FilePlannedEvent>(&event); planned && !options_.json) {
    progress_.clear();
    std::cout << "would copy " << escape_bytes(planned->path) << '\n';
  } else if (const auto* warning = std::get_if<WarningEvent>(&event)) {
    print_error("checkvalve: warning: " + printable(warning->message));
  } else if (const auto* batch = std::get_if<BatchEvent>(&event); batch && batch->state == "waiting") {
    print_error(fmt::format("checkvalve: waiting for batch {}: {}", batch->batch, printable(batch->detail)));
  } else if (const auto* retry = std::get_if<RetryEvent>(&event); retry && retry->path.empty()) {
    print_error(fmt::format("checkvalve: {}; retrying in {}", printable(retry->error.text()),
                            format_duration(std::chrono::milliseconds(retry->delay_ms))));
  }
}

void Session::emit_started(const std::string& source, const std::string& target) {
  if (!events_) return;
  Json event = event_json("started", now_ms());
  event["command"] = command_;
  event["program_version"] = CHECKVALVE_VERSION;
  event["source"] = printable(source);
  event["target"] = printable(target);
  write_event(event);
}

void Session::request_stop(int number) {
  if (signal_ == 0) signal_ = number;
  cancellation_.request(make_error(ErrorKind::interrupted, "", "",
                                   number == SIGINT ? "interrupted by SIGINT" : "interrupted by SIGTERM"));
}

void Session::on_signal(int number) {
  const bool first = signal_ == 0; // a run that an endpoint has ended may be stopping already
  if (!first && number == SIGINT) {
    progress_.clear();
    ::_exit(128 + number); // twice by hand: the next run cleans up
  }
  // SIGTERM comes twice in the ordinary way: to the process group, from the parent, and when the parent dies.
  if (first)
    print_error(number == SIGINT ? "checkvalve: stopping; press Ctrl-C again to abort" : "checkvalve: stopping");
  request_stop(number);
}

void Session::tick() {
  const std::int64_t now = now_ms();
  progress_.update(*tracker_, now);
  if (!events_ || now - last_progress_ms_ < progress_event_interval_ms) return;
  const ProgressView view = tracker_->view(now);
  const std::uint64_t sum = view.files_done + view.bytes_done + view.files_total;
  if (!view.planned || sum == last_progress_sum_) return;
  last_progress_ms_ = now;
  last_progress_sum_ = sum;
  Json event = event_json("progress", now);
  event["files_done"] = view.files_done;
  event["files_total"] = view.files_total;
  event["bytes_done"] = view.bytes_done;
  event["bytes_total"] = view.bytes_total;
  write_event(event);
}

int Session::run(Task<int> work) {
  loop_.on_stop_signal([this](int number) { on_signal(number); });
  int code = 0;
  {
    const Ticker ticker(loop_, [this] { tick(); });
    code = loop_.run(std::move(work));
  }
  progress_.clear();
  if (events_) events_->flush();
  // Any error that ended the work after a signal was caused by it.
  const bool has_outcome = code == exit_code::success || code == exit_code::incomplete;
  return signal_ != 0 && !has_outcome ? exit_code::interrupted + signal_ : code;
}

void Session::report(const Json& object, std::string_view text, const std::optional<Error>& error) {
  progress_.clear();
  if (events_) {
    Json event = event_json("summary", now_ms());
    event.update(object);
    events_->write(event);
    events_->flush();
  }
  if (options_.json)
    std::cout << to_line(object) << '\n' << std::flush;
  else
    std::cout << text << std::flush;
  if (error) print_error(error_text(*error));
}

int Session::fail(const Error& error) {
  report({{"version", 1}, {"command", command_}, {"error", error_json(error)}}, "", error);
  return exit_code::of(error);
}

std::string error_text(const Error& error) {
  const std::string line = "checkvalve: " + printable(error.text());
  const std::string_view advice = error.advice();
  return advice.empty() ? line : line + "\nhint: " + printable(advice);
}

} // namespace checkvalve
