#include "protocol/sftp_packet.h"

#include <algorithm>

#include "protocol/ssh_wire.h"

namespace checkvalve {
namespace {

// Section 5: which fields an ATTRS has.
constexpr std::uint32_t has_size = 0x00000001;
constexpr std::uint32_t has_owner = 0x00000002;
constexpr std::uint32_t has_permissions = 0x00000004;
constexpr std::uint32_t has_times = 0x00000008;
constexpr std::uint32_t has_extended = 0x80000000;

constexpr std::size_t max_handle_bytes = 256;   // section 6.3
constexpr std::size_t smallest_name_bytes = 12; // two empty strings and empty ATTRS
constexpr std::size_t max_extensions = 256;

// Section 7: longname is for people, and its format a recommendation. A file's name may stand there as well, which may
// begin with a 'd', too.
char type_letter_of(std::string_view longname) {
  constexpr std::size_t permissions = 10;
  if (longname.size() < permissions) return 0;
  const bool listed = longname.substr(1, permissions - 1).find_first_not_of("-rwxsStT") == longname.npos;
  return listed && std::string_view("-dlbcps").find(longname[0]) != std::string_view::npos ? longname[0] : '\0';
}

NameEntry read_name(PacketReader& reader) {
  NameEntry entry;
  entry.name = reader.string();
  entry.type_letter = type_letter_of(reader.string());
  entry.attributes = reader.attributes();
  return entry;
}

} // namespace

PacketBuilder::PacketBuilder(PacketType type) {
  bytes_.reserve(96);
  bytes_.append(9, '\0');
  bytes_[4] = static_cast<char>(type);
}

PacketBuilder& PacketBuilder::u32(std::uint32_t value) {
  put_ssh_u32(bytes_, value);
  return *this;
}

PacketBuilder& PacketBuilder::u64(std::uint64_t value) {
  return u32(static_cast<std::uint32_t>(value >> 32)).u32(static_cast<std::uint32_t>(value));
}

PacketBuilder& PacketBuilder::string(std::string_view value) {
  put_ssh_string(bytes_, value);
  return *this;
}

PacketBuilder& PacketBuilder::attributes(const FileAttributes& a) {
  std::uint32_t flags = 0;
  if (a.size_bytes) flags |= has_size;
  if (a.permissions) flags |= has_permissions;
  if (a.mtime_s) flags |= has_times;
  u32(flags);
  if (a.size_bytes) u64(*a.size_bytes);
  if (a.permissions) u32(*a.permissions);
  if (a.mtime_s) u32(a.atime_s.value_or(*a.mtime_s)).u32(*a.mtime_s);
  return *this;
}

std::string_view PacketBuilder::finish(std::uint32_t id, std::size_t payload_bytes) {
  put_ssh_u32(bytes_.data(), static_cast<std::uint32_t>(bytes_.size() - 4 + payload_bytes));
  put_ssh_u32(bytes_.data() + 5, id);
  return bytes_;
}

std::span<const std::byte> PacketReader::take(std::size_t count) {
  if (failed_ || count > rest_.size()) {
    failed_ = true;
    rest_ = {};
    return {};
  }
  auto taken = rest_.first(count);
  rest_ = rest_.subspan(count);
  return taken;
}

std::uint8_t PacketReader::u8() {
  auto bytes = take(1);
  return bytes.empty() ? 0 : static_cast<std::uint8_t>(bytes[0]);
}

std::uint32_t PacketReader::u32() {
  std::uint32_t value = 0;
  for (std::byte b : take(4)) value = value << 8 | static_cast<std::uint32_t>(b);
  return value;
}

std::uint64_t PacketReader::u64() {
  std::uint64_t value = 0;
  for (std::byte b : take(8)) value = value << 8 | static_cast<std::uint64_t>(b);
  return value;
}

std::string_view PacketReader::string() {
  auto bytes = take(u32());
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

FileAttributes PacketReader::attributes() {
  FileAttributes a;
  const std::uint32_t flags = u32();
  if (flags & has_size) a.size_bytes = u64();
  if (flags & has_owner) u64(); // uid and gid
  if (flags & has_permissions) a.permissions = u32();
  if (flags & has_times) {
    a.atime_s = u32();
    a.mtime_s = u32();
  }
  if (flags & has_extended) {
    for (std::uint32_t count = u32(); count > 0 && !failed_; --count) {
      string();
      string();
    }
  }
  return a;
}

std::optional<VersionReply> parse_version(std::span<const std::byte> body) {
  PacketReader reader(body);
  VersionReply reply;
  reply.version = reader.u32();
  while (reader.remaining() > 0 && !reader.failed() && reply.extensions.size() < max_extensions) {
    std::string name(reader.string());
    std::string data(reader.string());
    reply.extensions.emplace_back(std::move(name), std::move(data));
  }
  if (reader.failed()) return std::nullopt;
  return reply;
}

std::optional<StatusReply> parse_status(std::span<const std::byte> body) {
  PacketReader reader(body);
  StatusReply reply;
  reply.code = reader.u32();
  if (reader.failed()) return std::nullopt;
  // Some servers omit the message that section 7 asks for: a missing one is not an error.
  reply.message = reader.string().substr(0, 1024);
  return reply;
}

std::optional<std::string> parse_handle(std::span<const std::byte> body) {
  PacketReader reader(body);
  std::string handle(reader.string());
  if (reader.failed() || handle.empty() || handle.size() > max_handle_bytes) return std::nullopt;
  return handle;
}

std::optional<std::vector<NameEntry>> parse_names(std::span<const std::byte> body) {
  PacketReader reader(body);
  const std::uint32_t count = reader.u32();
  std::vector<NameEntry> names;
  names.reserve(std::min<std::size_t>(count, reader.remaining() / smallest_name_bytes));
  for (std::uint32_t i = 0; i < count; ++i) {
    NameEntry entry = read_name(reader);
    if (reader.failed()) return std::nullopt;
    names.push_back(std::move(entry));
  }
  if (reader.failed()) return std::nullopt;
  return names;
}

std::optional<NamePage> NamePage::from(Chunk body) {
  PacketReader reader(body.bytes());
  NamePage page;
  page.names_left_ = reader.u32();
  if (reader.failed()) return std::nullopt;
  page.offset_ = body.size() - reader.remaining();
  page.body_ = std::move(body);
  return page;
}

std::optional<std::vector<NameEntry>> NamePage::next(std::size_t count) {
  PacketReader reader(body_.bytes().subspan(offset_));
  std::vector<NameEntry> names;
  names.reserve(std::min<std::size_t>({count, names_left_, reader.remaining() / smallest_name_bytes}));
  for (; names_left_ != 0 && names.size() < count; --names_left_) {
    names.push_back(read_name(reader));
    if (reader.failed()) return std::nullopt;
  }
  offset_ = body_.size() - reader.remaining();
  return names;
}

std::optional<FileAttributes> parse_attributes(std::span<const std::byte> body) {
  PacketReader reader(body);
  FileAttributes attributes = reader.attributes();
  if (reader.failed()) return std::nullopt;
  return attributes;
}

// OpenSSH's PROTOCOL, section 4.4: f_bsize, f_frsize, f_blocks, f_bfree, f_bavail, f_files, f_ffree, f_favail, …
std::optional<FileSystemReply> parse_file_system(std::span<const std::byte> body) {
  PacketReader reader(body);
  FileSystemReply reply;
  reader.u64();
  reply.fragment_bytes = reader.u64();
  reader.u64();
  reader.u64();
  reply.blocks_available = reader.u64();
  reply.files = reader.u64();
  reader.u64();
  reply.files_available = reader.u64();
  reader.u64();
  constexpr std::uint64_t read_only_flag = 1; // SSH_FXE_STATVFS_ST_RDONLY
  reply.read_only = (reader.u64() & read_only_flag) != 0;
  if (reader.failed()) return std::nullopt;
  return reply;
}

// OpenSSH's PROTOCOL, section 4.8.
std::optional<LimitsReply> parse_limits(std::span<const std::byte> body) {
  PacketReader reader(body);
  LimitsReply reply;
  reply.packet_bytes = reader.u64();
  reply.read_bytes = reader.u64();
  reply.write_bytes = reader.u64();
  reply.open_handles = reader.u64();
  if (reader.failed()) return std::nullopt;
  return reply;
}

// draft-ietf-secsh-filexfer-extensions-00, section 3.
std::optional<CheckFileReply> parse_check_file(std::span<const std::byte> body) {
  PacketReader reader(body);
  CheckFileReply reply;
  reply.algorithm = reader.string();
  if (reader.failed() || reader.remaining() == 0) return std::nullopt;
  const auto digest = body.last(reader.remaining());
  reply.digest.assign(digest.begin(), digest.end());
  return reply;
}

bool narrow_to_data(Chunk& body) {
  PacketReader reader(body.bytes());
  const std::uint32_t length = reader.u32();
  if (reader.failed() || length > reader.remaining()) return false;
  body.narrow(4, length);
  return true;
}

} // namespace checkvalve
