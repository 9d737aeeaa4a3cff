#include "backends/sftp/sftp_upload.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <limits>
#include <vector>

#include "backends/basic.h"
#include "backends/sftp/partial_file.h"
#include "backends/sftp/sftp_publish.h"
#include "backends/silent_work.h"
#include "core/path.h"

namespace checkvalve {
namespace {

// Keeps the stream's session and permit until the handle is closed. What `handle` was taken from no longer closes it.
Task<Result<void>> close_on(std::shared_ptr<FileStream> stream, std::string handle, std::chrono::seconds work) {
  auto closed = co_await stream->session->close_handle(std::move(handle), work);
  stream->permit.release();
  co_return closed;
}

// Version 3 has whole seconds since 1970, unsigned (section 5).
std::uint32_t seconds_of(std::int64_t time_ns) {
  constexpr std::int64_t ns_per_s = 1'000'000'000;
  const std::int64_t seconds = time_ns / ns_per_s - (time_ns % ns_per_s < 0 ? 1 : 0);
  return static_cast<std::uint32_t>(std::clamp<std::int64_t>(seconds, 0, std::numeric_limits<std::uint32_t>::max()));
}

class SftpUpload : public BasicUpload {
public:
  SftpUpload(BackendContext& context, std::shared_ptr<ConnectionPool> pool, std::shared_ptr<SftpTarget::Shared> shared,
             std::unique_ptr<FileStreams> streams, std::string temporary, std::string path, std::uint64_t size_bytes,
             std::uint64_t resumed_bytes)
      : context_(context), pool_(std::move(pool)), shared_(std::move(shared)), streams_(std::move(streams)),
        names_({std::move(temporary)}), path_(std::move(path)), size_bytes_(size_bytes), resumed_bytes_(resumed_bytes) {
  }

  Task<Result<void>> write(std::uint64_t offset, Chunk chunk) override;
  Task<Result<Published>> commit(CommitOptions options) override;
  Task<Result<Published>> write_and_commit(Chunk content, CommitOptions options) override;
  std::uint64_t resumed_bytes() const override { return resumed_bytes_; }
  Task<Result<void>> reopen(std::uint64_t acknowledged_bytes, TemporaryName temporary) override;
  Task<Result<void>> abort() override;

private:
  Task<Result<void>> write_part(std::uint64_t offset, Chunk part);
  Task<Result<void>> write_parts(std::uint64_t offset, Chunk chunk, std::size_t part_bytes);
  Task<void> writes_done();
  Task<Result<Published>> finish_and_publish(std::optional<JoinHandle<Result<void>>> writing, CommitOptions options);
  Task<Result<void>> finish_content(CommitOptions options);
  Task<Result<void>> check_digest_of_server(std::shared_ptr<SftpSession> session, CommitOptions options);
  FileAttributes attributes_to_set(const CommitOptions& options) const;
  Task<void> set_by_name(std::shared_ptr<SftpSession> session, FileAttributes attributes);
  void cannot_set(const FileAttributes& attributes, const Error& error);
  Result<void> check_what_is_there(const Result<FileAttributes>& found, const CommitOptions& options);
  void without_writes_anywhere(Error& error);
  bool in_place() const { return temporary() == path_; }
  const std::string& temporary() const { return names_.back(); }
  Task<Error> explain(Error error);

