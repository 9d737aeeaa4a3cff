// Which values S3's options take.
#include <gtest/gtest.h>

#include "backends/registry.h"
#include "support/run.h"

namespace checkvalve {
namespace {

struct OptionCase {
  const char* name;
  const char* value;
  const char* said; // empty: it is taken
};

TEST(S3Settings, OptionsAreTakenWithinTheirLimits) {
  constexpr OptionCase cases[] = {{"max_parts", "0", "from 1 to 10000"},
                                  {"max_parts", "1", ""},
                                  {"max_parts", "10000", ""},
                                  {"max_parts", "10001", "from 1 to 10000"},
                                  {"connections", "0", "from 1 to 10000"},
                                  {"connections", "1", ""},
                                  {"connections", "10000", ""},
                                  {"connections", "10001", "from 1 to 10000"},
                                  {"part_size", "5242879", "from 5MiB to 5GiB"},
                                  {"part_size", "5MiB", ""},
                                  {"part_size", "5GiB", ""},
                                  {"part_size", "5121MiB", "from 5MiB to 5GiB"},
                                  {"copy_part_size", "5242879", "from 5MiB to 5GiB"},
                                  {"copy_part_size", "5MiB", ""},
                                  {"copy_part_size", "5GiB", ""},
                                  {"copy_part_size", "5121MiB", "from 5MiB to 5GiB"},
                                  {"checksum", "none", ""},
                                  {"checksum", "md5", "crc32c or none"},
                                  {"access_key_id", "alone", "secret_access_key"},
                                  {"http_trace", "/dev/null", ""},
                                  {"http_trace", "/dev/null/file", "can't be opened"}};
  testing_support::TestEngine engine;
  for (const OptionCase& row : cases) {
    SCOPED_TRACE(testing::Message() << row.name << "=" << row.value);
    Endpoint endpoint = parse_endpoint_url("s3://bucket/prefix").value();
    endpoint.options[row.name] = row.value;
    const auto made = make_target(engine.context, endpoint);
    if (*row.said == '\0') {
      EXPECT_OK(made);
    } else {
      EXPECT_FAILS(made, ErrorKind::config);
      EXPECT_NE(made.error().message.find(row.said), std::string::npos) << made.error().message;
    }
  }
}

} // namespace
} // namespace checkvalve
