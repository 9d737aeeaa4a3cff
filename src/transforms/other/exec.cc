// exec: any program as a filter, from its standard input to its standard output.
#include <cstdlib>

#include "core/path.h"
#include "transforms/other/child.h"
#include "transforms/other/other.h"

namespace checkvalve {
namespace {

class ExecStage : public Stage {
public:
  explicit ExecStage(std::unique_ptr<Child> child) : child_(std::move(child)) {}
  Result<void> push(Chunk& in, Emit& out) override { return child_->feed(in, out); }
  Result<bool> finish(Emit& out) override { return child_->finish(out); }

private:
  std::unique_ptr<Child> child_;
};

class Exec : public Transform {
public:
  explicit Exec(ChildSettings settings) : settings_(std::move(settings)) {}
  std::uint64_t memory_bytes(std::optional<std::uint64_t>) const override {
    return 16 << 10;
  } // the program's own is not counted
  Result<std::unique_ptr<Stage>> start(const FileContext& file) const override {
    ChildSettings settings = settings_;
    settings.environment.push_back("CHECKVALVE_PATH=" + file.path);
    settings.environment.push_back("CHECKVALVE_TARGET_PATH=" + file.target_path);
    CV_TRY(std::unique_ptr<Child> child, Child::start(settings));
    return std::make_unique<ExecStage>(std::move(child));
  }

private:
  const ChildSettings settings_;
};

constexpr OptionSpec exec_options[] = {
    {"command", OptionType::list, "",
     "the program, or a JSON array of the program and its arguments: '[\"tr\", \"a-z\", \"A-Z\"]'; required"},
    {"environment", OptionType::list, "",
     "JSON array of environment variables: NAME=value to set, NAME to pass through; PATH, HOME, LANG and TZ always "
     "pass"},
    {"timeout", OptionType::duration, "1m", "fail the file if the program neither reads nor writes for this long"},
    {"memory", OptionType::size, "0", "maximum address space of the program; 0: no limit"},
    {"cpu", OptionType::duration, "0", "maximum CPU time of the program; 0: no limit"},
    {"version", OptionType::text, "", "any text; change it when the program changes, and files are transferred again"},
};

} // namespace

const TransformDescriptor exec_transform = {
    .name = "exec",
    .summary = "runs a program as a filter, from its standard input to its standard output",
    .options = exec_options,
    .make = [](const OptionValues& options) -> Result<std::shared_ptr<const Transform>> {
      ChildSettings settings;
      settings.argv = options.list("command");
      if (settings.argv.empty() || settings.argv[0].empty())
        return option_failure("missing command; for example exec command=rev");
      std::vector<std::string> wanted = options.list("environment");
      for (const char* usual : {"PATH", "HOME", "LANG", "TZ"}) wanted.emplace_back(usual);
      for (const std::string& item : wanted) {
        if (item.find('=') != item.npos)
          settings.environment.push_back(item);
        else if (const char* value = std::getenv(item.c_str()))
          settings.environment.push_back(item + "=" + value);
      }
      settings.timeout = options.duration("timeout");
      if (settings.timeout.count() <= 0 || settings.timeout > std::chrono::hours(24 * 7))
        return option_failure("timeout must be greater than 0 and at most 7 days");
      settings.memory_bytes = options.number("memory");
      settings.cpu_seconds = static_cast<std::uint64_t>((options.duration("cpu").count() + 999) / 1000);
      return std::make_shared<Exec>(std::move(settings));
    },
};

} // namespace checkvalve