  BackendContext& context_;
  std::shared_ptr<ConnectionPool> pool_;
  std::shared_ptr<SftpTarget::Shared> shared_;
  std::unique_ptr<FileStreams> streams_; // null once the content is finished
  // Under the last of them the file is written, with inplace its final name; after a rename whose answer was lost it
  // may have one of the others.
  std::vector<std::string> names_;
  std::string path_;
  const std::uint64_t size_bytes_; // 0: not known
  std::uint64_t resumed_bytes_;
  std::string set_aside_;     // where the old file may be, after a connection that was lost while it published
  std::uint32_t writing_ = 0; // calls of write() under way
  std::shared_ptr<OneShotEvent> idle_;
};

Task<Result<void>> SftpUpload::write(std::uint64_t offset, Chunk chunk) {
  ++writing_;
  const std::size_t limit = streams_->first()->session->limits().write_bytes;
  Result<void> written;
  if (chunk.size() <= limit)
    written = co_await write_part(offset, std::move(chunk));
  else
    written = co_await write_parts(offset, std::move(chunk), limit);
  if (!written) {
    written = Failure(co_await explain(std::move(written.error())));
    without_writes_anywhere(written.error());
  }
  if (--writing_ == 0 && idle_) idle_->set();
  co_return written;
}

Task<Result<void>> SftpUpload::write_part(std::uint64_t offset, Chunk part) {
  const std::size_t size = part.size();
  auto room = co_await streams_->room(size);
  auto stream = streams_->pick();
  ++stream->under_way;
  auto written = co_await stream->session->write(stream->handle, offset, std::move(part));
  --stream->under_way;
  room.release();
  co_return written;
}

Task<Result<void>> SftpUpload::write_parts(std::uint64_t offset, Chunk chunk, std::size_t part_bytes) {
  std::vector<JoinHandle<Result<void>>> parts;
  for (std::size_t done = 0; done < chunk.size(); done += part_bytes) {
    const auto part = chunk.bytes().subspan(done, std::min(part_bytes, chunk.size() - done));
    parts.push_back(spawn(write_part(offset + done, Chunk::copy_of(part))));
  }
  Result<void> all;
  for (auto& part : parts)
    if (auto written = co_await part.get(); !written && all) all = std::move(written);
  co_return all;
}

Task<void> SftpUpload::writes_done() {
  while (writing_ != 0) {
    if (!idle_ || idle_->is_set()) idle_ = std::make_shared<OneShotEvent>();
    auto idle = idle_;
    co_await *idle;
  }
}

Task<Error> SftpUpload::explain(Error error) {
  if (error.kind != ErrorKind::io) co_return error;
  auto session = co_await pool_->get();
  if (!session) co_return error;
  co_return co_await (*session)->diagnose(std::move(error), std::string(parent_path(path_)));
}

// A server may take each handle for an upload of its own, or only bytes in ascending order. The file begins again with
// one stream, and so do all others.
void SftpUpload::without_writes_anywhere(Error& error) {
  if (!streams_ || !streams_->several() || error.kind == ErrorKind::no_space || error.transient()) return;
  shared_->writes_anywhere = shared_->capabilities.resumes_temporaries = false;
  error.status = ErrorStatus::transient;
  error.message += " (several connections wrote the file; the next attempt uses one)";
}

FileAttributes SftpUpload::attributes_to_set(const CommitOptions& options) const {
  FileAttributes attributes;
  if (options.mtime_ns && shared_->capabilities.keeps_mtime) attributes.mtime_s = seconds_of(*options.mtime_ns);
  if (options.mode && shared_->capabilities.keeps_mode) attributes.permissions = *options.mode & 07777;
  return attributes;
}

void SftpUpload::cannot_set(const FileAttributes& attributes, const Error& error) {
  auto& capabilities = shared_->capabilities;
  const bool news =
      (attributes.mtime_s && capabilities.keeps_mtime) || (attributes.permissions && capabilities.keeps_mode);
  if (attributes.mtime_s) capabilities.keeps_mtime = false;
  if (attributes.permissions) capabilities.keeps_mode = false;
  if (news)
    context_.events.emit(
        WarningEvent{fmt::format("{} does not let us set {} of files ({}): they keep what the server gives them",
                                 pool_->settings().display, attributes.mtime_s ? "times" : "modes", error.message)});
}

// After a refused FSETSTAT, perhaps for one of the attributes, perhaps as such: one after the other, by the file's
// name.
Task<void> SftpUpload::set_by_name(std::shared_ptr<SftpSession> session, FileAttributes attributes) {
  FileAttributes times;
  FileAttributes modes;
  times.mtime_s = attributes.mtime_s;
  modes.permissions = attributes.permissions;
  for (const FileAttributes& one : {times, modes}) {
    if (!one.mtime_s && !one.permissions) continue;
    if (auto set = co_await session->setstat(temporary(), one); !set && session->alive()) cannot_set(one, set.error());
  }
}

bool shows(const Result<FileAttributes>& found, std::uint64_t size_bytes, const FileAttributes& attributes) {
  return found && found->size_bytes == size_bytes && (!attributes.mtime_s || found->mtime_s == attributes.mtime_s);
}

// Metadata is set, data made durable, the handle closed, and then the size and the mtime looked at, after the server
// has flushed: all asked for at once, all checked. What was written before on the same handle comes first: a server
// takes requests for one file in order (section 6.1 of the draft). One that does not is asked again.
Task<Result<void>> SftpUpload::finish_content(CommitOptions options) {
  auto first = streams_->first();
  auto session = first->session;
  const auto work = silent_work_limit(options.size_bytes);
  std::vector<JoinHandle<Result<void>>> closes;
  for (auto& stream : streams_->take_extra())
    if (!stream->handle.empty()) closes.push_back(spawn(close_on(stream, std::exchange(stream->handle, {}), work)));
  const std::string handle = std::exchange(first->handle, {}); // from here on it is closed here
  const FileAttributes attributes = attributes_to_set(options);
  std::optional<JoinHandle<Result<void>>> set;
  std::optional<JoinHandle<Result<void>>> synced;
  if (attributes.mtime_s || attributes.permissions) set = spawn(session->fsetstat(handle, attributes));
  if (options.durable && session->has("fsync@openssh.com")) synced = spawn(session->fsync(handle, work));
  closes.push_back(spawn(close_on(first, handle, work)));
  auto looked = spawn(session->stat(temporary()));

  Result<void> setting;
  Result<void> syncing;
  Result<void> closing;
  if (set) setting = co_await set->get();
  if (synced) syncing = co_await synced->get();
  for (auto& close : closes)
    if (auto closed = co_await close.get(); !closed && closing) closing = std::move(closed);
  auto found = co_await looked.get();

  if (!closing) co_return closing;
  if (!syncing && syncing.error().kind != ErrorKind::unsupported) co_return syncing;
  if (!syncing) {
    session->disable("fsync@openssh.com");
    shared_->capabilities.durable = false;
  }
  if (!setting && session->alive()) co_await set_by_name(session, attributes);
  if (session->alive() && !shows(found, options.size_bytes, attributes)) found = co_await session->stat(temporary());
  if (!session->alive()) co_return Failure(session->end_error());
  co_return check_what_is_there(found, options);
}

Result<void> SftpUpload::check_what_is_there(const Result<FileAttributes>& found, const CommitOptions& options) {
  const std::string& server = pool_->settings().display;
  if (!found && found.error().kind == ErrorKind::not_found)
    return {}; // a rename will fail for it; in place, it was taken
  if ((!found || !found->size_bytes) && !std::exchange(shared_->warned_unchecked, true))
    context_.events.emit(
        WarningEvent{fmt::format("{} does not show the sizes of files that were written ({}): they are "
                                 "not checked",
                                 server, found ? "it sends none" : found.error().message)});
  if (!found) return {};
  if (found->size_bytes.value_or(options.size_bytes) != options.size_bytes)
    return Failure(make_error(ErrorKind::integrity, fmt::format("{} bytes were written, but the server has {}",
                                                                options.size_bytes, *found->size_bytes)));
  const auto wanted = attributes_to_set(options).mtime_s; // nothing if the server has refused it
  if (!wanted || wanted == found->mtime_s) return {};
  shared_->capabilities.keeps_mtime = false;
  context_.events.emit(WarningEvent{fmt::format(
      "{} does not keep the times that files are given: the state shows which files are up to date", server)});
  return {};
}

Task<Result<void>> SftpUpload::check_digest_of_server(std::shared_ptr<SftpSession> session, CommitOptions options) {
  if (options.size_bytes == 0) co_return Result<void>(); // servers refuse to hash nothing
  CV_CO_TRY(const std::vector<std::byte> digest,
            co_await session->check_file(temporary(), "sha256", silent_work_limit(options.size_bytes)));
  co_return check_digest(options.content_digest, digest_text(HashAlgorithm::sha256, digest), path_);
}

Task<Result<Published>> SftpUpload::commit(CommitOptions options) {
  co_await writes_done();
  co_return co_await finish_and_publish(std::nullopt, std::move(options));
}

Task<Result<Published>> SftpUpload::write_and_commit(Chunk content, CommitOptions options) {
  // Others may look at the size, or set times, before the bytes are written.
  if (!streams_->first()->session->keeps_order())
    return BasicUpload::write_and_commit(std::move(content), std::move(options));
  std::optional<JoinHandle<Result<void>>> writing;
  if (!content.empty()) writing.emplace(spawn(write(0, std::move(content))));
  return finish_and_publish(std::move(writing), std::move(options));
}

// `writing`: what is not acknowledged yet; nothing is published before it is.
Task<Result<Published>> SftpUpload::finish_and_publish(std::optional<JoinHandle<Result<void>>> writing,
                                                       CommitOptions options) {
  auto session = streams_->first()->session;
  auto finished = co_await finish_content(options);
  if (!finished) without_writes_anywhere(finished.error());
  if (writing)
    if (auto written = co_await writing->get(); !written) finished = std::move(written); // the cause of what followed
  streams_.reset();
  if (finished && !options.content_digest.empty()) finished = co_await check_digest_of_server(session, options);
  if (!finished) co_return Failure(co_await explain(std::move(finished.error())));
  if (in_place()) {
    shared_->unfinished.erase(path_);
    co_return Published{"inplace", {}};
  }
  auto method =
      co_await publish(session, temporary(), path_, options.replace, silent_work_limit(options.size_bytes), set_aside_);
  if (method) co_return Published{std::move(*method), {}};
  Error& error = method.error();
  if (error.kind == ErrorKind::not_found && session->alive())
    error = make_error(ErrorKind::integrity, "the temporary file vanished before it was published");
  else if (error.kind != ErrorKind::permission && error.kind != ErrorKind::unsupported)
    co_return Failure(std::move(error));
  if (error.hint.empty())
    error.hint =
        "if the server forbids renames, or takes files as they are closed: set the endpoint option inplace=yes "
        "(readers can then see incomplete files)";
  co_return Failure(std::move(error));
}

Task<Result<void>> SftpUpload::reopen(std::uint64_t acknowledged_bytes, TemporaryName temporary) {
  co_await writes_done();
  streams_.reset();
  if (!shared_->capabilities.resumes_temporaries)
    co_return Failure(make_error(ErrorKind::unsupported, "the file begins again"));
  names_.push_back(temporary.beside(path_));
  CV_CO_TRY(streams_, co_await open_partial(pool_, {names_, names_.back(), acknowledged_bytes, size_bytes_}));
  names_ = {names_.back()};
  CV_CO_TRY(auto session, co_await pool_->get());
  if (!set_aside_.empty()) CV_CO_CHECK(co_await settle_set_aside(session, std::exchange(set_aside_, {}), path_));
  resumed_bytes_ = acknowledged_bytes;
  co_return Result<void>();
}

Task<Result<void>> SftpUpload::abort() {
  co_await writes_done();
  streams_.reset();
  if (in_place() && !shared_->unfinished.contains(path_)) co_return Result<void>(); // not ours, or taken
  CV_CO_TRY(auto session, co_await pool_->get());
  // Before the old file is put back: a rename that the lost connection left with the server may still be carried out.
  Result<void> all;
  for (const std::string& name : names_) {
    auto removed = co_await session->remove(name);
    if (!removed && removed.error().kind != ErrorKind::not_found) all = std::move(removed);
  }
  if (in_place() && all) shared_->unfinished.erase(path_);
  if (!set_aside_.empty()) CV_CO_CHECK(co_await settle_set_aside(session, std::exchange(set_aside_, {}), path_));
  co_return all;
}

} // namespace

std::unique_ptr<Upload> make_sftp_upload(BackendContext& context, std::shared_ptr<ConnectionPool> pool,
                                         std::shared_ptr<SftpTarget::Shared> shared,
                                         std::unique_ptr<FileStreams> streams, std::string temporary, std::string path,
                                         std::uint64_t size_bytes, std::uint64_t resumed_bytes) {
  return std::make_unique<SftpUpload>(context, std::move(pool), std::move(shared), std::move(streams),
                                      std::move(temporary), std::move(path), size_bytes, resumed_bytes);
}

} // namespace checkvalve
