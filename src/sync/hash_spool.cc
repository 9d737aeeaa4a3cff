#include "sync/hash_spool.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "sync/temporary_file.h"

namespace checkvalve {
namespace {

constexpr std::size_t min_loaded_pairs = 256; // of a run at once

// Calls pread or pwrite until all is done; false: see errno.
template <class Call, class Byte>
bool transfer_all(Call call, int file, Byte* bytes, std::size_t size, std::uint64_t offset) {
  for (std::size_t done = 0; done < size;) {
    const ssize_t moved = call(file, bytes + done, size - done, static_cast<off_t>(offset + done));
    if (moved < 0 && errno == EINTR) continue;
    if (moved <= 0) return false;
    done += static_cast<std::size_t>(moved);
  }
  return true;
}

} // namespace

void HashSpool::sort() {
  std::ranges::sort(pairs_);
  const auto rest = std::ranges::unique(pairs_);
  pairs_.erase(rest.begin(), rest.end());
}

Result<void> HashSpool::spill() {
  if (!file_) file_ = UniqueFd(make_temporary_file());
  if (!file_) return temporary_file_failure("create");
  sort();
  const std::uint64_t begin = runs_.empty() ? 0 : runs_.back().end;
  if (!transfer_all(::pwrite, file_.get(), reinterpret_cast<const char*>(pairs_.data()),
                    pairs_.size() * sizeof(HashPair), begin * sizeof(HashPair)))
    return temporary_file_failure("write");
  runs_.push_back({.position = begin, .end = begin + pairs_.size()});
  pairs_.clear();
  return {};
}

Result<void> HashSpool::load(Run& run) {
  const std::uint64_t count = std::min<std::uint64_t>(pairs_.size() / runs_.size(), run.end - run.position);
  if (!transfer_all(::pread, file_.get(), reinterpret_cast<char*>(pairs_.data() + run.begin), count * sizeof(HashPair),
                    run.position * sizeof(HashPair)))
    return temporary_file_failure("read");
  run.position += count;
  run.at = run.begin;
  run.loaded = run.begin + count;
  return {};
}

Result<void> HashSpool::finish() {
  if (runs_.empty()) {
    sort();
    return {};
  }
  if (!pairs_.empty()) CV_CHECK(spill());
  pairs_.resize(std::max(memory_pairs_, runs_.size() * min_loaded_pairs));
  for (std::size_t i = 0; i < runs_.size(); ++i) {
    runs_[i].begin = i * (pairs_.size() / runs_.size());
    CV_CHECK(load(runs_[i]));
    heap_.push_back(i);
  }
  std::ranges::make_heap(heap_, std::greater(), [this](std::size_t i) { return pairs_[runs_[i].at]; });
  return {};
}

Result<bool> HashSpool::next(HashPair& pair) {
  if (runs_.empty()) {
    if (position_ == pairs_.size()) return false;
    pair = pairs_[position_++];
    return true;
  }
  if (heap_.empty()) return false;
  const auto smallest = [this](std::size_t i) { return pairs_[runs_[i].at]; };
  std::ranges::pop_heap(heap_, std::greater(), smallest);
  Run& run = runs_[heap_.back()];
  pair = pairs_[run.at++];
  if (run.at == run.loaded && run.position != run.end) CV_CHECK(load(run));
  if (run.at == run.loaded)
    heap_.pop_back();
  else
    std::ranges::push_heap(heap_, std::greater(), smallest);
  return true;
}

} // namespace checkvalve
