// Values that options take and refuse, and how they are written down again.
#include "sync/job_options.h"

#include <gtest/gtest.h>

#include "support/run.h"

namespace checkvalve {
namespace {

std::string written(const JobOption& option, const Job& job) {
  OptionAssignments all;
  option.write(job, all);
  return all.empty() ? "" : all.front().second;
}

struct Taken {
  const char* name;
  const char* value;
  const char* written;
};

TEST(JobOptions, AreWrittenAsTheyAreRead) {
  constexpr Taken cases[] = {{"min_size", "0", ""},
                             {"min_size", "1", "1"},
                             {"min_size", "1024", "1KiB"},
                             {"min_size", "1025", "1025"},
                             {"max_size", "3MiB", "3MiB"},
                             {"max_size", "1024GiB", "1TiB"},
                             {"max_size", "1024TiB", "1024TiB"},
                             {"memory", "1MiB", "1MiB"},
                             {"batch_bytes", "1", "1"},
                             {"lease_ttl", "1s", "1s"},
                             {"lease_ttl", "1500ms", "1500ms"},
                             {"lease_ttl", "90s", "90s"},
                             {"lease_ttl", "120s", "2m"},
                             {"keep_plans", "1h", "60m"},
                             {"keep_plans", "48h", "2d"},
                             {"bwlimit", "1024/s", "1KiB/s"},
                             {"bwlimit", "off", "off"}};
  for (const Taken& row : cases) {
    SCOPED_TRACE(testing::Message() << row.name << "=" << row.value);
    const JobOption& option = *find_job_option(row.name);
    Job job;
    ASSERT_OK(option.read(job, row.value));
    EXPECT_EQ(written(option, job), row.written);
    Job again;
    if (*row.written != '\0') ASSERT_OK(option.read(again, row.written));
    EXPECT_EQ(written(option, again), row.written);
  }
}

struct Refused {
  const char* name;
  const char* value;
  const char* said;
};

TEST(JobOptions, RefuseWhatIsTooLittle) {
  constexpr Refused cases[] = {{"memory", "1048575", "expected at least 1MiB"},
                               {"batch_bytes", "0", "expected at least 1"},
                               {"lease_ttl", "999ms", "expected at least 1s"},
                               {"keep_plans", "59m", "expected at least 60m"}};
  for (const Refused& row : cases) {
    SCOPED_TRACE(testing::Message() << row.name << "=" << row.value);
    Job job;
    const auto taken = find_job_option(row.name)->read(job, row.value);
    ASSERT_FALSE(taken.has_value());
    EXPECT_NE(taken.error().message.find(row.said), std::string::npos) << taken.error().message;
  }
}

} // namespace
} // namespace checkvalve
