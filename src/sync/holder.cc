#include "sync/holder.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <fstream>

#include "core/units.h"

namespace checkvalve {
namespace {

std::string first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

std::string host_name() {
  char host[256] = {};
  ::gethostname(host, sizeof host - 1);
  return host;
}

// The machine's present boot and this process's PID namespace: a number means the same process only within both.
std::string boot_and_namespace() {
  char link[64] = {};
  const ssize_t length = ::readlink("/proc/self/ns/pid", link, sizeof link - 1); // "pid:[4026531836]"
  const std::string boot = first_line("/proc/sys/kernel/random/boot_id");
  if (length <= 0 || boot.empty()) return "";
  std::string name(link, static_cast<std::size_t>(length));
  std::erase_if(name, [](char c) { return c < '0' || c > '9'; });
  return boot.substr(0, 8) + "-" + name;
}

// When the process began, in clock ticks since boot (proc(5), stat, field 22); empty if there is none, or if it has
// ended and only waits for its parent to notice (state Z). The command's name, field 2, may hold anything: fields are
// counted behind its last ')'.
std::string start_of(std::string_view pid) {
  const std::string line = first_line(fmt::format("/proc/{}/stat", pid));
  std::size_t at = line.rfind(')');
  if (at == line.npos || line.compare(at, 3, ") Z") == 0 || line.compare(at, 3, ") X") == 0) return "";
  for (int field = 2; field < 22 && at != line.npos; ++field) at = line.find(' ', at + 1);
  if (at == line.npos) return "";
  return line.substr(at + 1, line.find(' ', at + 1) - at - 1);
}

// Whether a process is there that is another user's and that /proc may not show (its mount option hidepid).
bool hidden(std::string_view pid) {
  pid_t number = 0;
  std::from_chars(pid.data(), pid.data() + pid.size(), number);
  return number > 0 && ::kill(number, 0) != 0 && errno == EPERM;
}

} // namespace

std::string this_holder() {
  const std::string pid = std::to_string(::getpid());
  return fmt::format("{}:{}@{}-{}", host_name(), pid, boot_and_namespace(), start_of(pid));
}

std::string_view shown_holder(std::string_view holder) { return holder.substr(0, holder.find('@')); }

bool is_gone(std::string_view holder) {
  const std::string here = boot_and_namespace();
  const std::size_t at = holder.find('@');
  if (here.empty() || at == holder.npos || !holder.substr(at + 1).starts_with(here + "-")) return false;
  const std::string_view who = holder.substr(0, at);
  const std::size_t colon = who.rfind(':');
  if (colon == who.npos || who.substr(0, colon) != host_name()) return false;
  const std::string_view start = holder.substr(at + 1 + here.size() + 1);
  const std::string_view pid = who.substr(colon + 1);
  const std::string present = start_of(pid);
  return !start.empty() && present != start && !(present.empty() && hidden(pid));
}

bool any_alive(const std::vector<std::string>& holders) {
  return !std::ranges::all_of(holders, [](const std::string& holder) { return is_gone(holder); });
}

} // namespace checkvalve
