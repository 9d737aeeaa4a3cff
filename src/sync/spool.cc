#include "sync/spool.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "sync/temporary_file.h"

namespace checkvalve {
namespace {

constexpr std::size_t header_bytes = 8;
constexpr std::size_t max_part_bytes = 1 << 20;
constexpr std::size_t file_buffer_bytes = 64 * 1024;

std::uint32_t read_u32(const char* at) {
  std::uint32_t value = 0;
  std::memcpy(&value, at, sizeof value);
  return value;
}

std::string_view key_at(const std::string& arena, std::size_t offset) {
  return std::string_view(arena).substr(offset + header_bytes, read_u32(arena.data() + offset));
}

std::string_view payload_at(const std::string& arena, std::size_t offset) {
  const std::uint32_t key_bytes = read_u32(arena.data() + offset);
  return std::string_view(arena).substr(offset + header_bytes + key_bytes, read_u32(arena.data() + offset + 4));
}

} // namespace

// One sorted run in a file, read from its start.
class Spool::Run {
public:
  explicit Run(std::FILE* file) : file_(file) { std::setvbuf(file_, nullptr, _IOFBF, file_buffer_bytes); }
  ~Run() { std::fclose(file_); }
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  bool write(std::string_view bytes) { return std::fwrite(bytes.data(), 1, bytes.size(), file_) == bytes.size(); }
  bool rewind_to_start() {
    at_end_ = false;
    return std::fflush(file_) == 0 && std::fseek(file_, 0, SEEK_SET) == 0;
  }

