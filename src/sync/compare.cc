#include "sync/compare.h"

#include <algorithm>
#include <deque>

#include "core/hash.h"
#include "core/path.h"

namespace checkvalve {
namespace {

constexpr std::size_t comparisons_in_flight = 16; // of content
constexpr std::size_t reads_ahead = 8;            // chunks of one file, while its content is compared
constexpr std::size_t memory_page = 2'000;        // published records fetched at once

std::int64_t floor_to(std::int64_t value, std::int64_t step) {
  std::int64_t rest = value % step;
  if (rest < 0) rest += step;
  return value - rest;
}

// The published records of a pair, in the order of their paths, a page at a time.
class Memory {
public:
  Memory(Engine& engine, std::string pair) : engine_(engine), pair_(std::move(pair)) {}

  // The record of exactly this path, or null. Paths must be asked for in ascending order.
  Task<Result<const PublishedRecord*>> find(const std::string& path) {
    while (true) {
      while (position_ < page_.size() && page_[position_].path < path) ++position_;
      if (position_ < page_.size()) co_return page_[position_].path == path ? &page_[position_] : nullptr;
      if (at_end_) co_return nullptr;
      CV_CO_CHECK(co_await fetch());
    }
  }

private:
  Task<Result<void>> fetch() {
    const std::string after = page_.empty() ? "" : page_.back().path;
    StateStore& store = engine_.store;
    auto page = co_await engine_.state_thread.run(
        [&store, pair = pair_, after] { return store.published(pair, after, memory_page); });
    if (!page) co_return Failure(page.error());
    page_ = std::move(*page);
    position_ = 0;
    at_end_ = page_.size() < memory_page;
    co_return Result<void>();
  }

  Engine& engine_;
  std::string pair_;
  std::vector<PublishedRecord> page_;
  std::size_t position_ = 0;
  bool at_end_ = false;
};

class Comparison {
public:
  Comparison(Engine& engine, const Job& job, Ends& ends, Walk& walk, CompareSink& sink)
      : engine_(engine), job_(job), ends_(ends), walk_(walk), sink_(sink), memory_(engine, pair_of(job)),
        use_memory_(needs_memory(job, ends.target->capabilities())),
        precision_ns_(std::max(ends.source->capabilities().mtime_precision_ns,
                               ends.target->capabilities().mtime_precision_ns)) {}

  Task<Result<void>> run() {
    CV_CO_CHECK(walk_.source.advance());
    CV_CO_CHECK(walk_.target.advance());
    while (const Entry* wanted = walk_.source.present()) {
      if (engine_.stop.requested()) fatal_ = engine_.stop.reason();
      if (fatal_) break;
      while (walk_.target.present() && walk_.target.present()->path < wanted->path) CV_CO_CHECK(walk_.target.advance());
      const Entry* there = walk_.target.present();
      if (there && there->path != wanted->path) there = nullptr;
      if (auto decided = co_await decide(*wanted, there); !decided) fatal_ = decided.error();
      CV_CO_CHECK(walk_.source.advance());
    }
    co_await contents_.join();
    if (fatal_) co_return Failure(*fatal_);
    co_return Result<void>();
  }

private:
  Task<Result<void>> decide(const Entry& wanted, const Entry* there) {
    if (auto ok = ends_.target->accepts(wanted.path); !ok) {
      sink_.failure(ok.error(), wanted.path);
      co_return Result<void>();
    }
    if (wanted.type == EntryType::directory) {
      if (there && there->type == EntryType::directory) co_return Result<void>();
      if (there) co_return conflict_of_types(wanted, ErrorKind::exists, "the target has a file of this name");
      co_return sink_.move({wanted, FileAction::directory, false});
    }
    const FileAction action = wanted.type == EntryType::symlink ? FileAction::link : FileAction::copy;
    if (!there) co_return sink_.move({wanted, action, false});
    if (there->type == EntryType::directory)
      co_return conflict_of_types(wanted, ErrorKind::is_a_directory, "the target has a directory of this name");
    if (there->type != wanted.type) co_return changed(wanted, action);

    bool same = wanted.size_bytes == there->size_bytes;
    if (action == FileAction::link || (job_.checksum && same)) {
      co_await content_slots_.acquire();
      contents_.start(compare_content(wanted, *there, action));
      co_return Result<void>();
    }
    if (use_memory_) {
      CV_CO_TRY(const PublishedRecord* record, co_await memory_.find(wanted.path));
      same = record && record->size_bytes == wanted.size_bytes && record->mtime_ns == wanted.mtime_ns &&
             record->etag == wanted.etag && record->target_bytes == there->size_bytes;
    } else if (wanted.mtime_ns && there->mtime_ns) {
      same = same && same_mtime(*wanted.mtime_ns, *there->mtime_ns, precision_ns_);
    }
    if (!same) co_return changed(wanted, action);
    sink_.up_to_date(wanted);
    co_return Result<void>();
  }

