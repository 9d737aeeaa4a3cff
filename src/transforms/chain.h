// Chain: the transforms of a job, in order; and one file's way through them.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "transforms/transform.h"

namespace checkvalve {

class ChainRun;

// Immutable; safe to use from several threads. Copies share their transforms.
class Chain {
public:
  Chain() = default; // of no transforms
  // Looks the names up, checks the options and the fit of the whole. Error kind config.
  static Result<Chain> make(std::span<const TransformCall> calls);

  bool empty() const { return links_.empty(); }
  // Stable: the same names, options, versions and lookups give the same text on every machine. Empty for no transforms.
  const std::string& digest() const { return digest_; }
  bool keeps_size() const;
  // The path under which a file of this source path is published; if the chain splits, under which this part of it is,
  // from 1. Kind invalid_name for a name that is none.
  Result<std::string> renamed(std::string_view path, std::uint64_t part = 1) const;
  // One file may become several.
  bool splits() const { return split_at_ < links_.size(); }
  // What is added to the target's name for each side file.
  const std::vector<std::string>& side_suffixes() const { return side_suffixes_; }
  // The target's list of checksums; nothing if the chain keeps none.
  const std::optional<ChecksumList>& checksum_list() const { return checksum_list_; }
  // Memory at most of one ChainRun, for a file of this size.
  std::uint64_t memory_bytes(std::uint64_t size_bytes) const;

  // `chunk_bytes`: the largest chunk of output. Error kind transform.
  Result<std::unique_ptr<ChainRun>> start(FileContext file, std::size_t chunk_bytes) const;

private:
  struct Link {
    const TransformDescriptor* descriptor;
    std::shared_ptr<const Transform> transform;
    std::string name_pattern; // of the option `rename`; empty: the transform's own rule
    std::size_t first_side;   // of side_suffixes_
  };
  friend class ChainRun;
  Result<void> find_checksum_list();
  std::vector<Link> links_;
  std::size_t split_at_ = static_cast<std::size_t>(-1); // of links_: the one that splits
  std::vector<std::string> side_suffixes_;
  std::optional<ChecksumList> checksum_list_;
  std::string digest_;
};

// A piece of one of the files that a run makes. Output 0 is the file itself; parts and side files have further numbers,
// in the order in which they begin.
struct ChainPiece {
  std::size_t output = 0;
  Chunk chunk;       // may be empty
  std::string path;  // with the first piece of each output but 0: where it is published
  bool last = false; // nothing more comes of this output
};

// One file's way through a chain. One thread at a time. Feed, work and take until done; its memory stays within
// Chain::memory_bytes if no more than about two chunks are fed before each work().
class ChainRun {
public:
  enum class State : std::uint8_t { wants_input, output_full, done };

  void feed(Chunk chunk);
  void end_input() { input_ended_ = true; }
  // Moves bytes through the stages until there is no more input, or no more room for output.
  Result<State> work();
  // The output so far, in order. Chunks are full-sized until the end of a part.
  std::vector<ChainPiece> take_output();
  // How many parts have begun so far: 1 unless the chain splits.
  std::uint64_t parts() const { return part_; }
  // Once done: the file's digest for Chain::checksum_list(); empty without one.
  const std::string& checksum() const { return stages_.back().out.checksum(); }

private:
  friend class Chain;
  using Link = Chain::Link;
  struct Side {
    std::string suffix;
    std::string text;                  // not in pieces_ yet
    std::optional<std::size_t> output; // once it has begun
  };
  struct Running {
    std::string_view name;
    std::shared_ptr<const Transform> transform; // which the stage may refer to
    std::unique_ptr<Stage> stage;
    Emit out;
    std::vector<Side> sides;
    std::string target_path; // beside which the side files go
    Chunk in;                // being taken
    bool finished = false;   // finish() has said so
    Running(const Link& link, std::unique_ptr<Stage> s, std::size_t chunk_bytes)
        : name(link.descriptor->name), transform(link.transform), stage(std::move(s)), out(chunk_bytes) {}
  };
  ChainRun(const Chain& chain, FileContext file, std::size_t chunk_bytes)
      : chain_(chain), file_(std::move(file)), chunk_bytes_(chunk_bytes) {}
  Result<void> start_stages(std::size_t first, FileContext file);
  Result<bool> advance(std::size_t at);
  Chunk next_input(std::size_t at);
  bool upstream_ended(std::size_t at) const;
  bool part_done() const;
  Result<void> next_part();
  void collect(bool part_ends);
  void collect_side(Running& stage, Side& side, bool ends);
  Failure failure(std::string_view stage, Error error) const;

  const Chain chain_;
  const FileContext file_; // of the first part
  const std::size_t chunk_bytes_;
  std::deque<Chunk> input_;
  bool input_ended_ = false;
  std::deque<Running> stages_;
  std::vector<ChainPiece> pieces_;
  std::size_t held_bytes_ = 0; // of pieces_
  std::uint64_t part_ = 1;
  std::size_t part_output_ = 0;
  bool part_begun_ = true; // a piece with its path was made; the file itself needs none
  std::size_t outputs_ = 1;
};

} // namespace checkvalve
