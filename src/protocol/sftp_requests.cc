// The requests of SftpSession: what each is made of, and what its reply may be (draft-ietf-secsh-filexfer-02, section
// 6).
#include <algorithm>

#include "protocol/sftp_session.h"

namespace checkvalve {

Task<Result<std::string>> SftpSession::open_file(std::string path, std::uint32_t flags, FileAttributes attributes) {
  PacketBuilder packet(PacketType::open);
  packet.string(path).u32(flags).attributes(attributes);
  return call_handle(std::move(packet), {.operation = "open", .has_name = true});
}

Task<Result<void>> SftpSession::close_handle(std::string handle, std::chrono::seconds silent_work) {
  PacketBuilder packet(PacketType::close);
  packet.string(handle);
  return call_status(std::move(packet), {.operation = "close", .patient = true, .silent_work = silent_work});
}

namespace {

Task<void> close_and_release(std::shared_ptr<SftpSession> session, std::string handle, Semaphore::Permit permit) {
  (void)co_await session->close_handle(std::move(handle));
  permit.release(); // before the session goes, which may be for nobody else
}

} // namespace

void SftpSession::close_later(std::string handle, Semaphore::Permit permit) {
  detach(close_and_release(shared_from_this(), std::move(handle), std::move(permit)));
}

Task<Result<Chunk>> SftpSession::read(std::string_view handle, std::uint64_t offset, std::uint32_t size) {
  PacketBuilder packet(PacketType::read);
  packet.string(handle).u64(offset).u32(size);
  return call_read(std::move(packet), size);
}

Task<Result<Chunk>> SftpSession::call_read(PacketBuilder packet, std::uint32_t size) {
  const auto self = shared_from_this();
  const Request request{"read"};
  auto reply = co_await call(std::move(packet), request);
  if (!reply) co_return Failure(std::move(reply.error()));
  if (reply->type == PacketType::data) {
    if (narrow_to_data(reply->body) && reply->body.size() <= size) co_return std::move(reply->body);
    break_protocol("a malformed DATA packet");
    co_return Failure(*closed_);
  }
  if (reply->type != PacketType::status) co_return unexpected_reply(*reply, request);
  if (says(*reply, StatusCode::eof)) co_return Chunk();
  if (says(*reply, StatusCode::ok)) co_return unexpected_reply(*reply, request);
  co_return Failure(status_error(reply->body.bytes(), request));
}

Task<Result<void>> SftpSession::write(std::string_view handle, std::uint64_t offset, Chunk chunk) {
  PacketBuilder packet(PacketType::write);
  packet.string(handle).u64(offset).string_header(static_cast<std::uint32_t>(chunk.size()));
  return call_status(std::move(packet), {"write"}, std::move(chunk));
}

Task<Result<std::string>> SftpSession::open_directory(std::string path) {
  PacketBuilder packet(PacketType::opendir);
  packet.string(path);
  return call_handle(std::move(packet), {"list"});
}

Task<Result<NamePage>> SftpSession::read_directory(std::string_view handle) {
  PacketBuilder packet(PacketType::readdir);
  packet.string(handle);
  return call_names(std::move(packet));
}

Task<Result<NamePage>> SftpSession::call_names(PacketBuilder packet) {
  const auto self = shared_from_this();
  const Request request{"list"};
  auto reply = co_await call(std::move(packet), request);
  if (!reply) co_return Failure(std::move(reply.error()));
  if (reply->type == PacketType::name) {
    // Without a name it is the end, as OpenSSH's client takes it.
    if (auto page = NamePage::from(std::move(reply->body))) co_return std::move(*page);
    break_protocol("a malformed NAME packet");
    co_return Failure(*closed_);
  }
  if (reply->type != PacketType::status) co_return unexpected_reply(*reply, request);
  if (says(*reply, StatusCode::eof)) co_return NamePage();
  if (says(*reply, StatusCode::ok)) co_return unexpected_reply(*reply, request);
  co_return Failure(status_error(reply->body.bytes(), request));
}

Task<Result<FileAttributes>> SftpSession::stat(std::string path) {
  PacketBuilder packet(PacketType::stat);
  packet.string(path);
  return call_attributes(std::move(packet), {.operation = "stat", .has_name = true});
}

Task<Result<FileAttributes>> SftpSession::lstat(std::string path) {
  PacketBuilder packet(PacketType::lstat);
  packet.string(path);
  return call_attributes(std::move(packet), {.operation = "stat", .has_name = true});
}

Task<Result<void>> SftpSession::setstat(std::string path, FileAttributes attributes) {
  PacketBuilder packet(PacketType::setstat);
  packet.string(path).attributes(attributes);
  return call_status(std::move(packet), {"set times and mode of"});
}

Task<Result<void>> SftpSession::fsetstat(std::string_view handle, FileAttributes attributes) {
  PacketBuilder packet(PacketType::fsetstat);
  packet.string(handle).attributes(attributes);
  return call_status(std::move(packet), {"set times and mode of"});
}

Task<Result<void>> SftpSession::make_directory(std::string path, FileAttributes attributes) {
  PacketBuilder packet(PacketType::mkdir);
  packet.string(path).attributes(attributes);
  return call_status(std::move(packet), {.operation = "make directory", .has_name = true});
}

Task<Result<void>> SftpSession::remove(std::string path) {
  PacketBuilder packet(PacketType::remove);
  packet.string(path);
  return call_status(std::move(packet), {.operation = "remove", .has_name = true});
}

Task<Result<void>> SftpSession::rename(std::string from, std::string to, std::chrono::seconds silent_work) {
  PacketBuilder packet(PacketType::rename);
  packet.string(from).string(to);
  return call_status(std::move(packet),
                     {.operation = "rename", .patient = true, .silent_work = silent_work, .has_name = true});
}

Task<Result<std::string>> SftpSession::real_path(std::string path) {
  PacketBuilder packet(PacketType::realpath);
  packet.string(path);
  return call_name(std::move(packet), {"resolve"});
}

Task<Result<std::string>> SftpSession::read_link(std::string path) {
  PacketBuilder packet(PacketType::readlink);
  packet.string(path);
  return call_name(std::move(packet), {"read link"});
}

Task<Result<void>> SftpSession::symlink(std::string target_text, std::string link_path) {
  PacketBuilder packet(PacketType::symlink);
  packet.string(target_text).string(link_path);
  return call_status(std::move(packet), {.operation = "make link", .has_name = true});
}

Task<Result<void>> SftpSession::posix_rename(std::string from, std::string to, std::chrono::seconds silent_work) {
  PacketBuilder packet(PacketType::extended);
  packet.string("posix-rename@openssh.com").string(from).string(to);
  return call_status(std::move(packet),
                     {.operation = "rename", .patient = true, .silent_work = silent_work, .has_name = true});
}

Task<Result<void>> SftpSession::hard_link(std::string existing, std::string path) {
  PacketBuilder packet(PacketType::extended);
  packet.string("hardlink@openssh.com").string(existing).string(path);
  return call_status(std::move(packet), {.operation = "link", .patient = true, .has_name = true});
}

Task<Result<void>> SftpSession::fsync(std::string_view handle, std::chrono::seconds silent_work) {
  PacketBuilder packet(PacketType::extended);
  packet.string("fsync@openssh.com").string(handle);
  return call_status(std::move(packet), {.operation = "fsync", .patient = true, .silent_work = silent_work});
}

Task<Result<FileSystemReply>> SftpSession::file_system(std::string path) {
  const auto self = shared_from_this();
  PacketBuilder packet(PacketType::extended);
  packet.string("statvfs@openssh.com").string(path);
  const Request request{"examine the file system of"};
  auto reply = co_await call(std::move(packet), request);
  if (!reply) co_return Failure(std::move(reply.error()));
  if (reply->type == PacketType::status) co_return Failure(status_error(reply->body.bytes(), request));
  auto parsed = parse_file_system(reply->body.bytes());
  if (reply->type != PacketType::extended_reply || !parsed) co_return unexpected_reply(*reply, request);
  co_return *parsed;
}

Task<Result<std::vector<std::byte>>> SftpSession::check_file(std::string path, std::string_view algorithm,
                                                             std::chrono::seconds silent_work) {
  PacketBuilder packet(PacketType::extended);
  const auto self = shared_from_this();
  // From offset 0, to the end (length 0), as one block (size 0).
  packet.string("check-file-name").string(path).string(algorithm).u64(0).u64(0).u32(0);
  const Request request{.operation = "take the checksum of", .patient = true, .silent_work = silent_work};
  auto reply = co_await call(std::move(packet), request);
  if (!reply) co_return Failure(std::move(reply.error()));
  if (reply->type == PacketType::status) co_return Failure(status_error(reply->body.bytes(), request));
  auto parsed = parse_check_file(reply->body.bytes());
  if (reply->type != PacketType::extended_reply || !parsed || parsed->algorithm != algorithm)
    co_return unexpected_reply(*reply, request);
  co_return std::move(parsed->digest);
}

Task<Result<bool>> SftpSession::has_check_file(std::string missing_path) {
  auto digest = co_await check_file(std::move(missing_path), "sha256");
  if (!digest && !alive()) co_return Failure(std::move(digest.error()));
  co_return !digest && digest.error().kind == ErrorKind::not_found;
}

Task<Error> SftpSession::diagnose(Error error, std::string directory) {
  constexpr std::uint64_t full_bytes = 256 * 1024; // less free space than this fails writes
  if (error.kind != ErrorKind::io || !has("statvfs@openssh.com")) co_return error;
  auto usage = co_await file_system(std::move(directory));
  if (!usage) co_return error;
  const bool bytes_gone = usage->blocks_available <= full_bytes / std::max<std::uint64_t>(1, usage->fragment_bytes);
  const bool files_gone = usage->files != 0 && usage->files_available == 0;
  if (!usage->read_only && !bytes_gone && !files_gone) co_return error;
  Error cause = errno_error(usage->read_only ? EROFS : ENOSPC, std::move(error.operation), std::move(error.path));
  if (cause.kind == ErrorKind::no_space && !bytes_gone) cause.message = "no file numbers (inodes) left on the server";
  co_return cause;
}

} // namespace checkvalve
