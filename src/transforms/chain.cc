#include "transforms/chain.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>

#include "core/path.h"
#include "transforms/registry.h"

namespace checkvalve {
namespace {

constexpr std::size_t most_side_bytes = 256 * 1024; // kept for one side file before it is taken

void append_counted(std::string& text, std::string_view part) { text += fmt::format("{}:{}", part.size(), part); }

std::string sha256_prefix(std::string_view text) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  EVP_Digest(text.data(), text.size(), digest, &size, EVP_sha256(), nullptr);
  std::string hex;
  for (unsigned i = 0; i < 16; ++i) hex += fmt::format("{:02x}", digest[i]);
  return hex;
}

std::string replaced(std::string text, std::string_view what, std::string_view by) {
  for (std::size_t at = 0; (at = text.find(what, at)) != text.npos; at += by.size()) text.replace(at, what.size(), by);
  return text;
}

std::string fill_name(const std::string& pattern, std::string_view name) {
  const std::size_t dot = name.rfind('.');
  const std::size_t stem = dot == name.npos || dot == 0 ? name.size() : dot;
  // Placeholders that the name itself holds are not replaced again: {name} is last.
  std::string out = replaced(pattern, "{ext}", name.substr(stem));
  out = replaced(std::move(out), "{stem}", name.substr(0, stem));
  return replaced(std::move(out), "{name}", name);
}

} // namespace

Result<Chain> Chain::make(std::span<const TransformCall> calls) {
  Chain chain;
  std::string identity;
  for (const TransformCall& call : calls) {
    CV_TRY(const MadeTransform made, make_transform(call));
    std::string name_pattern;
    if (const auto given = call.options.find(std::string(rename_option.name)); given != call.options.end())
      name_pattern = given->second;
    append_counted(identity, call.name);
    append_counted(identity, std::to_string(made.descriptor->version));
    append_counted(identity, name_pattern);
    const OptionValues values(made.descriptor->options, call.options);
    for (const OptionSpec& spec : made.descriptor->options) {
      append_counted(identity, spec.name);
      append_counted(identity, values.text(spec.name));
    }
    append_counted(identity, made.transform->fingerprint());

    Link link{made.descriptor, made.transform, std::move(name_pattern), chain.side_suffixes_.size()};
    for (std::string& suffix : link.transform->side_suffixes()) {
      for (const std::string& other : chain.side_suffixes_)
        if (other.ends_with(suffix) || suffix.ends_with(other))
          return Failure(make_error(
              ErrorKind::config, "use transform", call.name,
              fmt::format("its side file '{}' and '{}' could get one name: choose another suffix", suffix, other)));
      chain.side_suffixes_.push_back(std::move(suffix));
    }
    chain.links_.push_back(std::move(link));
  }
  if (!chain.links_.empty()) chain.digest_ = sha256_prefix(identity);
  return chain;
}

bool Chain::keeps_size() const {
  return std::ranges::all_of(links_, [](const Link& link) { return link.transform->keeps_size(); });
}

Result<std::string> Chain::renamed(std::string_view path) const {
  std::string name(base_name(path));
  for (const Link& link : links_) {
    name = link.name_pattern.empty() ? link.transform->rename(name) : fill_name(link.name_pattern, name);
    if (auto ok = check_name(name); !ok) {
      ok.error().message = fmt::format("{} would publish '{}' under the name '{}': {}", link.descriptor->name,
                                       escape_bytes(path), escape_bytes(name), ok.error().message);
      return Failure(ok.error());
    }
  }
  return join_path(parent_path(path), name);
}

std::uint64_t Chain::memory_bytes(std::uint64_t size_bytes) const {
  std::uint64_t bytes = 0;
  std::optional<std::uint64_t> size = size_bytes;
  for (const Link& link : links_) {
    bytes += link.transform->memory_bytes(size) + 3 * Emit::default_chunk_bytes;
    if (!link.transform->keeps_size()) size.reset();
  }
  return bytes + side_suffixes_.size() * most_side_bytes;
}

