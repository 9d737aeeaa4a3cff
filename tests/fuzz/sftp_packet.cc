// SFTP packets: the bodies of replies, by the first byte, and a stream that comes in pieces.
#include "protocol/sftp_packet.h"

#include <algorithm>
#include <vector>

#include "fuzz/target.h"
#include "protocol/frame_assembler.h"

using namespace checkvalve;

namespace {

std::vector<Chunk> frames_of(std::span<const std::byte> bytes, std::size_t piece_bytes, bool& valid) {
  FrameAssembler assembler;
  std::vector<Chunk> frames;
  valid = true;
  while (valid && !bytes.empty()) {
    const auto piece = bytes.first(std::min(piece_bytes, bytes.size()));
    valid = assembler.feed(piece, frames);
    bytes = bytes.subspan(piece.size());
  }
  return frames;
}

void check_pieces(fuzz::Input input) {
  const std::size_t piece_bytes = input.byte() + std::size_t{1};
  bool valid = false;
  bool valid_whole = false;
  const auto frames = frames_of(input.bytes(), piece_bytes, valid);
  const auto whole = frames_of(input.bytes(), input.bytes().size(), valid_whole);
  fuzz::require(valid == valid_whole && frames.size() == whole.size(), "packets depend on how they come");
  for (std::size_t at = 0; at < frames.size(); ++at)
    fuzz::require(std::ranges::equal(frames[at].bytes(), whole[at].bytes()), "a packet depends on how it comes");
}

} // namespace

CV_FUZZ_TARGET(sftp_packet) {
  switch (input.byte() % 10) {
  case 0: parse_version(input.bytes()); break;
  case 1: parse_status(input.bytes()); break;
  case 2: parse_handle(input.bytes()); break;
  case 3:
    if (const auto names = parse_names(input.bytes()))
      fuzz::require(names->size() <= input.rest().size(), "more names than bytes");
    break;
  case 4: parse_attributes(input.bytes()); break;
  case 5: parse_file_system(input.bytes()); break;
  case 6: parse_limits(input.bytes()); break;
  case 7: parse_check_file(input.bytes()); break;
  case 8: {
    Chunk body = Chunk::copy_of(input.rest());
    narrow_to_data(body);
    break;
  }
  default: check_pieces(input);
  }
}
