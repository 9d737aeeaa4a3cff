// Events, summaries and progress as they are written.
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <set>

#include "cli/events_json.h"
#include "cli/progress.h"
#include "cli/summary.h"
#include "cli/tracker.h"
#include "core/path.h"
#include "events_schema.h"

namespace checkvalve {
namespace {

const std::string odd_name = "odd\xff\n\\\"name.txt";

std::vector<EngineEvent> one_of_each() {
  const Error error = make_error(ErrorKind::permission, "open", odd_name, "refused \xfe");
  return {PlannedEvent{"p", 1, 2, 3, 4, 5},
          ListingEvent{1, 2},
          FilePlannedEvent{odd_name, 1},
          FileStartedEvent{odd_name, 1},
          FileProgressEvent{odd_name, 2, 1},
          FilePublishedEvent{odd_name, 1, "xxh128:0", 1},
          FileSkippedEvent{odd_name, "conflict"},
          FileFailedEvent{odd_name, error},
          RetryEvent{odd_name, error, 2, 100},
          BatchEvent{1, "started", "host\xff", 1, 2},
          WarningEvent{"warned \xfd"}};
}

// Whether the value has the type that the schema asks for; "$ref" and choices are followed.
void expect_fits(const Json& schema, const Json& rule, const Json& value, const std::string& where) {
  if (rule.contains("$ref")) {
    const std::string name = rule["$ref"].get<std::string>().substr(std::string("#/$defs/").size());
    return expect_fits(schema, schema["$defs"][name], value, where);
  }
  if (rule.contains("const")) EXPECT_EQ(rule["const"], value) << where;
  if (rule.contains("enum"))
    EXPECT_NE(std::find(rule["enum"].begin(), rule["enum"].end(), value), rule["enum"].end()) << where;
  const std::string type = rule.contains("type") && rule["type"].is_string() ? rule["type"].get<std::string>() : "";
  if (type == "integer") EXPECT_TRUE(value.is_number_integer()) << where;
  if (type == "string") EXPECT_TRUE(value.is_string()) << where;
  if (type != "object") return;
  for (const auto& name : rule["required"])
    EXPECT_TRUE(value.contains(name.get<std::string>())) << where << " lacks " << name;
  for (const auto& [key, unused] : value.items())
    if (rule["properties"].contains(key)) expect_fits(schema, rule["properties"][key], value[key], where + "." + key);
}

TEST(Events, FitTheSchemaWhateverTheNames) {
  const Json schema = Json::parse(events_schema);
  std::set<std::string> types;
  for (const EngineEvent& event : one_of_each()) {
    const std::string line = to_line(event_json(event, 1'700'000'000'000));
    EXPECT_EQ(line.find('\n'), std::string::npos);
    EXPECT_TRUE(is_valid_utf8(line));
    const Json read = Json::parse(line);
    const std::string type = read["type"].get<std::string>();
    ASSERT_TRUE(schema["$defs"].contains(type)) << type;
    types.insert(type);
    expect_fits(schema, {{"type", "object"}, {"required", schema["required"]}, {"properties", schema["properties"]}},
                read, type);
    expect_fits(schema, schema["$defs"][type], read, type);
    // A field that the schema does not know is one that the reference does not document.
    for (const auto& [key, unused] : read.items())
      EXPECT_TRUE(schema["properties"].contains(key) || schema["$defs"][type]["properties"].contains(key))
          << type << "." << key;
    if (read.contains("path")) EXPECT_EQ(*unescape_bytes(read["path"].get<std::string>()), odd_name);
  }
  EXPECT_EQ(types.size(), std::variant_size_v<EngineEvent>);
}

TEST(Events, WriteErrorsEndTheWritingOnly) {
  int connections[2];
  ASSERT_EQ(::pipe(connections), 0);
  std::signal(SIGPIPE, SIG_IGN);
  auto writer = EventWriter::open("fd:" + std::to_string(connections[1]));
  ASSERT_TRUE(writer.has_value());
  ::close(connections[0]);
  (*writer)->write({{"v", 1}});
  (*writer)->finish();
  EXPECT_TRUE((*writer)->failed());
}

TEST(Events, AReaderThatSleepsHoldsNothingUp) {
  int connections[2];
  ASSERT_EQ(::pipe(connections), 0);
  auto writer = EventWriter::open("fd:" + std::to_string(connections[1]));
  ASSERT_TRUE(writer.has_value());
  const std::string text(1000, 'x');
  for (int i = 0; i < 10'000 && !(*writer)->failed(); ++i) (*writer)->write({{"v", text}});
  EXPECT_TRUE((*writer)->failed()); // it fell too far behind, and every write came back
  (*writer)->finish();
  ::close(connections[0]);
}

// The writer's thread must hear of the end whenever it comes: also between its look at the queue and its sleep.
TEST(Events, TheEndIsHeardWhereverTheThreadIs) {
  for (int i = 0; i < 4'000; ++i) {
    auto writer = EventWriter::open("/dev/null");
    ASSERT_TRUE(writer.has_value());
    if (i % 2 == 0) (*writer)->write({{"v", 1}});
    for (volatile int spun = 0; spun < 10 * (i % 2'000); spun = spun + 1) {
    } // sweeps the end over the thread's first steps
    (*writer)->finish(); // hangs if the word is lost
  }
}

TEST(Events, RefusePlacesThatCanNotBeWritten) {
  EXPECT_NE(EventWriter::open("fd:x").error().text().find("expected FILE or fd:N"), std::string::npos);
  EXPECT_NE(EventWriter::open("fd:987").error().text().find("not open for writing"), std::string::npos);
  EXPECT_NE(EventWriter::open("/no/such/directory/f").error().text().find("cannot open"), std::string::npos);
}

TEST(Summary, HasTheFieldsOfTheContract) {
  Report report{.command = "sync", .seconds = 0.41};
  report.summary.plan = "7k3m9q2x5t";
  report.summary.files_failed = 1;
  report.summary.failures.push_back(
      {1, odd_name, make_error(ErrorKind::permission, "open", odd_name, "permission denied")});
  const Json json = Json::parse(to_line(report_json(report)));
  for (const char* key :
       {"version", "command", "plan", "files_planned", "files_copied", "files_skipped", "files_failed", "bytes_planned",
        "bytes_copied", "batches", "seconds", "peak_rss_bytes", "interrupted", "failures", "error"})
    EXPECT_TRUE(json.contains(key)) << key;
  EXPECT_TRUE(json["error"].is_null());
  EXPECT_GT(json["peak_rss_bytes"].get<std::uint64_t>(), 1u << 20);
  EXPECT_EQ(json["failures"][0]["kind"], "permission");
  EXPECT_EQ(*unescape_bytes(json["failures"][0]["path"].get<std::string>()), odd_name);
  EXPECT_FALSE(json.contains("batch_list"));
  report.command = "plan";
  report.summary.files_planned = 814;
  report.batches.push_back({.number = 1, .files = 814, .bytes = 5});
  EXPECT_EQ(report_json(report)["batch_list"][0]["files"], 814);
  EXPECT_NE(report_text(report, "checkvalve run 7k3m").find("run with: checkvalve run 7k3m\n"), std::string::npos);
}

ProgressView some_view() {
  ProgressView view;
  view.planned = true;
  view.files_done = 6'214;
  view.files_total = 10'000;
  view.bytes_done = 62 << 20;
  view.bytes_total = 100 << 20;
  view.bytes_per_second = 10 << 20;
  view.seconds_left = 4;
  view.large = {{"a/very/long/way/down/to/the/file/that/is/large.bin", 100, 48}};
  view.files_failed = 1;
  view.last_failure = "a.txt: permission denied";
  return view;
}

TEST(Progress, FitsEveryWidth) {
  for (const bool utf8 : {true, false})
    for (std::size_t width = 10; width < 200; ++width)
      for (const std::string& line : render_progress(some_view(), {width, utf8, false})) {
        EXPECT_LE(display_columns(line), width) << line;
        if (!utf8)
          EXPECT_TRUE(std::all_of(line.begin(), line.end(), [](unsigned char c) { return c >= 0x20 && c < 0x7F; }))
              << line;
      }
}

TEST(Progress, ShowsWhatMatters) {
  const auto lines = render_progress(some_view(), {100, false, false});
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(lines[0],
            "[###############..........]  62% 6,214/10,000 files | 62.0 MiB of 100.0 MiB | 10.0 MiB/s | 4.0s left");
  EXPECT_EQ(lines[1], "  a/very/long/way/down/to/the/file/that/is/large.bin  48% of 100 B");
  EXPECT_EQ(lines[2], "  failed: a.txt: permission denied");
  EXPECT_EQ(render_progress_line(some_view()),
            "6,214/10,000 files, 62.0 MiB of 100.0 MiB, 10.0 MiB/s, 4.0s left, 1 failed");
  EXPECT_EQ(fit("abcdefghij", 7, false), "ab~ghij");
  EXPECT_EQ(fit("äöü", 3, true), "äöü");
}

TEST(Progress, NoColorMeansNoEscapes) {
  for (const std::string& line : render_progress(some_view(), {100, true, false}))
    EXPECT_EQ(line.find('\x1b'), std::string::npos);
  EXPECT_NE(render_progress(some_view(), {100, true, true})[0].find('\x1b'), std::string::npos);
}

TEST(Tracker, CountsAndMeasures) {
  Tracker tracker(1'000);
  tracker.on_event(FileFailedEvent{"early", make_error(ErrorKind::permission, "open", "early", "no")});
  tracker.on_event(PlannedEvent{"p", 3, 3'000, 0, 1, 1});
  (void)tracker.view(1'000);
  tracker.on_event(FileProgressEvent{"big", 2'000, 1'500});
  tracker.on_event(FilePublishedEvent{"a", 500, "", 1});
  ProgressView view = tracker.view(2'000);
  EXPECT_EQ(view.files_done, 1u) << "what failed while planning is not among the files to move";
  EXPECT_EQ(view.files_failed, 1u);
  EXPECT_EQ(view.bytes_done, 2'000u);
  EXPECT_DOUBLE_EQ(view.bytes_per_second, 2'000);
  EXPECT_EQ(view.large.size(), 1u);
  tracker.on_event(RetryEvent{"big", make_error(ErrorKind::connection, "read", "big", "lost"), 2, 10});
  view = tracker.view(2'100);
  EXPECT_EQ(view.bytes_done, 500u) << "a file that is retried starts over";
  EXPECT_TRUE(view.large.empty());
}

} // namespace
} // namespace checkvalve