Result<std::unique_ptr<ChainRun>> Chain::start(FileContext file, std::size_t chunk_bytes) const {
  auto run = std::make_unique<ChainRun>();
  run->path_ = escape_bytes(file.path);
  run->sides_.resize(side_suffixes_.size());
  for (std::size_t i = 0; i < links_.size(); ++i) {
    const Link& link = links_[i];
    auto stage = link.transform->start(file);
    if (!stage) {
      stage.error().operation = fmt::format("transform {}", link.descriptor->name);
      stage.error().path = run->path_;
      return Failure(stage.error());
    }
    const std::size_t last_side = i + 1 < links_.size() ? links_[i + 1].first_side : side_suffixes_.size();
    run->stages_.emplace_back(link, std::move(*stage), i + 1 < links_.size() ? Emit::default_chunk_bytes : chunk_bytes,
                              last_side - link.first_side);
    if (!link.transform->keeps_size()) file.size_bytes.reset();
  }
  return run;
}

void ChainRun::feed(Chunk chunk) {
  if (!chunk.empty()) input_.push_back(std::move(chunk));
}

Result<ChainRun::State> ChainRun::work() {
  while (true) {
    bool moved = false;
    for (std::size_t at = stages_.size(); at-- > 0;) { // the last first: makes room for those before it
      CV_TRY(const bool did, advance(at));
      moved = moved || did;
    }
    const bool sides_full =
        std::ranges::any_of(sides_, [](const std::string& side) { return side.size() >= most_side_bytes; });
    if (stages_.back().finished) return State::done;
    if (stages_.back().out.full() || sides_full) return State::output_full;
    if (!moved) return State::wants_input;
  }
}

// One step of one stage; false if there was nothing it could do.
Result<bool> ChainRun::advance(std::size_t at) {
  Running& stage = stages_[at];
  if (stage.finished || stage.out.full()) return false;
  if (stage.in.empty()) stage.in = next_input(at);
  if (!stage.in.empty()) {
    const std::size_t before = stage.in.size();
    const std::uint64_t emitted = stage.out.emitted_bytes();
    if (auto pushed = stage.stage->push(stage.in, stage.out); !pushed) return failure(stage, std::move(pushed.error()));
    const bool stuck = stage.in.size() == before && stage.out.emitted_bytes() == emitted && !stage.out.full();
    if (stuck) return failure(stage, transform_failure("took no input although there was room: a bug").error());
  } else if (upstream_ended(at)) {
    auto finished = stage.stage->finish(stage.out);
    if (!finished) return failure(stage, std::move(finished.error()));
    stage.finished = *finished;
  } else {
    return false;
  }
  for (std::size_t side = 0; side < stage.side_count; ++side)
    sides_[stage.first_side + side] += stage.out.take_side(side);
  return true;
}

Chunk ChainRun::next_input(std::size_t at) {
  if (at != 0) return stages_[at - 1].out.take(stages_[at - 1].finished);
  if (input_.empty()) return {};
  Chunk chunk = std::move(input_.front());
  input_.pop_front();
  return chunk;
}

bool ChainRun::upstream_ended(std::size_t at) const {
  if (at != 0) return stages_[at - 1].finished && stages_[at - 1].out.empty();
  return input_ended_ && input_.empty();
}

Failure ChainRun::failure(const Running& at, Error error) const {
  error.operation = fmt::format("transform {}", at.name);
  error.path = path_;
  return Failure(std::move(error));
}

std::vector<Chunk> ChainRun::take_output() {
  std::vector<Chunk> chunks;
  Running& last = stages_.back();
  while (true) {
    Chunk chunk = last.out.take(last.finished);
    if (chunk.empty()) return chunks;
    chunks.push_back(std::move(chunk));
  }
}

std::string ChainRun::take_side(std::size_t number) { return std::exchange(sides_[number], {}); }

} // namespace checkvalve