  Result<void> conflict_of_types(const Entry& wanted, ErrorKind kind, std::string why) {
    sink_.failure(make_error(kind, "plan", escape_bytes(wanted.path), why + ": move it away, or exclude the source's"),
                  wanted.path);
    return {};
  }

  Result<void> changed(const Entry& wanted, FileAction action) {
    if (job_.on_conflict == OnConflict::skip) {
      sink_.conflict_skipped(wanted);
      return {};
    }
    if (job_.on_conflict == OnConflict::fail) {
      sink_.failure(make_error(ErrorKind::exists, "plan", escape_bytes(wanted.path),
                               "exists at the target with other content (--on-conflict fail)"),
                    wanted.path);
      return {};
    }
    if (!ends_.target->capabilities().atomic_replace && !job_.overwrite_non_atomic) {
      sink_.failure(make_error(ErrorKind::unsupported, "plan", escape_bytes(wanted.path),
                               "the target can't replace a file in one step; --overwrite non-atomic allows a moment "
                               "in which the old file is gone and the new one not there yet"),
                    wanted.path);
      return {};
    }
    return sink_.move({wanted, action, true});
  }

  Task<void> compare_content(Entry wanted, Entry there, FileAction action) {
    Result<bool> same = false;
    if (action == FileAction::link)
      same = co_await same_link(wanted.path);
    else
      same = co_await same_content(wanted, there);
    if (!same && same.error().kind == ErrorKind::connection) {
      fatal_ = same.error();
    } else if (!same) {
      sink_.failure(same.error(), wanted.path);
    } else if (*same) {
      sink_.up_to_date(wanted);
    } else if (auto moved = changed(wanted, action); !moved) {
      fatal_ = moved.error();
    }
    content_slots_.release();
  }

  Task<Result<bool>> same_link(const std::string& path) {
    auto there = start(ends_.readback->read_link(path));
    auto here = co_await ends_.source->read_link(path);
    auto at_target = co_await there.get();
    if (!here) co_return Failure(here.error());
    if (!at_target) co_return Failure(at_target.error());
    co_return *here == *at_target;
  }

  Task<Result<bool>> same_content(const Entry& wanted, const Entry& there) {
    std::uint64_t read_bytes = 0;
    auto digest_there = start(content_digest(*ends_.readback, there, read_bytes));
    auto digest_here = co_await content_digest(*ends_.source, wanted, read_bytes);
    auto at_target = co_await digest_there.get();
    if (!digest_here) co_return Failure(digest_here.error());
    if (!at_target) co_return Failure(at_target.error());
    co_return *digest_here == *at_target;
  }

  Engine& engine_;
  const Job& job_;
  Ends& ends_;
  Walk& walk_;
  CompareSink& sink_;
  Memory memory_;
  const bool use_memory_;
  const std::int64_t precision_ns_;
  Semaphore content_slots_{comparisons_in_flight};
  TaskGroup contents_;
  std::optional<Error> fatal_;
};

} // namespace

std::string pair_of(const Job& job) { return job.source.display() + "\n" + job.target.display(); }

bool needs_memory(const Job& job, const Capabilities& target) { return !job.preserve_mtime || !target.keeps_mtime; }

bool same_mtime(std::int64_t a_ns, std::int64_t b_ns, std::int64_t precision_ns) {
  return floor_to(a_ns, precision_ns) == floor_to(b_ns, precision_ns);
}

Task<Result<void>> compare_sides(Engine& engine, const Job& job, Ends& ends, Walk& walk, CompareSink& sink) {
  Comparison comparison(engine, job, ends, walk, sink);
  co_return co_await comparison.run();
}

Task<Result<std::string>> content_digest(Source& source, Entry entry, std::uint64_t& read_bytes) {
  const std::uint32_t chunk_bytes = source.capabilities().chunk_bytes;
  const std::uint64_t size = entry.size_bytes;
  CV_CO_TRY(const std::unique_ptr<Reader> reader, co_await source.open(std::move(entry)));
  Hasher hasher;
  std::deque<Started<Result<Chunk>>> reads;
  std::uint64_t asked = 0;
  std::uint64_t got = 0;
  std::optional<Error> failed;
  while (got < size && !failed) {
    while (asked < size && reads.size() < reads_ahead) {
      const auto wanted = static_cast<std::uint32_t>(std::min<std::uint64_t>(chunk_bytes, size - asked));
      reads.push_back(start(reader->read(asked, wanted)));
      asked += wanted;
    }
    auto chunk = co_await reads.front().get();
    reads.pop_front();
    if (!chunk) {
      failed = chunk.error();
    } else if (chunk->empty()) {
      failed = make_error(ErrorKind::changed, "read", "", "the file is shorter than when it was listed");
    } else {
      hasher.update(chunk->bytes());
      got += chunk->size();
      read_bytes += chunk->size();
    }
  }
  for (auto& read : reads) (void)co_await read.get(); // the reader must outlive them
  if (failed) co_return Failure(std::move(*failed));
  co_return hasher.digest();
}

} // namespace checkvalve
