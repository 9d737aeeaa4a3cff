#include "backends/sftp/sftp_source.h"

#include <cstring>

#include "backends/sftp/file_streams.h"
#include "core/async.h"
#include "core/path.h"

namespace checkvalve {
namespace {

class SftpReader : public BasicReader {
public:
  SftpReader(std::shared_ptr<ConnectionPool> pool, std::unique_ptr<FileStreams> streams, Entry entry, std::string path)
      : pool_(std::move(pool)), streams_(std::move(streams)), entry_(std::move(entry)), path_(std::move(path)) {}

  Task<Result<Chunk>> read(std::uint64_t offset, std::uint32_t size) override {
    auto room = co_await streams_->room(size);
    auto stream = streams_->pick();
    auto chunk = co_await read_on(stream, offset, size);
    if (!chunk && stream != streams_->first()) {
      streams_->drop(stream);
      chunk = co_await read_on(streams_->first(), offset, size);
    }
    room.release();
    if (!chunk) co_return Failure(std::move(chunk.error()));
    co_return chunk;
  }

  Task<Result<Entry>> stat() override {
    CV_CO_TRY(auto session, co_await pool_->get());
    auto attributes = co_await session->stat(path_);
    if (!attributes) co_return Failure(std::move(attributes.error()));
    co_return seen(*attributes);
  }

  // READ and STAT leave together where the server takes them in order.
  Task<Result<Whole>> read_whole(std::uint32_t size) override {
    auto stream = streams_->first();
    auto session = stream->session;
    if (size == 0 || !session->keeps_order()) co_return co_await BasicReader::read_whole(size);
    auto reading = spawn(session->read(stream->handle, 0, size));
    auto looking = spawn(session->stat(path_));
    auto content = co_await reading.get();
    if (content && !content->empty() && content->size() < size) {
      content = co_await read_rest(stream, 0, size, std::move(*content));
      looking = spawn(session->stat(path_));
    }
    auto attributes = co_await looking.get();
    if (!content) co_return Failure(std::move(content.error()));
    if (!attributes) co_return Whole{std::move(*content), Failure(std::move(attributes.error()))};
    co_return Whole{std::move(*content), seen(*attributes)};
  }

private:
  // What has been read is a file, also where the server shows no types.
  Entry seen(const FileAttributes& attributes) const {
    return entry_from(attributes, type_of(attributes).value_or(EntryType::file), entry_.path);
  }

  // A server may answer with less than was asked for (section 6.4 of the draft): asks for the rest, until the end.
  Task<Result<Chunk>> read_on(std::shared_ptr<FileStream> stream, std::uint64_t offset, std::uint32_t size) {
    ++stream->under_way;
    auto chunk = co_await stream->session->read(stream->handle, offset, size);
    if (chunk && !chunk->empty() && chunk->size() < size && offset + chunk->size() < entry_.size_bytes)
      chunk = co_await read_rest(stream, offset, size, std::move(*chunk));
    --stream->under_way;
    co_return chunk;
  }

  Task<Result<Chunk>> read_rest(std::shared_ptr<FileStream> stream, std::uint64_t offset, std::uint32_t size,
                                Chunk first) {
    Chunk whole = Chunk::allocate(size);
    std::memcpy(whole.data(), first.data(), first.size());
    std::size_t have = first.size();
    while (have < size) {
      auto more =
          co_await stream->session->read(stream->handle, offset + have, static_cast<std::uint32_t>(size - have));
      if (!more) co_return Failure(std::move(more.error()));
      if (more->empty()) break;
      std::memcpy(whole.data() + have, more->data(), more->size());
      have += more->size();
    }
    whole.narrow(0, have);
    co_return whole;
  }

  std::shared_ptr<ConnectionPool> pool_;
  std::unique_ptr<FileStreams> streams_;
  Entry entry_;
  std::string path_; // the server's
};

} // namespace

Task<Result<void>> SftpSource::connect() {
  CV_CO_CHECK(co_await side_.connect(/*is_target=*/false));
  CV_CO_TRY(auto session, co_await side_.session());
  capabilities_ = side_.capabilities(*session, session->limits().read_bytes);
  co_return Result<void>();
}

Task<Result<std::unique_ptr<Listing>>> SftpSource::list(std::string directory, bool recursive) {
  if (recursive) co_return Failure(make_error(ErrorKind::unsupported, "SFTP lists one directory at a time"));
  co_return co_await side_.list(std::move(directory));
}

Task<Result<std::unique_ptr<Reader>>> SftpSource::open(Entry entry) {
  CV_CO_CHECK(check_tree_path(entry.path));
  // OpenSSH opens directories for reading and fails the first READ.
  if (entry.type == EntryType::directory) co_return Failure(make_error(ErrorKind::is_a_directory, "is a directory"));
  CV_CO_TRY(auto session, co_await side_.session());
  std::string path = side_.absolute(entry.path);
  auto streams = co_await FileStreams::open(side_.pool(),
                                            {.path = path, .flags = open_flag::read, .size_bytes = entry.size_bytes});
  if (!streams) co_return Failure(std::move(streams.error()));
  co_return std::make_unique<SftpReader>(side_.pool(), std::move(*streams), std::move(entry), std::move(path));
}

} // namespace checkvalve
