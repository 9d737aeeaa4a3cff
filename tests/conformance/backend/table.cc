// docs/reference/capabilities.md: what each backend says of itself, with the server that it is tested on. A row that is
// not what the backend says fails; CHECKVALVE_WRITE_REFERENCE=1 writes it.
#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>

#include "conformance/backend/suite.h"

namespace checkvalve::conformance {
namespace {

namespace fs = std::filesystem;

const fs::path page = fs::path(__FILE__).parent_path() / "../../../docs/reference/capabilities.md";

constexpr std::string_view head =
    R"(# Capabilities

What each backend says of itself to the engine, with the server that the conformance tests run it on. `checkvalve doctor URL` says
it of a server of yours. Made by `CHECKVALVE_WRITE_REFERENCE=1 backend_conformance`; the tests fail where it is out of date.

| tested as | replaces in one step | refuses in one step | keeps mtime | keeps mode | durable | links | server-side copy | server-side checksum | resumes uploads | lists subtrees |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
)";

std::string yes(bool value) { return value ? "yes" : "no"; }

std::string row_of(const std::string& name, const Capabilities& can, bool copies, const std::string& digests) {
  const std::string mtime = can.keeps_mtime ? fmt::format("to {} ns", can.mtime_precision_ns) : "no";
  return fmt::format("| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |", name, yes(can.atomic_replace),
                     yes(can.create_if_absent), mtime, yes(can.keeps_mode), yes(can.durable), yes(can.symlinks),
                     yes(copies), digests, yes(can.resumes_uploads), yes(can.recursive_list));
}

std::map<std::string, std::string> present_rows() {
  std::map<std::string, std::string> rows;
  std::ifstream file(page);
  for (std::string line; std::getline(file, line);)
    if (line.starts_with("| ") && !line.starts_with("| ---") && !line.starts_with("| tested"))
      rows[line.substr(2, line.find(' ', 2) - 2)] = line;
  return rows;
}

BACKEND_TEST(SaysWhatTheReferenceSays) {
  const std::string name = BackendSuite::GetParam().name;
  const auto hash = co_await t.target().server_side_checksum();
  const std::string digests = hash ? std::string(to_string(*hash)) : "no";
  const std::string row = row_of(name, t.capabilities(), t.source().origin() != nullptr, digests);
  auto rows = present_rows();
  if (std::getenv("CHECKVALVE_WRITE_REFERENCE")) {
    rows[name] = row;
    std::ofstream file(page, std::ios::trunc);
    file << head;
    for (const auto& [_, text] : rows) file << text << "\n";
  } else {
    EXPECT_EQ(rows[name], row) << "run CHECKVALVE_WRITE_REFERENCE=1 backend_conformance --gtest_filter='*Reference*'";
  }
  co_return;
}

} // namespace
} // namespace checkvalve::conformance
