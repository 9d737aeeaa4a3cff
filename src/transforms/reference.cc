#include "transforms/reference.h"

#include <fmt/format.h>

#include "transforms/registry.h"

namespace checkvalve {
namespace {

void add_option(const OptionSpec& spec, std::string& page) {
  page += fmt::format("| `{}` | {} | {} | {} |\n", spec.name, describe(spec.type),
                      spec.default_value.empty() ? "" : fmt::format("`{}`", table_cell(spec.default_value)),
                      table_cell(spec.help));
}

} // namespace

std::string_view word_for(StageClass stage_class) {
  switch (stage_class) {
  case StageClass::stateless: return "stateless";
  case StageClass::streaming: return "streaming";
  case StageClass::spilling: return "spilling";
  }
  return "";
}

std::string_view describe(StageClass stage_class) {
  switch (stage_class) {
  case StageClass::stateless: return "on each chunk independently";
  case StageClass::streaming: return "in bounded memory";
  case StageClass::spilling: return "with temporary data on disk";
  }
  return "";
}

std::string table_cell(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '|') out += '\\';
    out += c;
  }
  return out;
}

std::string transforms_page() {
  std::string page = "# Transforms\n\n"
                     "What `--transform 'NAME key=value'` and `[[job.NAME.transform]]` tables take. How to use them: "
                     "[../transforms.md](../transforms.md).\n\nEvery transform takes:\n\n"
                     "| option | value | default | |\n| --- | --- | --- | --- |\n";
  add_option(rename_option, page);
  for (const TransformDescriptor* transform : transforms()) {
    page += fmt::format("\n## {}\n\n{}; works {}.{}\n", transform->name, transform->summary,
                        describe(transform->stage_class),
                        transform->renames.empty() ? "" : fmt::format(" Name: {}.", transform->renames));
    if (transform->options.empty()) continue;
    page += "\n| option | value | default | |\n| --- | --- | --- | --- |\n";
    for (const OptionSpec& spec : transform->options) add_option(spec, page);
  }
  return page;
}

} // namespace checkvalve
