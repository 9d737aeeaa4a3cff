#include "sync/side_files.h"

#include <algorithm>

namespace checkvalve {
namespace {

constexpr int side_shift = 48; // a plan has fewer than 2^48 files

} // namespace

TemporaryName side_temporary(TemporaryName of_file, std::size_t number) {
  of_file.file |= static_cast<std::uint64_t>(number + 1) << side_shift;
  return of_file;
}

Task<Result<void>> SideFiles::write(std::size_t number, std::string text) {
  File& file = files_[number];
  if (text.empty()) co_return Result<void>();
  if (!file.upload) {
    const TemporaryName temporary = side_temporary(temporary_, number);
    CV_CO_TRY(file.upload, co_await target_.begin(path_ + suffixes_[number], {temporary, std::nullopt}));
  }
  std::string_view left = text;
  while (!left.empty()) {
    const std::string_view part = left.substr(0, target_.capabilities().chunk_bytes);
    CV_CO_CHECK(co_await file.upload->write(file.bytes, Chunk::copy_of(part)));
    file.bytes += part.size();
    left.remove_prefix(part.size());
  }
  co_return Result<void>();
}

Task<Result<void>> SideFiles::commit(CommitOptions options) {
  options.mode.reset();
  if (options.replace == Replace::if_absent && target_.capabilities().atomic_replace) options.replace = Replace::atomic;
  for (File& file : files_) {
    if (!file.upload) continue;
    options.size_bytes = file.bytes;
    CV_CO_TRY(const Published published, co_await file.upload->commit(options));
    file.upload.reset();
  }
  co_return Result<void>();
}

Task<void> SideFiles::abort() {
  for (File& file : files_) {
    if (file.upload) (void)co_await file.upload->abort();
    file.upload.reset();
  }
}

} // namespace checkvalve
