#include "core/chunk.h"

#include <bit>
#include <cstring>
#include <mutex>
#include <new>
#include <vector>

namespace checkvalve {
namespace {

// Buffers from 32 KiB to 1 MiB are kept by powers of two, with room for an SFTP header before the payload.
constexpr std::size_t header_room = 1024;
constexpr std::size_t smallest_kept = 32 * 1024;
constexpr std::size_t largest_kept = 1024 * 1024;
constexpr std::size_t idle_limit_bytes = 32 * 1024 * 1024;

class Recycler {
public:
  std::byte* take(std::size_t capacity) {
    {
      std::lock_guard lock(mutex_);
      auto& shelf = shelves_[shelf_of(capacity)];
      if (!shelf.empty()) {
        std::byte* buffer = shelf.back();
        shelf.pop_back();
        idle_bytes_ -= capacity;
        return buffer;
      }
    }
    return static_cast<std::byte*>(::operator new(capacity));
  }
  void give(std::byte* buffer, std::size_t capacity) {
    {
      std::lock_guard lock(mutex_);
      if (idle_bytes_ + capacity <= idle_limit_bytes) {
        shelves_[shelf_of(capacity)].push_back(buffer);
        idle_bytes_ += capacity;
        return;
      }
    }
    ::operator delete(buffer);
  }

private:
  static std::size_t shelf_of(std::size_t capacity) {
    return std::bit_width((capacity - header_room) / smallest_kept) - 1;
  }
  std::mutex mutex_;
  std::vector<std::byte*> shelves_[6]; // guarded by mutex_
  std::size_t idle_bytes_ = 0;         // guarded by mutex_
};

// Never destroyed: worker threads may drop chunks while the process exits.
Recycler& recycler() {
  static auto* const instance = new Recycler;
  return *instance;
}

bool recycled(std::size_t capacity) { return capacity >= smallest_kept + header_room; }

} // namespace

Chunk Chunk::allocate(std::size_t capacity) {
  Chunk chunk;
  chunk.size_ = capacity;
  if (capacity >= smallest_kept / 2 && capacity <= largest_kept + header_room) {
    const std::size_t payload = capacity <= header_room ? smallest_kept : capacity - header_room;
    chunk.capacity_ = std::max(std::bit_ceil(payload), smallest_kept) + header_room;
    chunk.buffer_ = recycler().take(chunk.capacity_);
  } else {
    // Sizes above the largest shelf keep a capacity that no shelf has, so that they are never recycled.
    chunk.capacity_ = 0;
    chunk.buffer_ = static_cast<std::byte*>(::operator new(std::max<std::size_t>(capacity, 1)));
  }
  return chunk;
}

Chunk Chunk::copy_of(std::span<const std::byte> bytes) {
  Chunk chunk = allocate(bytes.size());
  if (!bytes.empty()) std::memcpy(chunk.data(), bytes.data(), bytes.size());
  return chunk;
}

Chunk::~Chunk() {
  if (!buffer_) return;
  if (recycled(capacity_))
    recycler().give(buffer_, capacity_);
  else
    ::operator delete(buffer_);
}

} // namespace checkvalve
