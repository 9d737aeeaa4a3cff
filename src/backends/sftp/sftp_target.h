// The writing side of the sftp backend.
#pragma once

#include <map>
#include <set>
#include <unordered_set>

#include "backends/basic.h"
#include "backends/sftp/file_streams.h"
#include "backends/sftp/sftp_side.h"
#include "backends/target.h"

namespace checkvalve {

class SftpTarget : public BasicTarget {
public:
  SftpTarget(BackendContext& context, SftpSettings settings)
      : context_(context), side_(context, std::move(settings)), shared_(std::make_shared<Shared>()) {}
  Task<Result<void>> connect() override;
  const Capabilities& capabilities() const override { return shared_->capabilities; }
  Task<Result<std::unique_ptr<Listing>>> list(std::string directory, bool recursive) override;
  Task<Result<Entry>> stat(std::string path, bool follow) override { return side_.stat(std::move(path), follow); }
  Result<void> accepts(std::string_view path) const override;
  Task<Result<void>> make_directory(std::string path, std::optional<std::uint32_t> mode) override;
  Task<Result<void>> make_link(std::string path, std::string text, TemporaryName temporary, Replace replace) override;
  Task<Result<std::unique_ptr<Upload>>> begin(std::string path, UploadHints hints) override;
  Task<Result<void>> discard(std::string path, TemporaryName temporary) override;
  Task<Result<void>> remove_orphan(Orphan orphan) override;
  Task<Result<SetAsideOutcome>> settle_set_aside(std::string path) override;
  Task<Result<HashAlgorithm>> server_side_checksum() override;
  bool bounds_its_calls() const override { return true; } // SftpSession does
  Task<void> disconnect() override { return side_.disconnect(); }

  // What uploads share with their target.
  struct Shared {
    Capabilities capabilities;
    bool writes_anywhere = false;     // any handle of a file takes bytes at any offset, and keeps those that are there
    bool takes_exclusive = true;      // OPEN with the flag "exclusive"
    bool warned_unchecked = false;    // sizes can't be checked
    std::set<std::string> unfinished; // with inplace: files under their final names that this process made
  };

private:
  struct Making; // of one directory, under way
  Task<Result<void>> make_absolute(std::string path, std::optional<std::uint32_t> mode);
  // Fails if a symbolic link among the directory and its parents leads out of the root. What does not exist leads
  // nowhere.
  Task<Result<void>> check_links(std::string directory);
  Task<Result<void>> check_link(std::shared_ptr<SftpSession> session, std::string path);
  Task<Result<std::unique_ptr<FileStreams>>> open_new(std::string path, std::uint64_t size_bytes);
  Task<Result<std::unique_ptr<FileStreams>>> open_in_place(std::string path, bool replaces, std::uint64_t size_bytes);
  FileStreams::Open to_write(std::string path, std::uint32_t flags, std::uint64_t size_bytes) const;
  Task<Result<void>> make_with_parents(std::string path, std::optional<std::uint32_t> mode);
  Task<Result<void>> remove_temporary(std::string path);

  BackendContext& context_;
  SftpSide side_;
  std::shared_ptr<Shared> shared_;
  std::map<std::string, std::shared_ptr<Making>> making_;
  std::unordered_set<std::string> inside_; // directories at the server that were seen to lie below the root
  std::string real_root_;                  // its REALPATH, once a link made it needed
};

} // namespace checkvalve
