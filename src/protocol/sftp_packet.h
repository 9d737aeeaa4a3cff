// SFTP version 3 packets (draft-ietf-secsh-filexfer-02) as bytes. Nothing that a peer sends is trusted: every read is
// checked against the end of the packet, and no count or length of the peer's decides how much memory is taken.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/chunk.h"

namespace checkvalve {

// Section 3 of the draft.
enum class PacketType : std::uint8_t {
  init = 1,
  version = 2,
  open = 3,
  close = 4,
  read = 5,
  write = 6,
  lstat = 7,
  fstat = 8,
  setstat = 9,
  fsetstat = 10,
  opendir = 11,
  readdir = 12,
  remove = 13,
  mkdir = 14,
  rmdir = 15,
  realpath = 16,
  stat = 17,
  rename = 18,
  readlink = 19,
  symlink = 20,
  status = 101,
  handle = 102,
  data = 103,
  name = 104,
  attrs = 105,
  extended = 200,
  extended_reply = 201,
};

// Section 7. Codes above 8 belong to later versions of the draft, but servers send them in version 3 too.
enum class StatusCode : std::uint32_t {
  ok = 0,
  eof = 1,
  no_such_file = 2,
  permission_denied = 3,
  failure = 4,
  bad_message = 5,
  no_connection = 6,
  connection_lost = 7,
  op_unsupported = 8,
  no_such_path = 10,
  file_already_exists = 11,
  write_protect = 12,
  no_space_on_filesystem = 14,
  quota_exceeded = 15,
  not_a_directory = 19,
  file_is_a_directory = 24,
};

// Section 6.3, pflags of OPEN.
namespace open_flag {
inline constexpr std::uint32_t read = 0x01;
inline constexpr std::uint32_t write = 0x02;
inline constexpr std::uint32_t create = 0x08;
inline constexpr std::uint32_t truncate = 0x10;
inline constexpr std::uint32_t exclusive = 0x20;
} // namespace open_flag

// Section 5. Times are seconds since 1970 UTC; version 3 carries both or neither. `permissions` holds the file's type
// in its upper bits where the server sends it (S_IFMT).
struct FileAttributes {
  std::optional<std::uint64_t> size_bytes;
  std::optional<std::uint32_t> permissions;
  std::optional<std::uint32_t> mtime_s;
  std::optional<std::uint32_t> atime_s;
};

struct StatusReply {
  std::uint32_t code = 0;
  std::string message; // may be empty
};

struct NameEntry {
  std::string name; // as sent: not checked
  FileAttributes attributes;
  // The first letter of `ls -l`'s permissions ("drwxr-xr-x"), where the longname begins with them; else 0.
  char type_letter = 0;
};

struct VersionReply {
  std::uint32_t version = 0;
  std::vector<std::pair<std::string, std::string>> extensions; // name, data
};

// statvfs@openssh.com (OpenSSH's PROTOCOL, section 4.4): why a write may be refused.
struct FileSystemReply {
  std::uint64_t fragment_bytes = 0;
  std::uint64_t blocks_available = 0;
  std::uint64_t files = 0;
  std::uint64_t files_available = 0;
  bool read_only = false;
};

// limits@openssh.com: 0 means that the server names no limit.
struct LimitsReply {
  std::uint64_t packet_bytes = 0;
  std::uint64_t read_bytes = 0;
  std::uint64_t write_bytes = 0;
  std::uint64_t open_handles = 0;
};

// check-file: the digest of one block.
struct CheckFileReply {
  std::string algorithm; // that was used
  std::vector<std::byte> digest;
};

// One request as it goes out: length, type, id (set later, by set_id) and fields.
class PacketBuilder {
public:
  explicit PacketBuilder(PacketType type);
  PacketBuilder& u32(std::uint32_t value);
  PacketBuilder& u64(std::uint64_t value);
  PacketBuilder& string(std::string_view value);
  PacketBuilder& attributes(const FileAttributes& attributes);
  // The length word of a string whose bytes follow the packet: they are sent from their own buffer.
  PacketBuilder& string_header(std::uint32_t length) { return u32(length); }

  // Sets the request id and the packet's length; `payload_bytes` follow from another buffer. INIT has a version where
  // others have their id.
  std::string_view finish(std::uint32_t id, std::size_t payload_bytes = 0);

private:
  std::string bytes_;
};

// Reads fields; after a field that does not fit, failed() stays true and all reads give zeros and empty strings.
class PacketReader {
public:
  explicit PacketReader(std::span<const std::byte> bytes) : rest_(bytes) {}
  std::uint8_t u8();
  std::uint32_t u32();
  std::uint64_t u64();
  std::string_view string(); // lies within the packet
  FileAttributes attributes();
  bool failed() const { return failed_; }
  std::size_t remaining() const { return rest_.size(); }

private:
  std::span<const std::byte> take(std::size_t count);
  std::span<const std::byte> rest_;
  bool failed_ = false;
};

// The bodies of replies: what follows type and id. Nothing if they are malformed.
std::optional<VersionReply> parse_version(std::span<const std::byte> body);
std::optional<StatusReply> parse_status(std::span<const std::byte> body);
std::optional<std::string> parse_handle(std::span<const std::byte> body);
// All names of a NAME reply; for those of READDIR see NamePage.
std::optional<std::vector<NameEntry>> parse_names(std::span<const std::byte> body);
std::optional<FileAttributes> parse_attributes(std::span<const std::byte> body);
std::optional<FileSystemReply> parse_file_system(std::span<const std::byte> body);
std::optional<LimitsReply> parse_limits(std::span<const std::byte> body);
std::optional<CheckFileReply> parse_check_file(std::span<const std::byte> body);

// The names of one READDIR reply, parsed as they are taken: in memory they are several times as large as on the wire.
class NamePage {
public:
  NamePage() = default; // without names
  // Nothing if the body does not begin with a count.
  static std::optional<NamePage> from(Chunk body);
  bool at_end() const { return names_left_ == 0; }
  // The next names, at most `count`. Nothing if they are malformed.
  std::optional<std::vector<NameEntry>> next(std::size_t count);
  std::size_t size_bytes() const { return body_.size(); }

private:
  Chunk body_;
  std::size_t offset_ = 0;
  std::uint32_t names_left_ = 0;
};

// Narrows the body of a DATA reply to its payload, in place.
bool narrow_to_data(Chunk& body);

} // namespace checkvalve
