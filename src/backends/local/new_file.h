// NewFile: a file in the making below a local root. It has no name at all (O_TMPFILE) where the file system can do
// that, so that a crash leaves nothing; elsewhere it has its temporary's.
#pragma once

#include <span>

#include "backends/local/local_target.h"

namespace checkvalve {

// All calls block. write() may be called by several threads at once; lives as long as any call is under way.
class NewFile {
public:
  static Result<std::shared_ptr<NewFile>> create(std::shared_ptr<LocalTree> tree, std::string path,
                                                 std::string temporary, bool sparse);

  int fd() const { return fd_.get(); }
  // The path as the user knows it, for errors.
  std::string shown() const { return root_->shown(path_); }

  // Runs of zeros take no space, with `sparse`: what is not written of a new file reads as zeros.
  Result<void> write(std::uint64_t offset, std::span<const std::byte> bytes) const;
  // Drops what lies behind, so that it reads as zeros again.
  Result<void> truncate(std::uint64_t size_bytes) const;
  // Size check, metadata, durability, publish.
  Result<Published> commit(const CommitOptions& options);
  // Removes the temporary's name.
  Result<void> abort() const;

private:
  NewFile(std::shared_ptr<LocalTree> tree, SharedRoot root, std::string path, std::string temporary, bool sparse)
      : tree_(std::move(tree)), root_(std::move(root)), path_(std::move(path)), temporary_(std::move(temporary)),
        sparse_(sparse) {}
  Result<void> open();
  Result<void> check_size(std::uint64_t size_bytes) const;
  Result<void> check_content(const std::string& digest) const; // as CommitOptions::content_digest
  Result<void> set_metadata(const CommitOptions& options) const;
  Result<std::string> publish(Replace replace);
  Failure failure(std::string_view operation) const;

  const std::shared_ptr<LocalTree> tree_;
  const SharedRoot root_;
  const std::string path_;
  const std::string temporary_;
  const bool sparse_;
  UniqueFd fd_;
  bool named_ = false;
};

} // namespace checkvalve
