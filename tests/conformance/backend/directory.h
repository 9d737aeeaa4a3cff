// A fixture on a directory of this machine: for the local backend, and for servers that serve such a directory.
#pragma once

#include <string>

#include "conformance/backend/suite.h"

namespace checkvalve::conformance {

// Makes a fresh directory below the system's temporary directory and removes it, with all in it, at the end. Plants
// and looks with plain system calls.
class DirectoryFixture : public BackendFixture {
public:
  DirectoryFixture();
  ~DirectoryFixture() override;
  DirectoryFixture(const DirectoryFixture&) = delete;
  DirectoryFixture& operator=(const DirectoryFixture&) = delete;

  const std::string& root() const { return root_; } // absolute, without a '/' at the end

  Task<Result<void>> plant_file(std::string path, std::string content) override;
  Task<Result<void>> plant_directory(std::string path) override;
  Task<Result<void>> plant_link(std::string path, std::string text) override;
  Task<Result<std::string>> read_back(std::string path) override;
  Task<Result<std::vector<std::string>>> raw_names(std::string directory) override;
  // Takes all permission bits of a file, or the write bits of a directory; false for root, whom that does not stop.
  bool deny(const std::string& path) override;

private:
  std::string root_;
};

} // namespace checkvalve::conformance
