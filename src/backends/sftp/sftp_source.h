// The reading side of the sftp backend.
#pragma once

#include "backends/basic.h"
#include "backends/sftp/sftp_side.h"
#include "backends/source.h"

namespace checkvalve {

class SftpSource : public BasicSource {
public:
  SftpSource(BackendContext& context, SftpSettings settings) : side_(context, std::move(settings)) {}
  Task<Result<void>> connect() override;
  const Capabilities& capabilities() const override { return capabilities_; }
  Task<Result<std::unique_ptr<Listing>>> list(std::string directory, bool recursive) override;
  Task<Result<Entry>> stat(std::string path, bool follow) override { return side_.stat(std::move(path), follow); }
  Task<Result<std::unique_ptr<Reader>>> open(Entry entry) override;
  Task<Result<std::string>> read_link(std::string path) override { return side_.read_link(std::move(path)); }
  Task<Result<std::string>> real_path(std::string path) override { return side_.real_path(std::move(path)); }
  bool bounds_its_calls() const override { return true; } // SftpSession does
  Task<void> disconnect() override { return side_.disconnect(); }

private:
  SftpSide side_;
  Capabilities capabilities_;
};

} // namespace checkvalve
