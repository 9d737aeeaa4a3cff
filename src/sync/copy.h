// Copy strategies: the ways in which one attempt gets a file to the target. Each moves the content under a temporary
// name, and gives it its final name on request; publish.h decides when.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "backends/source.h"
#include "backends/target.h"
#include "core/cancellation.h"
#include "core/hash.h"
#include "sync/outputs.h"
#include "sync/pump.h"
#include "transforms/chain.h"

namespace checkvalve {

// What was moved.
struct Content {
  std::uint64_t read_bytes = 0; // of the source's file, counted from its beginning
  std::uint64_t bytes = 0;      // of the file at the target
  // Of the bytes that were read and of those that were written. Empty: they did not come through this process.
  std::string read_digest;
  std::string digest;
  std::string list_digest; // for Chain::checksum_list()
  std::uint64_t parts = 1; // files that a splitting chain has made of it
  // The source as it was once the last byte had been read. Nothing: what was moved is of one version in any case.
  std::optional<Result<Entry>> source_after;
};

// An upload, with what the target has acknowledged of it.
struct PartialUpload {
  std::unique_ptr<Upload> upload;
  Prefix prefix;
};

// Engine thread only. move(), then publish() or abort(), once each and in this order.
class Copy {
public:
  virtual ~Copy() = default;
  // After move() or publish() failed, instead of abort(): what another copy may resume. Nothing if there is none.
  virtual std::optional<PartialUpload> take_partial() { return std::nullopt; }
  virtual Task<Result<Content>> move() = 0;
  virtual Task<Result<Published>> publish(CommitOptions options) = 0;
  // Removes what is at the target under temporary names.
  virtual Task<Result<void>> abort() = 0;
};

using Progress = std::function<void(std::uint64_t done_bytes)>;
using PrefixSink = std::function<void(const Prefix&)>;

// A file of at most one chunk: read as one, given to the target as one.
std::unique_ptr<Copy> copy_whole(std::unique_ptr<Reader> reader, std::unique_ptr<Upload> upload,
                                 std::uint32_t size_bytes, HashAlgorithm hash);
// Many reads and writes at once. `begun`: with what is at the target already. `acknowledged` gets what another copy may
// continue if this one is killed.
std::unique_ptr<Copy> copy_pumped(std::unique_ptr<Reader> reader, PartialUpload begun, PumpLimits limits,
                                  Cancellation& cancellation, Progress progress, PrefixSink acknowledged);
// The target takes the bytes from the source without this process. The source is looked at again afterwards unless the
// entry's ETag names the version.
std::unique_ptr<Copy> copy_directly(Source& source, Entry entry, std::unique_ptr<DirectCopy> copy,
                                    Cancellation& cancellation, Progress progress);
// Through a chain, to the file and what the chain makes beside it.
struct TransformedCopyOptions {
  FileContext file;
  HashAlgorithm hash = HashAlgorithm::xxh128;
  std::size_t target_chunk_bytes = 0;
  PumpLimits limits;
};
std::unique_ptr<Copy> copy_transformed(const Chain& chain, std::unique_ptr<Reader> reader,
                                       std::unique_ptr<Outputs> outputs, ThreadPool& workers,
                                       TransformedCopyOptions options, Cancellation& cancellation, Progress progress);
std::unique_ptr<Copy> copy_link(Source& source, Target& target, std::string path, std::string target_path,
                                TemporaryName temporary);
std::unique_ptr<Copy> make_directory(Target& target, std::string target_path);

} // namespace checkvalve
