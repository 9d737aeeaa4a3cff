// Job: everything that a sync is asked to do. Plain values; the command line and the config make one (cli/), the plan
// keeps one as JSON without secrets, so that `run` can do it from another process.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "backends/endpoint.h"
#include "core/result.h"
#include "sync/selection.h"
#include "transforms/transform.h"

namespace checkvalve {

// For a file that differs at the target. overwrite_non_atomic: also where the target has no atomic replace.
enum class OnConflict : std::uint8_t { overwrite, overwrite_non_atomic, skip, fail };
enum class VerifyMode : std::uint8_t { size, hash, readback }; // of each file, before its checkpoint
enum class LinkPolicy : std::uint8_t { skip, follow, copy };

struct Batching {
  std::uint64_t max_files = 5'000;           // a batch gets at most this many files
  std::uint64_t max_bytes = 4ULL << 30;      // and bytes, unless a single file is larger
  std::uint32_t max_batches = 1'000;         // wins over the other two: then batches grow
  std::uint64_t file_cost_bytes = 64 * 1024; // balancing counts a file as its bytes plus this
};

struct Job {
  std::string name; // of the config's job, or empty
  Endpoint source;
  Endpoint target;
  Selection selection;
  std::vector<TransformCall> transforms; // in the order in which a file goes through them
  Batching batching;
  OnConflict on_conflict = OnConflict::overwrite;
  VerifyMode verify = VerifyMode::size;
  LinkPolicy links = LinkPolicy::skip;
  bool empty_directories = false; // create directories that hold no selected file
  bool preserve_mtime = true;
  bool preserve_mode = false;
  bool checksum = false;                    // compare content instead of size and mtime
  bool durable = true;                      // fsync where the target can
  std::uint64_t memory_bytes = 64ULL << 20; // of buffers for file content
  std::uint64_t bytes_per_second = 0;       // 0: no limit
  std::uint32_t retries = 4;                // of a file and of a connection, after the first attempt
  std::chrono::milliseconds stall_timeout{60'000};
  std::chrono::milliseconds connect_timeout{20'000};
  std::chrono::milliseconds lease_ttl{60'000};
  std::chrono::milliseconds keep_plans = std::chrono::hours(90 * 24);
  std::chrono::milliseconds keep_history = std::chrono::hours(400 * 24); // records that no run asks for

  bool overwrites() const {
    return on_conflict == OnConflict::overwrite || on_conflict == OnConflict::overwrite_non_atomic;
  }
  bool overwrites_non_atomically() const { return on_conflict == OnConflict::overwrite_non_atomic; }
};

// Endpoints without secrets, and the options of sync/job_options.h. The list of files is not kept: the plan's files
// are its outcome. The reverse fails with kind config on JSON that is not a job's.
std::string job_to_json(const Job& job);
Result<Job> job_from_json(const std::string& json);
// Only the endpoints, of any version's JSON.
struct JobEndpoints {
  Endpoint source;
  Endpoint target;
};
Result<JobEndpoints> endpoints_from_json(const std::string& json);

} // namespace checkvalve
