// The writing side of the sftp backend.
#pragma once

#include <map>

#include "backends/basic.h"
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
  };

private:
  struct Making; // of one directory, under way
  Task<Result<void>> make_absolute(std::string path, std::optional<std::uint32_t> mode);
  Task<Result<void>> make_with_parents(std::string path, std::optional<std::uint32_t> mode);
  Task<Result<void>> remove_temporary(std::string path);

  BackendContext& context_;
  SftpSide side_;
  std::shared_ptr<Shared> shared_;
  std::map<std::string, std::shared_ptr<Making>> making_;
};

} // namespace checkvalve
