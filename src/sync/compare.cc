#include "sync/compare.h"

#include <algorithm>
#include <deque>

#include "core/hash.h"
#include "core/path.h"

namespace checkvalve {
namespace {

constexpr std::size_t comparisons_in_flight = 16; // of content
constexpr std::size_t reads_ahead = 8;            // chunks of one file, while its content is compared

std::int64_t floor_to(std::int64_t value, std::int64_t step) {
  std::int64_t rest = value % step;
  if (rest < 0) rest += step;
  return value - rest;
}

class Comparison {
public:
  Comparison(Engine& engine, const Job& job, const Chain& chain, Connections& connections, Walk& walk,
             CompareSink& sink)
      : engine_(engine), job_(job), connections_(connections), walk_(walk), sink_(sink),
        source_(engine, job, chain, walk), use_history_(needs_history(job, connections.target->capabilities())),
        precision_ns_(std::max(connections.source->capabilities().mtime_precision_ns,
                               connections.target->capabilities().mtime_precision_ns)) {}

  Task<Result<void>> run() {
    const Result<void> merged = co_await merge();
    co_await contents_.join();
    if (fatal_) co_return Failure(*fatal_);
    co_return merged;
  }

private:
  Task<Result<void>> merge() {
    CV_CO_CHECK(co_await source_.begin());
    CV_CO_CHECK(walk_.target.advance());
    while (const Candidate* wanted = source_.present()) {
      if (engine_.cancellation.requested()) co_return Failure(engine_.cancellation.reason());
      if (fatal_) break;
      const std::string& name = wanted->target_path;
      while (walk_.target.present() && walk_.target.present()->path < name) CV_CO_CHECK(walk_.target.advance());
      const Entry* there = walk_.target.present();
      if (there && there->path != name) there = nullptr;
      CV_CO_CHECK(co_await decide(*wanted, there));
      CV_CO_CHECK(co_await source_.advance());
    }
    co_return Result<void>();
  }

  Task<Result<void>> decide(const Candidate& wanted, const Entry* there) {
    const Entry& entry = wanted.entry;
    if (wanted.refused) {
      sink_.failure(*wanted.refused, entry.path);
      co_return Result<void>();
    }
    if (auto ok = connections_.target->accepts(wanted.target_path); !ok) {
      sink_.failure(ok.error(), entry.path);
      co_return Result<void>();
    }
    if (entry.type == EntryType::directory) {
      if (there && there->type == EntryType::directory) co_return Result<void>();
      if (there) co_return conflict_of_types(wanted, ErrorKind::exists, "the target has a file of this name");
      co_return sink_.move({entry, wanted.target_path, FileAction::directory, false});
    }
    const FileAction action = entry.type == EntryType::symlink ? FileAction::link : FileAction::copy;
    if (!there) co_return sink_.move({entry, wanted.target_path, action, false});
    if (there->type == EntryType::directory)
      co_return conflict_of_types(wanted, ErrorKind::is_a_directory, "the target has a directory of this name");
    if (there->type != entry.type) co_return changed(wanted, action);

    bool same = entry.size_bytes == there->size_bytes;
    // What may not be replaced is no conflict if it turns out to be what was wanted.
    const bool reads_doubt = wanted.in_doubt && job_.verify == VerifyMode::readback && !may_replace();
    if (action == FileAction::link || ((job_.checksum || reads_doubt) && same)) {
      contents_.spawn(compare_content(wanted, *there, action, co_await content_slots_.acquire()));
      co_return Result<void>();
    }
    if (use_history_)
      same = wanted.published_before && wanted.published_bytes == there->size_bytes;
    else if (wanted.published_differently)
      same = false;
    else if (entry.mtime_ns && there->mtime_ns)
      // A target that refused to set times is only known for it by the records that its runs have left.
      same = same && (same_mtime(*entry.mtime_ns, *there->mtime_ns, precision_ns_) ||
                      (wanted.published_before && wanted.published_bytes == there->size_bytes));
    if (!same) co_return changed(wanted, action);
    sink_.up_to_date(entry);
    co_return Result<void>();
  }

  bool may_replace() const {
    return job_.overwrites() &&
           (connections_.target->capabilities().atomic_replace || job_.overwrites_non_atomically());
  }

  Result<void> conflict_of_types(const Candidate& wanted, ErrorKind kind, std::string why) {
    sink_.failure(
        make_error(kind, "plan", escape_bytes(wanted.target_path), why + ": move it away, or exclude the source's"),
        wanted.entry.path);
    return {};
  }

