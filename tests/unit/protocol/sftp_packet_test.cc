#include "protocol/sftp_packet.h"

#include <gtest/gtest.h>

#include "protocol/frame_assembler.h"

namespace checkvalve {
namespace {

using namespace std::string_literals;

std::span<const std::byte> bytes_of(const std::string& text) { return std::as_bytes(std::span(text)); }

std::string u32(std::uint32_t value) {
  std::string out;
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(value >> shift);
  return out;
}
std::string text(std::string_view value) { return u32(static_cast<std::uint32_t>(value.size())) + std::string(value); }

TEST(PacketBuilder, WritesLengthTypeIdAndFields) {
  PacketBuilder packet(PacketType::open);
  FileAttributes attributes;
  attributes.permissions = 0644;
  packet.string("a/b").u32(open_flag::read).attributes(attributes);
  EXPECT_EQ(packet.finish(7), u32(1 + 4 + 7 + 4 + 8) + "\x03" + u32(7) + text("a/b") + u32(1) + u32(4) + u32(0644));
}

TEST(PacketBuilder, CountsAPayloadThatFollows) {
  PacketBuilder packet(PacketType::write);
  packet.string("h").u64(1ull << 32).string_header(5);
  const std::string_view bytes = packet.finish(1, 5);
  EXPECT_EQ(bytes.substr(0, 4), u32(static_cast<std::uint32_t>(bytes.size() - 4 + 5)));
}

TEST(PacketBuilder, SendsBothTimesOrNone) {
  PacketBuilder packet(PacketType::fsetstat);
  FileAttributes attributes;
  attributes.mtime_s = 99;
  packet.attributes(attributes);
  EXPECT_EQ(packet.finish(1).substr(9), u32(8) + u32(99) + u32(99));
}

TEST(PacketReader, StaysFailedAfterAFieldThatDoesNotFit) {
  const std::string packet = u32(10) + "short" + u32(1);
  PacketReader reader(bytes_of(packet));
  EXPECT_EQ(reader.string(), "");
  EXPECT_TRUE(reader.failed());
  EXPECT_EQ(reader.u32(), 0u);
  EXPECT_EQ(reader.remaining(), 0u);
}

TEST(PacketReader, RefusesAStringOfFourGigabytes) {
  const std::string packet = u32(0xFFFFFFFF) + "abc";
  PacketReader reader(bytes_of(packet));
  EXPECT_EQ(reader.string(), "");
  EXPECT_TRUE(reader.failed());
}

TEST(ParseNames, ReadsAttributesInAllShapes) {
  const std::string extended = u32(0x80000000) + u32(1) + text("x") + text("y");
  const std::string full = u32(0xF) + u32(1) + u32(2) + u32(10) + u32(20) + u32(0100644) + u32(5) + u32(6);
  auto names = parse_names(bytes_of(u32(2) + text("a") + text("long") + full + text("b") + text("") + extended));
  ASSERT_TRUE(names);
  ASSERT_EQ(names->size(), 2u);
  EXPECT_EQ((*names)[0].name, "a");
  EXPECT_EQ((*names)[0].attributes.size_bytes, (1ull << 32) + 2);
  EXPECT_EQ((*names)[0].attributes.permissions, 0100644u);
  EXPECT_EQ((*names)[0].attributes.mtime_s, 6u);
  EXPECT_EQ((*names)[1].name, "b");
  EXPECT_FALSE((*names)[1].attributes.size_bytes);
}

TEST(ParseNames, TakesTheTypeFromALineOfLsOnly) {
  const std::pair<std::string, char> longnames[] = {
      {"drwxr-xr-x 1 u g 0 Jan 1 00:00 d", 'd'}, {"-rwsr-Sr-t", '-'}, {"lrwxrwxrwx x", 'l'},  {"prw-rw-rw- x", 'p'},
      {"data.csv and more of it", '\0'},         {"drwxr-xr-", '\0'}, {"?rwxr-xr-x x", '\0'}, {"", '\0'},
  };
  for (const auto& [longname, letter] : longnames) {
    auto names = parse_names(bytes_of(u32(1) + text("a") + text(longname) + u32(0)));
    ASSERT_TRUE(names);
    EXPECT_EQ(names->front().type_letter, letter) << longname;
  }
}

TEST(NamePage, GivesItsNamesInParts) {
  std::string reply = u32(3);
  for (const char* name : {"a", "b", "c"}) reply += text(name) + text("") + u32(0);
  auto page = NamePage::from(Chunk::copy_of(reply));
  ASSERT_TRUE(page);
  std::vector<std::size_t> parts;
  std::string all;
  while (!page->at_end()) {
    auto names = page->next(2);
    ASSERT_TRUE(names);
    parts.push_back(names->size());
    for (const auto& name : *names) all += name.name;
  }
  EXPECT_EQ(all, "abc");
  EXPECT_EQ(parts, (std::vector<std::size_t>{2, 1}));
}

TEST(NamePage, RefusesWhatThePacketDoesNotHold) {
  EXPECT_FALSE(NamePage::from(Chunk::copy_of("\0\0\0"s)));
  auto page = NamePage::from(Chunk::copy_of(u32(0xFFFFFFFF) + text("a") + text("") + u32(0)));
  ASSERT_TRUE(page);
  EXPECT_TRUE(page->next(1));
  EXPECT_FALSE(page->next(1));
}

TEST(ParseNames, RefusesCountsThatThePacketDoesNotHold) {
  EXPECT_FALSE(parse_names(bytes_of(u32(0xFFFFFFFF))));
  EXPECT_FALSE(parse_names(bytes_of(u32(2) + text("a") + text("") + u32(0))));
  EXPECT_FALSE(parse_names(bytes_of(u32(1) + text("a") + text("") + u32(0x80000000) + u32(0xFFFFFFFF))));
  EXPECT_FALSE(parse_names(bytes_of("")));
}

TEST(ParseNames, KeepsHostileNamesForTheCallerToRefuse) {
  const std::string nasty = "../e\nvil\0"s;
  auto names = parse_names(bytes_of(u32(1) + text(nasty) + text("") + u32(0)));
  ASSERT_TRUE(names);
  EXPECT_EQ(names->front().name, nasty);
}

// Every proper prefix of a reply is refused, not read beyond its end.
TEST(Parsers, RefuseEveryTruncation) {
  const std::string names = u32(1) + text("name") + text("long") + u32(0xF) + std::string(28, 'x');
  const std::string limits(32, '\1');
  const std::string handle = text("handle");
  for (std::size_t size = 0; size < names.size(); ++size)
    EXPECT_FALSE(parse_names(bytes_of(names.substr(0, size)))) << size;
  for (std::size_t size = 0; size < limits.size(); ++size)
    EXPECT_FALSE(parse_limits(bytes_of(limits.substr(0, size)))) << size;
  for (std::size_t size = 0; size < handle.size(); ++size)
    EXPECT_FALSE(parse_handle(bytes_of(handle.substr(0, size)))) << size;
  EXPECT_TRUE(parse_names(bytes_of(names)));
  EXPECT_TRUE(parse_limits(bytes_of(limits)));
  EXPECT_TRUE(parse_handle(bytes_of(handle)));
}

TEST(ParseHandle, RefusesEmptyAndOversizedHandles) {
  EXPECT_FALSE(parse_handle(bytes_of(text(""))));
  EXPECT_FALSE(parse_handle(bytes_of(text(std::string(257, 'h')))));
  EXPECT_TRUE(parse_handle(bytes_of(text(std::string(256, 'h')))));
}

TEST(ParseStatus, TakesAMissingMessage) {
  auto status = parse_status(bytes_of(u32(4)));
  ASSERT_TRUE(status);
  EXPECT_EQ(status->code, 4u);
}

TEST(ParseStatus, RefusesAMissingCode) {
  for (const std::size_t length : {0, 3}) {
    EXPECT_FALSE(parse_status(bytes_of(std::string(length, '\0')))) << length; // a code of 0 would be a success
  }
}

TEST(NarrowToData, RefusesALengthBeyondThePacket) {
  Chunk good = Chunk::copy_of(u32(3) + "abcd");
  ASSERT_TRUE(narrow_to_data(good));
  EXPECT_EQ(good.text(), "abc");
  Chunk bad = Chunk::copy_of(u32(0xFFFFFFFF) + "abcd");
  EXPECT_FALSE(narrow_to_data(bad));
}

TEST(FrameAssembler, GivesTheSameFramesForEverySplit) {
  const std::string large(70'000, 'L');
  const std::string stream = text("a") + text("bcd") + text(large) + text("e");
  for (std::size_t step :
       {std::size_t{1}, std::size_t{2}, std::size_t{3}, std::size_t{5}, std::size_t{4096}, stream.size()}) {
    FrameAssembler assembler;
    std::vector<Chunk> frames;
    for (std::size_t at = 0; at < stream.size(); at += step)
      ASSERT_TRUE(assembler.feed(bytes_of(stream).subspan(at, std::min(step, stream.size() - at)), frames));
    ASSERT_EQ(frames.size(), 4u) << step;
    EXPECT_EQ(frames[0].text(), "a");
    EXPECT_EQ(frames[1].text(), "bcd");
    EXPECT_EQ(frames[2].text(), large);
    EXPECT_EQ(frames[3].text(), "e");
  }
}

TEST(FrameAssembler, RefusesLengthsOutOfBoundsForGood) {
  for (std::uint32_t length : {0u, max_frame_bytes + 1, 0xFFFFFFFFu}) {
    FrameAssembler assembler;
    std::vector<Chunk> frames;
    EXPECT_FALSE(assembler.feed(bytes_of(u32(length)), frames)) << length;
    EXPECT_FALSE(assembler.feed(bytes_of(text("fine")), frames)) << length;
    EXPECT_TRUE(frames.empty());
    EXPECT_NE(assembler.fault().find(std::to_string(length)), std::string::npos);
  }
}

TEST(FrameAssembler, TakesTheLargestFrame) {
  const std::string large(max_frame_bytes, 'x');
  FrameAssembler assembler;
  std::vector<Chunk> frames;
  const std::string stream = text(large);
  for (std::size_t at = 0; at < stream.size(); at += 100'000)
    ASSERT_TRUE(
        assembler.feed(bytes_of(stream).subspan(at, std::min<std::size_t>(100'000, stream.size() - at)), frames));
  ASSERT_EQ(frames.size(), 1u);
  EXPECT_TRUE(frames[0].text() == large);
}

TEST(Replies, OfCheckFile) {
  const std::string reply("\0\0\0\6sha256\x01\xff", 12);
  const auto parsed = parse_check_file(std::as_bytes(std::span(reply)));
  ASSERT_TRUE(parsed.has_value());
  EXPECT_EQ(parsed->algorithm, "sha256");
  EXPECT_EQ(parsed->digest, (std::vector<std::byte>{std::byte{1}, std::byte{255}}));
  for (const std::size_t size : {0, 3, 9, 10})
    EXPECT_FALSE(parse_check_file(std::as_bytes(std::span(reply).first(size))).has_value()) << size;
}

} // namespace
} // namespace checkvalve