  Result<void> advance() {
    char header[header_bytes];
    const std::size_t got = std::fread(header, 1, sizeof header, file_);
    if (got == 0 && std::feof(file_)) {
      at_end_ = true;
      return {};
    }
    key_.resize(got == sizeof header ? read_u32(header) : 0);
    payload_.resize(got == sizeof header ? read_u32(header + 4) : 0);
    if (got != sizeof header || std::fread(key_.data(), 1, key_.size(), file_) != key_.size() ||
        std::fread(payload_.data(), 1, payload_.size(), file_) != payload_.size())
      return temporary_file_failure("read");
    return {};
  }
  bool at_end() const { return at_end_; }
  std::string_view key() const { return key_; }
  std::string_view payload() const { return payload_; }

private:
  std::FILE* file_;
  std::string key_;
  std::string payload_;
  bool at_end_ = false;
};

Spool::Spool(std::size_t memory_bytes) : memory_bytes_(memory_bytes) {}
Spool::~Spool() = default;

Result<void> Spool::add(std::string_view key, std::string_view payload) {
  if (key.size() > max_part_bytes || payload.size() > max_part_bytes)
    return Failure(make_error(ErrorKind::invalid_name, "plan", "", "a name is longer than 1 MiB"));
  const std::size_t added = header_bytes + key.size() + payload.size() + sizeof(std::size_t);
  if (!offsets_.empty() && arena_.size() + offsets_.size() * sizeof(std::size_t) + added > memory_bytes_)
    CV_CHECK(spill());
  const std::uint32_t sizes[2] = {static_cast<std::uint32_t>(key.size()), static_cast<std::uint32_t>(payload.size())};
  offsets_.push_back(arena_.size());
  arena_.append(reinterpret_cast<const char*>(sizes), sizeof sizes).append(key).append(payload);
  ++count_;
  return {};
}

void Spool::sort() {
  std::sort(offsets_.begin(), offsets_.end(),
            [this](std::size_t a, std::size_t b) { return key_at(arena_, a) < key_at(arena_, b); });
}

Result<void> Spool::spill() {
  const int descriptor = make_temporary_file();
  if (descriptor < 0) return temporary_file_failure("create");
  std::FILE* file = ::fdopen(descriptor, "w+");
  if (!file) return temporary_file_failure("create");
  auto run = std::make_unique<Run>(file);
  sort();
  for (const std::size_t offset : offsets_) {
    const std::size_t length = header_bytes + key_at(arena_, offset).size() + payload_at(arena_, offset).size();
    if (!run->write(std::string_view(arena_).substr(offset, length))) return temporary_file_failure("write");
  }
  if (!run->rewind_to_start()) return temporary_file_failure("write");
  runs_.push_back(std::move(run));
  arena_.clear();
  offsets_.clear();
  return {};
}

Result<void> Spool::finish() {
  if (!runs_.empty()) {
    if (!offsets_.empty()) CV_CHECK(spill());
    arena_ = {};
    offsets_ = {};
    for (auto& run : runs_) CV_CHECK(run->advance());
  } else {
    sort();
  }
  return {};
}

Result<void> Spool::rewind() {
  position_ = 0;
  last_ = nullptr;
  for (auto& run : runs_) {
    if (!run->rewind_to_start()) return temporary_file_failure("read");
    CV_CHECK(run->advance());
  }
  return {};
}

Result<bool> Spool::next(std::string_view& key, std::string_view& payload) {
  if (runs_.empty()) {
    if (position_ == offsets_.size()) return false;
    const std::size_t offset = offsets_[position_++];
    key = key_at(arena_, offset);
    payload = payload_at(arena_, offset);
    return true;
  }
  if (last_) CV_CHECK(last_->advance());
  last_ = nullptr;
  for (auto& run : runs_) // a million entries make about ten runs: a scan is as good as a heap
    if (!run->at_end() && (!last_ || run->key() < last_->key())) last_ = run.get();
  if (!last_) return false;
  key = last_->key();
  payload = last_->payload();
  return true;
}

SpilledStack::~SpilledStack() {
  if (file_ >= 0) ::close(file_);
}

Result<void> SpilledStack::push(std::string_view bytes) {
  if (!upper_.empty() && upper_.size() + bytes.size() > half_bytes_) {
    if (!lower_.empty()) CV_CHECK(spill());
    lower_ = std::exchange(upper_, {});
  }
  const auto size = static_cast<std::uint32_t>(bytes.size());
  upper_.append(bytes).append(reinterpret_cast<const char*>(&size), sizeof size);
  ++count_;
  return {};
}

Result<void> SpilledStack::pop(std::string& bytes) {
  if (upper_.empty()) {
    if (lower_.empty()) CV_CHECK(load());
    upper_ = std::exchange(lower_, {});
  }
  const std::size_t size = read_u32(upper_.data() + upper_.size() - 4);
  const std::size_t begin = upper_.size() - 4 - size;
  bytes.assign(upper_, begin, size);
  upper_.resize(begin);
  --count_;
  return {};
}

Result<void> SpilledStack::spill() {
  if (file_ < 0) file_ = make_temporary_file();
  if (file_ < 0) return temporary_file_failure("create");
  for (std::size_t done = 0; done < lower_.size();) {
    const ssize_t wrote = ::pwrite(file_, lower_.data() + done, lower_.size() - done, static_cast<off_t>(end_ + done));
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return temporary_file_failure("write");
    done += static_cast<std::size_t>(wrote);
  }
  end_ += lower_.size();
  blocks_.push_back(lower_.size());
  return {};
}

Result<void> SpilledStack::load() {
  lower_.resize(blocks_.back());
  end_ -= blocks_.back();
  blocks_.pop_back();
  for (std::size_t done = 0; done < lower_.size();) {
    const ssize_t got = ::pread(file_, lower_.data() + done, lower_.size() - done, static_cast<off_t>(end_ + done));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return temporary_file_failure("read");
    done += static_cast<std::size_t>(got);
  }
  return {};
}

Result<void> EntrySpool::rewind() {
  at_end_ = true;
  return spool_.rewind();
}

Result<void> EntrySpool::advance() {
  std::string_view path;
  const bool first = at_end_;
  do {
    CV_TRY(const bool more, spool_.next(path, entry_));
    at_end_ = !more;
  } while (!at_end_ && !first && path == entry_.path);
  if (!at_end_) entry_.path = path;
  return {};
}

} // namespace checkvalve
