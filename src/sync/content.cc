#include "sync/content.h"

#include <algorithm>
#include <deque>

#include "core/async.h"
#include "core/hash.h"

namespace checkvalve {
namespace {

constexpr std::size_t reads_ahead = 8; // chunks

} // namespace

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
