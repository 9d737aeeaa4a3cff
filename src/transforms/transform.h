// Transform: changes a file's bytes on their way from source to target. To add one: write its file, which exports a
// descriptor, name that here and in registry.cc, and add a line to tests/unit/transforms/suite_test.cc that runs the
// shared suite over it. docs/transforms.md shows a complete one.
//
// Three levels: a TransformDescriptor is the kind ("gzip"), a Transform is the kind with its options as a
// job gives them (immutable, shared by all files and threads), a Stage is one file's way through it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/chunk.h"
#include "core/option.h"
#include "core/result.h"
#include "transforms/emit.h"

namespace checkvalve {

enum class StageClass : std::uint8_t {
  stateless, // what comes out for a chunk depends on that chunk alone
  streaming, // keeps a bounded state
  spilling,  // keeps temporary data on disk, within a limit
};

// What a stage knows of its file.
struct FileContext {
  std::string path;                        // at the source, bytes
  std::string target_path;                 // under which the transformed file will be published
  std::optional<std::uint64_t> size_bytes; // of this stage's input, where it is known beforehand
};

// One instance a file. Its calls come one at a time, each maybe on another thread; none may wait for another file.
//
// Back-pressure: `out` has room for about 256 KiB. A stage stops taking input as soon as out.full(), and is called
// again with the rest once there is room. Between two looks at out.full() it emits no more than its Transform's
// memory_bytes() accounts for, however much its input would expand to.
class Stage {
public:
  virtual ~Stage() = default;
  // Takes bytes from the front of `in` (Chunk::narrow) and emits what they become. Returns with bytes left in `in` only
  // if out.full(). A refusal is an error of kind transform whose message names the line or the byte offset.
  virtual Result<void> push(Chunk& in, Emit& out) = 0;
  // The input has ended: emits what is left. False: `out` is full, call again.
  virtual Result<bool> finish(Emit& out) = 0;
};

// One list of checksums for all files of a target, in its root.
struct ChecksumList {
  std::string name;      // without '/'
  std::string algorithm; // "sha256": before the ':' of its digests
};

class Transform {
public:
  virtual ~Transform() = default;
  // The output has exactly as many bytes as the input.
  virtual bool keeps_size() const { return false; }
  // The base name under which a file of this base name is published.
  virtual std::string rename(std::string_view base_name) const { return std::string(base_name); }
  // Makes several files of one: its stage ends one after the other with Emit::end_part. What follows in the chain runs
  // once for each. rename() names the first part, part_name() each, from 1.
  virtual bool splits() const { return false; }
  virtual std::string part_name(std::string_view base_name, std::uint64_t) const { return rename(base_name); }
  // Files that are published beside the target's: what is added to its name, in the order of Emit::side's numbers.
  virtual std::vector<std::string> side_suffixes() const { return {}; }
  // The list in which each file gets a line, with the digest that its stage gives to Emit::checksum. Of published
  // bytes, so only for the last of a chain.
  virtual std::optional<ChecksumList> checksum_list() const { return std::nullopt; }
  // Memory of one stage at most, for an input of this size.
  virtual std::uint64_t memory_bytes(std::optional<std::uint64_t> size_bytes) const = 0;
  // What the output depends on besides the options: the content of a lookup file, a key. Part of the chain's digest.
  virtual std::string fingerprint() const { return ""; }
  virtual Result<std::unique_ptr<Stage>> start(const FileContext& file) const = 0;
};

struct TransformDescriptor {
  std::string_view name;
  std::string_view summary; // one line
  std::string_view renames; // what becomes of the name: "adds .gz"; empty: nothing
  StageClass stage_class = StageClass::streaming;
  std::uint32_t version =
      1; // incremented when the same options give different output; files are then transferred again
  std::span<const OptionSpec> options;
  // The values are checked against the descriptor. Error kind config.
  Result<std::shared_ptr<const Transform>> (*make)(const OptionValues& options);
};

// "stateless", "streaming", "spilling": the word for machines; and for people, what it says of a stage ("works …").
std::string_view word_for(StageClass stage_class);
std::string_view describe(StageClass stage_class);

// A transform as a job names it: plain values.
struct TransformCall {
  std::string name;
  std::map<std::string, std::string> options;
  bool operator==(const TransformCall&) const = default;
};

// Reads "NAME key=value key='quoted value'". Quotes are ' or "; inside of "…", and outside of quotes, '\' takes the
// next character as it is. Names and values are not checked. Error kind config.
Result<TransformCall> parse_transform_call(std::string_view text);
// The reverse.
std::string to_string(const TransformCall& call);

// A failure of a stage: kind transform, permanent. The chain adds the stage's name and the path.
Failure transform_failure(std::string message);
// A wrong option: kind config.
Failure option_failure(std::string message);

} // namespace checkvalve
