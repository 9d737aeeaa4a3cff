#include "conformance/backend/directory.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "core/path.h"

namespace checkvalve::conformance {
namespace {

Failure failure(const char* operation, const std::string& path) { return Failure(errno_error(errno, operation, path)); }

} // namespace

DirectoryFixture::DirectoryFixture() {
  std::string name = (std::filesystem::temp_directory_path() / "checkvalve-test-XXXXXX").string();
  if (!mkdtemp(name.data())) throw std::runtime_error("no temporary directory could be made: " + name);
  root_ = name;
}

DirectoryFixture::~DirectoryFixture() {
  // Write-protected directories of a test are opened up first, so that they can be removed.
  std::error_code ignored;
  std::filesystem::permissions(root_, std::filesystem::perms::owner_all, ignored);
  for (std::filesystem::recursive_directory_iterator it(root_, ignored), end; !ignored && it != end;
       it.increment(ignored))
    if (it->is_directory(ignored) && !it->is_symlink(ignored))
      std::filesystem::permissions(it->path(), std::filesystem::perms::owner_all, ignored);
  std::filesystem::remove_all(root_, ignored);
}

Task<Result<void>> DirectoryFixture::plant_file(std::string path, std::string content) {
  const std::string name = join_path(root_, path);
  std::ofstream file(name, std::ios::binary | std::ios::trunc);
  file << content;
  file.close();
  if (!file) co_return failure("plant", name);
  co_return Result<void>();
}

Task<Result<void>> DirectoryFixture::plant_directory(std::string path) {
  const std::string name = join_path(root_, path);
  if (::mkdir(name.c_str(), 0755) != 0) co_return failure("plant", name);
  co_return Result<void>();
}

Task<Result<void>> DirectoryFixture::plant_link(std::string path, std::string text) {
  const std::string name = join_path(root_, path);
  if (::symlink(text.c_str(), name.c_str()) != 0) co_return failure("plant", name);
  co_return Result<void>();
}

Task<Result<std::string>> DirectoryFixture::read_back(std::string path) {
  const std::string name = join_path(root_, path);
  std::ifstream file(name, std::ios::binary);
  if (!file) co_return failure("read back", name);
  co_return std::string(std::istreambuf_iterator<char>(file), {});
}

Task<Result<std::vector<std::string>>> DirectoryFixture::raw_names(std::string directory) {
  std::vector<std::string> names;
  std::error_code error;
  for (std::filesystem::directory_iterator it(join_path(root_, directory), error), end; !error && it != end;
       it.increment(error))
    names.push_back(it->path().filename().string());
  if (error && error.value() != ENOENT) co_return Failure(errno_error(error.value(), "list", directory));
  std::sort(names.begin(), names.end());
  co_return names;
}

bool DirectoryFixture::deny(const std::string& path) {
  if (::geteuid() == 0) return false;
  const std::string name = join_path(root_, path);
  struct stat status{};
  if (::stat(name.c_str(), &status) != 0) return false;
  return ::chmod(name.c_str(), S_ISDIR(status.st_mode) ? 0555 : 0) == 0;
}

} // namespace checkvalve::conformance
