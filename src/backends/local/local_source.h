// The reading side of the local backend.
#pragma once

#include "backends/basic.h"
#include "backends/local/local_files.h"
#include "backends/source.h"

namespace checkvalve {

class LocalSource : public BasicSource {
public:
  LocalSource(ThreadPool& workers, std::string root, RootDirectory::Links links)
      : workers_(workers), holder_(std::make_shared<RootHolder>(std::move(root), links)) {}
  Task<Result<void>> connect() override;
  const Capabilities& capabilities() const override { return capabilities_; }
  Task<Result<std::unique_ptr<Listing>>> list(std::string directory, bool recursive) override;
  Task<Result<Entry>> stat(std::string path, bool follow) override;
  Task<Result<std::unique_ptr<Reader>>> open(Entry entry) override;
  Task<Result<std::string>> read_link(std::string path) override;
  Task<Result<std::string>> real_path(std::string path) override;
  std::shared_ptr<const Origin> origin() const override;
  Task<void> disconnect() override;

private:
  ThreadPool& workers_;
  SharedHolder holder_;
  Capabilities capabilities_;
};

} // namespace checkvalve
