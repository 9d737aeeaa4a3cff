#include "sync/content.h"

#include <algorithm>
#include <deque>

#include "core/async.h"
#include "core/hash.h"

namespace checkvalve {

Task<Result<Hasher>> hash_content(Reader& reader, ContentRange range,
                                  const std::function<Result<void>(std::size_t)>& on_read) {
  Hasher hasher(range.algorithm);
  std::deque<JoinHandle<Result<Chunk>>> reads;
  std::uint64_t asked = 0;
  std::uint64_t got = 0;
  std::optional<Error> failed;
  while (got < range.bytes && !failed) {
    while (asked < range.bytes && reads.size() < range.reads_ahead) {
      const auto wanted = static_cast<std::uint32_t>(std::min<std::uint64_t>(range.chunk_bytes, range.bytes - asked));
      reads.push_back(spawn(reader.read(asked, wanted)));
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
    if (auto may_continue = on_read(chunk->size()); !may_continue) failed = may_continue.error();
    if (chunk->empty() || (reads.empty() && asked == range.bytes && got < range.bytes))
      failed = make_error(ErrorKind::changed, "read", "", "the file is shorter than when it was listed");
  }
  for (auto& read : reads) (void)co_await read.get(); // the reader must outlive them
  if (failed) co_return Failure(std::move(*failed));
  co_return hasher;
}

Task<Result<std::string>> content_digest(Source& source, Entry entry, std::uint64_t& read_bytes) {
  const ContentRange whole{entry.size_bytes, source.capabilities().chunk_bytes};
  CV_CO_TRY(const std::unique_ptr<Reader> reader, co_await source.open(std::move(entry)));
  CV_CO_TRY(const Hasher hasher, co_await hash_content(*reader, whole, [&](std::size_t bytes) {
              read_bytes += bytes;
              return Result<void>();
            }));
  co_return hasher.digest();
}

} // namespace checkvalve
