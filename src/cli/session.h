// Session: what a working command runs in: the loop, its threads, the state, and its output.
#pragma once

#include <csignal>
#include <memory>
#include <optional>
#include <string>

#include "cli/events_json.h"
#include "cli/options.h"
#include "cli/process.h"
#include "cli/progress.h"
#include "cli/tracker.h"
#include "sync/engine.h"

namespace checkvalve {

class Session : public EventSink {
public:
  Session(std::string command, const ProcessOptions& options);
  ~Session() override;

  // Opens --events: before anything else, so that every failure ends in a summary there. Kind config.
  Result<void> open_events();
  // Starts to watch the parent with --die-with-parent.
  void watch_parent(const Inputs& inputs);
  // Opens the state; must succeed before engine() is called.
  Result<void> open_store(const Inputs& inputs);

  Engine engine() { return {loop_, *this, workers_, *store_, cancellation_}; }
  BackendContext context(const Job& job) { return {loop_, workers_, *this, job.stall_timeout, job.connect_timeout}; }
  StateStore& store() { return *store_; }
  Cancellation& cancellation() { return cancellation_; }
  Tracker& tracker() { return *tracker_; }
  // For the next date of a range: counts start at zero.
  void restart_tracker();

  void emit(const EngineEvent& event) override;
  void emit_started(const std::string& source, const std::string& target);

  // Runs a command's work with signals handled, and returns its exit code: 128 + the signal's number if one ended it. A
  // signal after the work was complete changes nothing.
  int run(Task<int> work);
  // Runs a task that a signal ends with the process.
  template <class T> T wait_for(Task<T> task) { return loop_.run(std::move(task)); }

  // Prints the command's outcome: with --json the object, else the text; the error on standard error. The object is
  // also the summary of --events.
  void report(const Json& object, std::string_view text, const std::optional<Error>& error = std::nullopt);
  // Prints an error, with an object that holds nothing else, and returns its exit code.
  int fail(const Error& error);
  // Lines on standard error, above the progress bar.
  void print_error(std::string_view lines) { progress_.message(lines); }

  // "checkvalve run PLAN", with the --config and --state of this command.
  std::string resume_command(const std::string& plan) const { return "checkvalve run " + plan + place_options_; }
  std::string status_command(const std::string& plan) const { return "checkvalve status " + plan + place_options_; }

  bool json() const { return options_.json; }
  const std::string& command() const { return command_; }

private:
  void on_signal(int number);
  void request_stop(int number);
  void tick();
  void write_event(const Json& event);

  const std::string command_;
  const ProcessOptions& options_;
  std::string place_options_; // " --state s.db": where a command that is to be pasted finds the plan
  Loop loop_;
  ThreadPool workers_;
  Cancellation cancellation_;
  std::optional<Tracker> tracker_;
  Progress progress_;
  std::unique_ptr<EventWriter> events_;
  bool flush_is_due_ = false;
  std::int64_t last_progress_ms_ = 0;
  std::uint64_t last_progress_sum_ = 0;
  std::unique_ptr<ParentWatch> parent_;
  std::unique_ptr<StateStore> store_;
  int signal_ = 0;
};

// "checkvalve: …", and a second line with the hint, if there is one.
std::string error_text(const Error& error);

} // namespace checkvalve
