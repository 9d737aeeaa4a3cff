// NameProbe: finds out, by trying, whether a target takes two names for one. File systems and servers do not say so,
// and it may differ from directory to directory (ext4's casefold).
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/async.h"
#include "sync/engine.h"

namespace checkvalve {

// Engine thread only; many calls may be under way.
class NameProbe {
public:
  // Directories that are tried out, over all questions; those beyond are taken to be like the last one.
  static constexpr std::size_t max_tries = 100;

  // `may_write`: an empty temporary (TemporaryName::probe) is made where nothing else gives an answer, in the directory
  // or, while that does not exist, in the one above it, and is removed.
  NameProbe(Engine& engine, Target& target, bool may_write) : engine_(engine), target_(target), may_write_(may_write) {}

  // Nothing: it can't be found out. Fails if the endpoint is lost.
  Task<Result<std::optional<bool>>> are_one(std::string directory, std::string name, std::string other);
  // Whether names that are not UTF-8 are changed.
  Task<Result<std::optional<bool>>> changes_bytes(std::string directory);
  // What was seen of two names.
  void learn(const std::string& directory, std::string_view name, std::string_view other, bool one);

private:
  struct Question {
    std::string name; // of the probe
    std::string other;
    std::string key() const { return name + '\0' + other; }
  };
  struct Asked {
    OneShotEvent answered;
    Result<std::optional<bool>> answer = std::optional<bool>();
  };
  static Question question_of(std::string_view name, std::string_view other);
  Task<Result<std::optional<bool>>> ask(std::string directory, Question question);
  Task<Result<std::optional<bool>>> try_out(std::string directory, Question question);
  Task<Result<std::optional<bool>>> look_at(std::string path, std::string other);

  Engine& engine_;
  Target& target_;
  const bool may_write_;
  std::map<std::string, std::shared_ptr<Asked>> asked_; // by directory and question
  std::map<std::string, bool> last_;                    // by question
  std::size_t tries_ = 0;
  bool warned_ = false;
};

} // namespace checkvalve