  Result<void> changed(const Candidate& wanted, FileAction action) {
    const std::string& path = wanted.entry.path;
    if (job_.on_conflict == OnConflict::skip) {
      sink_.conflict_skipped(wanted.entry);
      return {};
    }
    if (job_.on_conflict == OnConflict::fail) {
      sink_.failure(make_error(ErrorKind::exists, "plan", escape_bytes(wanted.target_path),
                               "exists at the target with other content (--on-conflict fail)"),
                    path);
      return {};
    }
    if (!connections_.target->capabilities().atomic_replace && !job_.overwrites_non_atomically()) {
      sink_.failure(
          make_error(ErrorKind::unsupported, "plan", escape_bytes(wanted.target_path),
                     "the target can't replace a file in one step; --on-conflict overwrite-non-atomic allows a moment "
                     "in which the old file is gone and the new one not there yet"),
          path);
      return {};
    }
    return sink_.move({wanted.entry, wanted.target_path, action, true});
  }

  Task<void> compare_content(Candidate wanted, Entry there, FileAction action, Semaphore::Permit /*slot*/) {
    const Entry& entry = wanted.entry;
    Result<bool> same = false;
    if (action == FileAction::link)
      same = co_await same_link(entry.path);
    else
      same = co_await same_content(entry, there);
    if (!same && same.error().kind == ErrorKind::connection) {
      fatal_ = same.error();
    } else if (!same) {
      sink_.failure(same.error(), entry.path);
    } else if (*same) {
      sink_.up_to_date(entry);
    } else if (auto moved = changed(wanted, action); !moved) {
      fatal_ = moved.error();
    }
  }

  Task<Result<bool>> same_link(const std::string& path) {
    auto there = spawn(connections_.readback->read_link(path));
    auto here = co_await connections_.source->read_link(path);
    auto at_target = co_await there.get();
    if (!here) co_return Failure(here.error());
    if (!at_target) co_return Failure(at_target.error());
    co_return *here == *at_target;
  }

  Task<Result<bool>> same_content(const Entry& wanted, const Entry& there) {
    std::uint64_t read_bytes = 0;
    auto digest_there = spawn(content_digest(*connections_.readback, there, read_bytes));
    auto digest_here = co_await content_digest(*connections_.source, wanted, read_bytes);
    auto at_target = co_await digest_there.get();
    if (!digest_here) co_return Failure(digest_here.error());
    if (!at_target) co_return Failure(at_target.error());
    co_return *digest_here == *at_target;
  }

  Engine& engine_;
  const Job& job_;
  Connections& connections_;
  Walk& walk_;
  CompareSink& sink_;
  SourceCursor source_;
  const bool use_history_;
  const std::int64_t precision_ns_;
  Semaphore content_slots_{comparisons_in_flight};
  TaskGroup contents_;
  std::optional<Error> fatal_;
};

} // namespace

Result<void> check_comparable(const Job& job) {
  if (!job.checksum || job.transforms.empty()) return {};
  return Failure(
      make_error(ErrorKind::config, "compare", job.target.display(),
                 "--checksum can't compare content that transforms change: without it, what was published is "
                 "told by the source's size and mtime and by the transforms"));
}

bool same_mtime(std::int64_t a_ns, std::int64_t b_ns, std::int64_t precision_ns) {
  return floor_to(a_ns, precision_ns) == floor_to(b_ns, precision_ns);
}

Task<Result<void>> compare_sides(Engine& engine, const Job& job, const Chain& chain, Connections& connections,
                                 Walk& walk, CompareSink& sink) {
  Comparison comparison(engine, job, chain, connections, walk, sink);
  co_return co_await comparison.run();
}

Task<Result<std::string>> content_digest(Source& source, Entry entry, std::uint64_t& read_bytes) {
  const std::uint32_t chunk_bytes = source.capabilities().chunk_bytes;
  const std::uint64_t size = entry.size_bytes;
  CV_CO_TRY(const std::unique_ptr<Reader> reader, co_await source.open(std::move(entry)));
  Hasher hasher;
  std::deque<JoinHandle<Result<Chunk>>> reads;
  std::uint64_t asked = 0;
  std::uint64_t got = 0;
  std::optional<Error> failed;
  while (got < size && !failed) {
    while (asked < size && reads.size() < reads_ahead) {
      const auto wanted = static_cast<std::uint32_t>(std::min<std::uint64_t>(chunk_bytes, size - asked));
      reads.push_back(spawn(reader->read(asked, wanted)));
      asked += wanted;
    }
    auto chunk = co_await reads.front().get();
    reads.pop_front();
    if (!chunk) {
      failed = chunk.error();
      break;
    }
    hasher.update(chunk->bytes());
    got += chunk->size();
    read_bytes += chunk->size();
    if (chunk->empty() || (reads.empty() && asked == size && got < size))
      failed = make_error(ErrorKind::changed, "read", "", "the file is shorter than when it was listed");
  }
  for (auto& read : reads) (void)co_await read.get(); // the reader must outlive them
  if (failed) co_return Failure(std::move(*failed));
  co_return hasher.digest();
}

} // namespace checkvalve
