// What has no content of its own: symbolic links and directories.
#include "sync/copy.h"

namespace checkvalve {
namespace {

Task<Result<void>> nothing_to_remove() { co_return Result<void>(); }

class LinkCopy : public Copy {
public:
  LinkCopy(Source& source, Target& target, std::string path, std::string target_path, TemporaryName temporary)
      : source_(source), target_(target), path_(std::move(path)), target_path_(std::move(target_path)),
        temporary_(std::move(temporary)) {}

  Task<Result<Content>> move() override {
    CV_CO_TRY(text_, co_await source_.read_link(path_));
    co_return Content();
  }
  Task<Result<Published>> publish(CommitOptions options) override {
    CV_CO_CHECK(co_await target_.make_link(target_path_, text_, temporary_, options.replace));
    co_return Published{.method = "symlink"};
  }
  Task<Result<void>> abort() override { return nothing_to_remove(); } // make_link leaves nothing

private:
  Source& source_;
  Target& target_;
  const std::string path_;
  const std::string target_path_;
  const TemporaryName temporary_;
  std::string text_;
};

class DirectoryCopy : public Copy {
public:
  DirectoryCopy(Target& target, std::string target_path) : target_(target), target_path_(std::move(target_path)) {}

  Task<Result<Content>> move() override { co_return Content(); }
  Task<Result<Published>> publish(CommitOptions options) override {
    CV_CO_CHECK(co_await target_.make_directory(target_path_, options.mode));
    co_return Published{.method = "mkdir"};
  }
  Task<Result<void>> abort() override { return nothing_to_remove(); }

private:
  Target& target_;
  const std::string target_path_;
};

} // namespace

std::unique_ptr<Copy> copy_link(Source& source, Target& target, std::string path, std::string target_path,
                                TemporaryName temporary) {
  return std::make_unique<LinkCopy>(source, target, std::move(path), std::move(target_path), std::move(temporary));
}

std::unique_ptr<Copy> make_directory(Target& target, std::string target_path) {
  return std::make_unique<DirectoryCopy>(target, std::move(target_path));
}

} // namespace checkvalve
