// Chunk: an owned run of bytes on its way from a source to a target. Move-only; may be made on one thread and dropped
// on another. Large buffers are recycled (at most 32 MiB idle), so that a gigabyte does not cost a gigabyte of malloc.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>

namespace checkvalve {

class Chunk {
public:
  Chunk() = default;
  // A buffer of at least `capacity` bytes, uninitialised; the view is its first `capacity` bytes.
  static Chunk allocate(std::size_t capacity);
  static Chunk copy_of(std::span<const std::byte> bytes);
  static Chunk copy_of(std::string_view text) { return copy_of(std::as_bytes(std::span(text))); }

  Chunk(Chunk&& other) noexcept
      : buffer_(std::exchange(other.buffer_, nullptr)), capacity_(std::exchange(other.capacity_, 0)),
        begin_(std::exchange(other.begin_, 0)), size_(std::exchange(other.size_, 0)) {}
  Chunk& operator=(Chunk&& other) noexcept {
    std::swap(buffer_, other.buffer_);
    std::swap(capacity_, other.capacity_);
    std::swap(begin_, other.begin_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~Chunk();

  std::byte* data() { return buffer_ + begin_; }
  const std::byte* data() const { return buffer_ + begin_; }
  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  std::span<const std::byte> bytes() const { return {data(), size_}; }
  std::span<std::byte> writable() { return {data(), size_}; }
  std::string_view text() const { return {reinterpret_cast<const char*>(data()), size_}; }

  // Narrows the view; the buffer stays. front + kept must lie within the present view.
  void narrow(std::size_t front, std::size_t kept) {
    begin_ += front;
    size_ = kept;
  }

private:
  std::byte* buffer_ = nullptr;
  std::size_t capacity_ = 0; // bytes of the buffer: decides where it goes back to
  std::size_t begin_ = 0;
  std::size_t size_ = 0;
};

} // namespace checkvalve
