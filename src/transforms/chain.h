// Chain: the transforms of a job, in order; and one file's way through them.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
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
  // The path under which a file of this source path is published. Kind invalid_name for a name that is none.
  Result<std::string> renamed(std::string_view path) const;
  // What is added to the target's name for each side file.
  const std::vector<std::string>& side_suffixes() const { return side_suffixes_; }
  // Memory at most of one ChainRun, for a file of this size.
  std::uint64_t memory_bytes(std::uint64_t size_bytes) const;

  // `chunk_bytes`: the largest chunk of output. Error kind transform, or no_space.
  Result<std::unique_ptr<ChainRun>> start(FileContext file, std::size_t chunk_bytes) const;

private:
  struct Link {
    const TransformDescriptor* descriptor;
    std::shared_ptr<const Transform> transform;
    std::string name_pattern; // of the option `rename`; empty: the transform's own rule
    std::size_t first_side;   // of side_suffixes_
  };
  friend class ChainRun;
  std::vector<Link> links_;
  std::vector<std::string> side_suffixes_;
  std::string digest_;
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
  // The output so far, in order. Chunks are full-sized until the end.
  std::vector<Chunk> take_output();
  // The same for a side file, by its number in Chain::side_suffixes().
  std::string take_side(std::size_t number);

private:
  friend class Chain;
  using Link = Chain::Link;
  struct Running {
    std::string_view name;
    std::shared_ptr<const Transform> transform; // which the stage may refer to
    std::unique_ptr<Stage> stage;
    Emit out;
    std::size_t first_side;
    std::size_t side_count;
    Chunk in;              // being taken
    bool finished = false; // finish() has said so
    Running(const Link& link, std::unique_ptr<Stage> s, std::size_t chunk_bytes, std::size_t sides)
        : name(link.descriptor->name), transform(link.transform), stage(std::move(s)), out(chunk_bytes),
          first_side(link.first_side), side_count(sides) {}
  };
  Result<bool> advance(std::size_t at);
  Chunk next_input(std::size_t at);
  bool upstream_ended(std::size_t at) const;
  Failure failure(const Running& at, Error error) const;

  std::string path_;
  std::deque<Chunk> input_;
  bool input_ended_ = false;
  std::deque<Running> stages_;
  std::vector<std::string> sides_;
};

} // namespace checkvalve
