#include "transforms/chain.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>

#include "core/path.h"
#include "transforms/registry.h"

namespace checkvalve {
namespace {

constexpr std::size_t max_side_bytes = 64 * 1024; // gathered of one side file before it makes a piece

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

// The number of a part, so that names sort in its order.
std::string part_text(std::uint64_t part) { return fmt::format("{:04}", part); }

std::string fill_name(const std::string& pattern, std::string_view name, std::uint64_t part) {
  const std::size_t dot = name.rfind('.');
  const std::size_t stem = dot == name.npos || dot == 0 ? name.size() : dot;
  // Placeholders that the name itself holds are not replaced again: {name} is last.
  std::string out = replaced(pattern, "{part}", part_text(part));
  out = replaced(std::move(out), "{ext}", name.substr(stem));
  out = replaced(std::move(out), "{stem}", name.substr(0, stem));
  return replaced(std::move(out), "{name}", name);
}

Failure unfit(const std::string& name, std::string why) {
  return Failure(make_error(ErrorKind::config, "use transform", name, std::move(why)));
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

    if (made.transform->splits()) {
      if (chain.splits()) return unfit(call.name, "a chain can hold only one split: remove the other");
      if (!name_pattern.empty() && name_pattern.find("{part}") == name_pattern.npos)
        return unfit(
            call.name,
            "rename must contain {part}, or all parts get the same name; for example rename='{stem}-{part}{ext}'");
      chain.split_at_ = chain.links_.size();
    }
    Link link{made.descriptor, made.transform, std::move(name_pattern), chain.side_suffixes_.size()};
    for (std::string& suffix : link.transform->side_suffixes()) {
      for (const std::string& other : chain.side_suffixes_)
        if (other.ends_with(suffix) || suffix.ends_with(other))
          return unfit(
              call.name,
              fmt::format("its side file '{}' and '{}' can get the same name: choose another suffix", suffix, other));
      chain.side_suffixes_.push_back(std::move(suffix));
    }
    chain.links_.push_back(std::move(link));
  }
  CV_CHECK(chain.find_checksum_list());
  if (!chain.links_.empty()) chain.digest_ = sha256_prefix(identity);
  return chain;
}

Result<void> Chain::find_checksum_list() {
  for (const Link& link : links_) {
    std::optional<ChecksumList> list = link.transform->checksum_list();
    if (!list) continue;
    const std::string name(link.descriptor->name);
    if (&link != &links_.back())
      return unfit(name,
                   "with list= it must be last in the chain, because its digests are those of the published bytes");
    if (splits()) return unfit(name, "list= cannot list the parts of split; without list= each part gets a side file");
    for (const std::string& suffix : side_suffixes_)
      if (list->name.ends_with(suffix))
        return unfit(name, fmt::format("a side file '{}' can get the name of the list '{}': choose another", suffix,
                                       list->name));
    checksum_list_ = std::move(list);
  }
  return {};
}

bool Chain::keeps_size() const {
  return std::ranges::all_of(links_, [](const Link& link) { return link.transform->keeps_size(); });
}

Result<std::string> Chain::renamed(std::string_view path, std::uint64_t part) const {
  std::string name(base_name(path));
  for (const Link& link : links_) {
    if (!link.name_pattern.empty())
      name = fill_name(link.name_pattern, name, part);
    else
      name = link.transform->splits() ? link.transform->part_name(name, part) : link.transform->rename(name);
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
  return bytes + side_suffixes_.size() * max_side_bytes;
}

Result<std::unique_ptr<ChainRun>> Chain::start(FileContext file, std::size_t chunk_bytes) const {
  std::unique_ptr<ChainRun> run(new ChainRun(*this, std::move(file), chunk_bytes));
  CV_CHECK(run->start_stages(0, run->file_));
  return run;
}

Result<void> ChainRun::start_stages(std::size_t first, FileContext file) {
  const std::vector<Link>& links = chain_.links_;
  for (std::size_t i = first; i < links.size(); ++i) {
    auto stage = links[i].transform->start(file);
    if (!stage) return failure(links[i].descriptor->name, std::move(stage.error()));
    const std::size_t chunk_bytes = i + 1 < links.size() ? Emit::default_chunk_bytes : chunk_bytes_;
    Running& running = stages_.emplace_back(links[i], std::move(*stage), chunk_bytes);
    running.target_path = file.target_path;
    for (std::string& suffix : links[i].transform->side_suffixes())
      running.sides.push_back({std::move(suffix), "", {}});
    if (!links[i].transform->keeps_size()) file.size_bytes.reset();
  }
  return {};
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
    if (part_done()) {
      CV_CHECK(next_part());
      moved = true;
    } else if (stages_.back().finished && !stages_.back().out.more_parts()) {
      collect(true);
      return State::done;
    } else {
      const std::size_t before = held_bytes_;
      collect(false);
      moved = moved || held_bytes_ != before;
    }
    if (held_bytes_ >= 2 * chunk_bytes_) return State::output_full;
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
    if (auto pushed = stage.stage->push(stage.in, stage.out); !pushed)
      return failure(stage.name, std::move(pushed.error()));
    const bool stuck = stage.in.size() == before && stage.out.emitted_bytes() == emitted && !stage.out.full();
    if (stuck)
      return failure(stage.name,
                     transform_failure("consumed no input although output space was free (this is a bug)").error());
  } else if (upstream_ended(at)) {
    auto finished = stage.stage->finish(stage.out);
    if (!finished) return failure(stage.name, std::move(finished.error()));
    stage.finished = *finished;
  } else {
    return false;
  }
  for (std::size_t side = 0; side < stage.sides.size(); ++side) stage.sides[side].text += stage.out.take_side(side);
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
  if (at == 0) return input_ended_ && input_.empty();
  const Running& before = stages_[at - 1];
  return before.out.part_ended() || (before.finished && before.out.empty());
}

// All of a part has come out at the end of the chain, and another part follows.
bool ChainRun::part_done() const {
  if (!chain_.splits() || !stages_[chain_.split_at_].out.part_ended()) return false;
  return chain_.split_at_ + 1 == stages_.size() || stages_.back().finished;
}

Result<void> ChainRun::next_part() {
  collect(true);
  while (stages_.size() > chain_.split_at_ + 1) stages_.pop_back();
  stages_.back().out.begin_part();
  ++part_;
  part_output_ = outputs_++;
  part_begun_ = false;
  FileContext file = file_;
  file.size_bytes.reset();
  CV_TRY(file.target_path, chain_.renamed(file_.path, part_));
  return start_stages(chain_.split_at_ + 1, std::move(file));
}

// Moves what has come out at the end of the chain, and of side files, to the pieces. `part_ends`: no more output
// follows from the part, nor of the side files of the stages that work on parts.
void ChainRun::collect(bool part_ends) {
  Emit& out = stages_.back().out;
  while (true) {
    ChainPiece piece{part_output_, out.take(part_ends), "", false};
    const bool ends = part_ends && (out.empty() || out.part_ended());
    if (piece.chunk.empty() && !ends) break;
    if (!std::exchange(part_begun_, true)) piece.path = chain_.renamed(file_.path, part_).value_or("");
    piece.last = ends;
    held_bytes_ += piece.chunk.size();
    pieces_.push_back(std::move(piece));
    if (ends) break;
  }
  for (std::size_t at = 0; at < stages_.size(); ++at) {
    const bool ends = part_ends && (stages_[at].finished || at > chain_.split_at_);
    for (Side& side : stages_[at].sides) collect_side(stages_[at], side, ends);
  }
}

void ChainRun::collect_side(Running& stage, Side& side, bool ends) {
  if (side.text.size() < max_side_bytes && !(ends && (side.output || !side.text.empty()))) return;
  std::string_view left = side.text;
  do {
    const std::string_view text = left.substr(0, chunk_bytes_);
    left.remove_prefix(text.size());
    ChainPiece piece{0, Chunk::copy_of(text), "", ends && left.empty()};
    if (!side.output) {
      side.output = outputs_++;
      piece.path = stage.target_path + side.suffix;
    }
    piece.output = *side.output;
    held_bytes_ += text.size();
    pieces_.push_back(std::move(piece));
  } while (!left.empty());
  side.text.clear();
}

Failure ChainRun::failure(std::string_view stage, Error error) const {
  error.operation = fmt::format("transform {}", stage);
  error.path = escape_bytes(file_.path);
  return Failure(std::move(error));
}

std::vector<ChainPiece> ChainRun::take_output() {
  held_bytes_ = 0;
  return std::exchange(pieces_, {});
}

} // namespace checkvalve
