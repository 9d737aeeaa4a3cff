#include "cli/options.h"

#include <gtest/gtest.h>

namespace checkvalve {
namespace {

// Parses as `checkvalve sync` does, without a config or secrets.
Result<std::vector<DatedJob>> jobs_of(std::vector<std::string> words) {
  CommandLine line("checkvalve", "", "", "");
  Command& command = line.add("sync", "");
  SyncArguments arguments;
  ProcessOptions process;
  add_sync_arguments(command, arguments);
  add_settings(command, takes::sync);
  add_process_options(command, process, true);
  std::vector<const char*> argv = {"checkvalve", "sync"};
  for (const std::string& word : words) argv.push_back(word.c_str());
  CV_TRY([[maybe_unused]] const Command* chosen, line.parse(static_cast<int>(argv.size()), argv.data()));
  Inputs inputs;
  CV_CHECK(apply_settings(inputs.settings, given_settings(command)));
  return make_jobs(inputs, arguments);
}

Job job_of(std::vector<std::string> words) {
  words.insert(words.begin(), {"/s", "/t"});
  auto jobs = jobs_of(std::move(words));
  EXPECT_TRUE(jobs.has_value()) << (jobs ? "" : jobs.error().text());
  return jobs ? jobs->front().job : Job{};
}

std::string error_of(std::vector<std::string> words) {
  auto jobs = jobs_of(std::move(words));
  return jobs ? "" : jobs.error().text() + "; " + jobs.error().hint;
}

TEST(Options, KeepTheOrderOfRules) {
  const Job job = job_of({"--include", "a*", "--exclude", "b*", "--include", "c*"});
  ASSERT_EQ(job.selection.rules.size(), 3u);
  EXPECT_EQ(job.selection.rules[0].glob.text(), "a*");
  EXPECT_FALSE(job.selection.rules[1].include);
  EXPECT_EQ(job.selection.rules[2].glob.text(), "c*");
}

TEST(Options, BecomeAJob) {
  const Job job = job_of({"--min-age",
                          "5m",
                          "--min-size=1k",
                          "--max-size",
                          "2M",
                          "--memory",
                          "32MiB",
                          "--bwlimit",
                          "10MiB/s",
                          "--verify",
                          "readback",
                          "--on-conflict",
                          "skip",
                          "--preserve",
                          "mtime,mode",
                          "--links",
                          "copy",
                          "--checksum",
                          "--empty-dirs",
                          "--no-durable",
                          "--retries",
                          "7",
                          "--batch-files",
                          "10",
                          "--batch-bytes",
                          "1G",
                          "--max-batches",
                          "16"});
  EXPECT_EQ(job.selection.min_age, std::chrono::minutes(5));
  EXPECT_EQ(job.selection.min_size_bytes, 1024u);
  EXPECT_EQ(job.selection.max_size_bytes, 2u << 20);
  EXPECT_EQ(job.memory_bytes, 32u << 20);
  EXPECT_EQ(job.bytes_per_second, 10u << 20);
  EXPECT_EQ(job.verify, VerifyMode::readback);
  EXPECT_EQ(job.on_conflict, OnConflict::skip);
  EXPECT_TRUE(job.preserve_mtime && job.preserve_mode);
  EXPECT_EQ(job.links, LinkPolicy::copy);
  EXPECT_TRUE(job.checksum && job.empty_directories);
  EXPECT_FALSE(job.durable);
  EXPECT_EQ(job.retries, 7u);
  EXPECT_EQ(job.batching.max_files, 10u);
  EXPECT_EQ(job.batching.max_bytes, 1u << 30);
  EXPECT_EQ(job.batching.max_batches, 16u);
  EXPECT_EQ(job.source.root, "/s");
  EXPECT_EQ(job.target.root, "/t");
}

TEST(Options, TakeListsOfFiles) {
  const Job job = job_of({"--file", "./a b.txt", "--file", "c\\xffd", "--escaped"});
  EXPECT_EQ(*job.selection.files, (std::vector<std::string>{"a b.txt", "c\xff"
                                                                       "d"}));
  EXPECT_EQ(*parse_file_list("a\n\nb c\r\nd", false, false), (std::vector<std::string>{"a", "b c\r", "d"}));
  EXPECT_EQ(*parse_file_list(std::string_view("a\nb\0c\0", 6), true, false), (std::vector<std::string>{"a\nb", "c"}));
  EXPECT_EQ(parse_file_list("ok\n\\q", false, true).error().path, "--files-from, name 2");
}

TEST(Options, SayWhatDoesNotFitTogether) {
  EXPECT_NE(error_of({"/s", "/t", "--file", "a", "--files-from", "b"}).find("--file: cannot be used with --files-from"),
            std::string::npos);
  EXPECT_NE(error_of({"/s", "/t", "--from0", "--file", "a"}).find("--from0: can only be used with --files-from"),
            std::string::npos);
  EXPECT_NE(error_of({"/s", "/t", "--file", "../a"}).find("invalid path '../a'"), std::string::npos);
  EXPECT_NE(error_of({"/s", "/t", "--date", "today"}).find("no {date} in SOURCE, TARGET, --include or --exclude"),
            std::string::npos);
  EXPECT_NE(error_of({"/s/{date}", "/t", "--date", "2024-03-01..2024-03-02"}).find("in both SOURCE and TARGET"),
            std::string::npos);
  EXPECT_NE(error_of({"/s/{date}", "/t"}).find("give --date"), std::string::npos);
  EXPECT_NE(error_of({"/s"}).find("missing TARGET; give SOURCE and TARGET"), std::string::npos);
  EXPECT_NE(error_of({"/s", "/t", "--identity", "k"}).find("neither file:// nor file:// has this option"),
            std::string::npos);
  EXPECT_NE(error_of({"/s", "/t", "--include", "[a"}).find("--include:"), std::string::npos);
  EXPECT_NE(error_of({"/s", "/t", "--verify", "sometimes"})
                .find("invalid value 'sometimes': expected one of size, hash, readback"),
            std::string::npos);
  EXPECT_NE(error_of({"/s", "/t", "--source-option", "x"}).find("expected KEY=VALUE"), std::string::npos);
}

TEST(Options, MakeAJobADate) {
  const auto jobs = jobs_of({"/s/{date}", "/t/{date:%Y/%m}", "--date", "2024-02-29..2024-03-01"});
  ASSERT_TRUE(jobs.has_value());
  ASSERT_EQ(jobs->size(), 2u);
  EXPECT_EQ((*jobs)[0].date, "2024-02-29");
  EXPECT_EQ((*jobs)[0].job.source.root, "/s/2024-02-29");
  EXPECT_EQ((*jobs)[1].job.target.root, "/t/2024/03");
}

TEST(Settings, LaterLevelsReplaceLists) {
  Settings settings;
  const Assignment first[] = {{find_setting("include"), "a", "x"}, {find_setting("exclude"), "b", "x"}};
  const Assignment second[] = {{find_setting("exclude"), "c", "x"}};
  ASSERT_TRUE(apply_settings(settings, first).has_value());
  ASSERT_TRUE(apply_settings(settings, second).has_value());
  ASSERT_EQ(settings.job.selection.rules.size(), 1u);
  EXPECT_EQ(settings.job.selection.rules[0].glob.text(), "c");
}

TEST(Settings, ThePlansJsonKeepsEachOption) {
  const Job job = job_of({"--exclude",
                          "b\xff*",
                          "--include",
                          "c*",
                          "--exclude",
                          "d",
                          "--min-age",
                          "90s",
                          "--min-size",
                          "1001",
                          "--max-size",
                          "2M",
                          "--memory",
                          "32MiB",
                          "--bwlimit",
                          "10MB/s",
                          "--on-conflict",
                          "overwrite-non-atomic",
                          "--preserve",
                          "mode",
                          "--links",
                          "follow",
                          "--verify",
                          "hash",
                          "--checksum",
                          "--empty-dirs",
                          "--no-durable",
                          "--transform",
                          "redact pattern='\\d' with='\"'",
                          "--retries",
                          "0",
                          "--stall-timeout",
                          "250ms",
                          "--connect-timeout",
                          "3h",
                          "--batch-files",
                          "7",
                          "--batch-bytes",
                          "1000",
                          "--max-batches",
                          "2",
                          "--min-files",
                          "3",
                          "--lease-ttl",
                          "61s",
                          "--keep-plans",
                          "30d",
                          "--keep-history",
                          "40d"});
  const auto kept = job_from_json(job_to_json(job));
  ASSERT_TRUE(kept.has_value()) << kept.error().text();
  EXPECT_EQ(job_to_json(*kept), job_to_json(job));
  ASSERT_EQ(kept->selection.rules.size(), 3u);
  EXPECT_EQ(kept->selection.rules[0].glob.text(), "b\xff*");
  EXPECT_TRUE(kept->selection.rules[1].include);
  EXPECT_EQ(kept->stall_timeout, std::chrono::milliseconds(250));
  EXPECT_EQ(kept->bytes_per_second, 10'000'000u);
  EXPECT_TRUE(kept->overwrites_non_atomically());
  EXPECT_EQ(kept->transforms, job.transforms);
  // Every option of the table is set to something else than its default above.
  for (const JobOption& option : job_options()) {
    OptionAssignments values;
    option.write(job, values);
    if (option.name != "include") ASSERT_FALSE(values.empty()) << option.name;
    if (option.name != "include") EXPECT_NE(values.front().second, option.default_value) << option.name;
  }
}

TEST(Settings, HaveTheJobsDefaults) {
  Job job;
  for (const JobOption& option : job_options())
    if (!option.default_value.empty()) ASSERT_TRUE(option.read(job, option.default_value).has_value()) << option.name;
  EXPECT_EQ(job_to_json(job), job_to_json(Job{}));
}

TEST(Settings, EachCommandTakesWhatMeansSomethingToIt) {
  auto commands = [](std::string_view name) { return find_setting(name)->commands; };
  for (const char* name : {"verify", "durable", "on_conflict", "batch_files", "lease_ttl", "memory"})
    EXPECT_FALSE(commands(name) & takes::verify) << name;
  for (const char* name : {"checksum", "preserve", "transform", "include", "state", "bwlimit"})
    EXPECT_TRUE(commands(name) & takes::verify) << name;
  for (const char* name : {"include", "on_conflict", "batch_files"}) EXPECT_FALSE(commands(name) & takes::run) << name;
  EXPECT_FALSE(commands("identity") & takes::trust);
}

} // namespace
} // namespace checkvalve
