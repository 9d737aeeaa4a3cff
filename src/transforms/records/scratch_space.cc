#include "transforms/records/scratch_space.h"

#include <fmt/format.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "core/path.h"
#include "core/units.h"
#include "transforms/transform.h"

namespace checkvalve {
namespace {

constexpr std::uint64_t look_every_bytes = 16 << 20; // at the disk's free space

// Where SQLite puts temporary files (os_unix.c, unixTempFileDir).
std::string temporary_directory() {
  const char* const candidates[] = {std::getenv("SQLITE_TMPDIR"), std::getenv("TMPDIR"), "/var/tmp", "/usr/tmp",
                                    "/tmp"};
  for (const char* candidate : candidates)
    if (candidate && ::access(candidate, W_OK | X_OK) == 0) return candidate;
  return ".";
}

std::optional<std::uint64_t> free_bytes(const std::string& directory) {
  struct statvfs disk;
  if (::statvfs(directory.c_str(), &disk) != 0) return std::nullopt;
  return static_cast<std::uint64_t>(disk.f_bavail) * disk.f_frsize;
}

} // namespace

struct ScratchSpace::File {
  sqlite3_file base;
  ScratchSpace* space;
  std::uint64_t size_bytes;
  sqlite3_file* real() { return reinterpret_cast<sqlite3_file*>(this + 1); } // lies behind it (szOsFile)
};

// Calls through to the real file; writes are counted by the size that the file comes to.
struct ScratchSpace::Methods {
  static File& of(sqlite3_file* file) { return *reinterpret_cast<File*>(file); }
  static sqlite3_file* real(sqlite3_file* file) { return of(file).real(); }

  static int close(sqlite3_file* file) {
    of(file).space->used_bytes_ -= of(file).size_bytes;
    return real(file)->pMethods->xClose(real(file));
  }
  static int read(sqlite3_file* file, void* data, int size, sqlite3_int64 offset) {
    return real(file)->pMethods->xRead(real(file), data, size, offset);
  }
  static int write(sqlite3_file* file, const void* data, int size, sqlite3_int64 offset) {
    const std::uint64_t end = static_cast<std::uint64_t>(offset) + static_cast<std::uint64_t>(size);
    File& mine = of(file);
    if (end > mine.size_bytes) {
      if (!mine.space->grow(end - mine.size_bytes)) return SQLITE_FULL;
      mine.size_bytes = end;
    }
    return real(file)->pMethods->xWrite(real(file), data, size, offset);
  }
  static int truncate(sqlite3_file* file, sqlite3_int64 size) {
    const int code = real(file)->pMethods->xTruncate(real(file), size);
    File& mine = of(file);
    if (code == SQLITE_OK && static_cast<std::uint64_t>(size) < mine.size_bytes) {
      mine.space->used_bytes_ -= mine.size_bytes - static_cast<std::uint64_t>(size);
      mine.size_bytes = static_cast<std::uint64_t>(size);
    }
    return code;
  }
  static int sync(sqlite3_file*, int) { return SQLITE_OK; } // nobody will read it again
  static int size(sqlite3_file* file, sqlite3_int64* bytes) {
    return real(file)->pMethods->xFileSize(real(file), bytes);
  }
  static int lock(sqlite3_file*, int) { return SQLITE_OK; } // it has no name by which another could open it
  static int unlock(sqlite3_file*, int) { return SQLITE_OK; }
  static int is_reserved(sqlite3_file*, int* answer) {
    *answer = 0;
    return SQLITE_OK;
  }
  static int control(sqlite3_file* file, int what, void* argument) {
    // A size hint makes the real file grow without a write; without it nothing grows uncounted.
    if (what == SQLITE_FCNTL_SIZE_HINT || what == SQLITE_FCNTL_CHUNK_SIZE) return SQLITE_OK;
    return real(file)->pMethods->xFileControl(real(file), what, argument);
  }
  static int sector(sqlite3_file* file) { return real(file)->pMethods->xSectorSize(real(file)); }
  static int device(sqlite3_file* file) { return real(file)->pMethods->xDeviceCharacteristics(real(file)); }

  static constexpr sqlite3_io_methods table = {
      .iVersion = 1, // no shared memory, no mapping: those would pass the counting by
      .xClose = close,
      .xRead = read,
      .xWrite = write,
      .xTruncate = truncate,
      .xSync = sync,
      .xFileSize = size,
      .xLock = lock,
      .xUnlock = unlock,
      .xCheckReservedLock = is_reserved,
      .xFileControl = control,
      .xSectorSize = sector,
      .xDeviceCharacteristics = device,
  };
};

Result<std::unique_ptr<ScratchSpace>> ScratchSpace::make(const ScratchLimits& limits, std::uint64_t expected_bytes) {
  std::string directory = temporary_directory();
  const auto free = free_bytes(directory);
  if (free && *free < limits.min_free_bytes + expected_bytes)
    return transform_failure(fmt::format(
        "the table needs about {} of disk space, but '{}' has {} free and min_free={} must remain free: set $TMPDIR "
        "to a larger disk",
        format_size(expected_bytes), escape_bytes(directory), format_size(*free), format_size(limits.min_free_bytes)));
  return std::unique_ptr<ScratchSpace>(new ScratchSpace(limits, std::move(directory)));
}

ScratchSpace::ScratchSpace(const ScratchLimits& limits, std::string directory)
    : limits_(limits), directory_(std::move(directory)), real_(sqlite3_vfs_find(nullptr)), vfs_(*real_) {
  static std::atomic<std::uint64_t> number = 0;
  name_ = fmt::format("checkvalve-scratch-{}", ++number);
  vfs_.zName = name_.c_str();
  vfs_.pNext = nullptr;
  vfs_.pAppData = this;
  vfs_.szOsFile = static_cast<int>(sizeof(File)) + real_->szOsFile;
  vfs_.xOpen = &ScratchSpace::open;
  if (sqlite3_vfs_register(&vfs_, 0) != SQLITE_OK) throw std::bad_alloc();
}

ScratchSpace::~ScratchSpace() { sqlite3_vfs_unregister(&vfs_); }

int ScratchSpace::open(sqlite3_vfs* vfs, sqlite3_filename path, sqlite3_file* file, int flags, int* out_flags) {
  auto* space = static_cast<ScratchSpace*>(vfs->pAppData);
  File* mine = new (file) File{{nullptr}, space, 0};
  const int code = space->real_->xOpen(space->real_, path, mine->real(), flags, out_flags);
  // SQLite closes exactly those files that have methods.
  if (mine->real()->pMethods) mine->base.pMethods = &Methods::table;
  return code;
}

bool ScratchSpace::grow(std::uint64_t bytes) {
  if (used_bytes_ + bytes > limits_.max_disk_bytes) {
    refusal_ = fmt::format("the table and the query's temporary data need more disk space than max_disk={}",
                           format_size(limits_.max_disk_bytes));
    return false;
  }
  unchecked_bytes_ += bytes;
  if (unchecked_bytes_ >= look_every_bytes) {
    unchecked_bytes_ = 0;
    const auto free = free_bytes(directory_);
    if (free && *free < limits_.min_free_bytes) {
      refusal_ = fmt::format("after {} of temporary data, '{}' has {} free, less than min_free={}: set $TMPDIR to a "
                             "larger disk",
                             format_size(used_bytes_), escape_bytes(directory_), format_size(*free),
                             format_size(limits_.min_free_bytes));
      return false;
    }
  }
  used_bytes_ += bytes;
  return true;
}

} // namespace checkvalve
