#include "sync/name_index.h"

#include <utf8proc.h>
#include <xxhash.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <optional>
#include <random>

#include "core/path.h"

namespace checkvalve {
namespace {

constexpr std::size_t suspect_bits = 1 << 23;
constexpr std::string_view replacement = "\xef\xbf\xbd"; // U+FFFD

std::uint64_t hash_of(std::string_view bytes, std::uint64_t seed) {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

// In one pass without branches, which compilers turn into vector instructions. False: there is more than ASCII.
bool fold_ascii(std::string_view name, std::string& out) {
  out.resize(name.size());
  unsigned char all = 0;
  for (std::size_t i = 0; i < name.size(); ++i) {
    const auto byte = static_cast<unsigned char>(name[i]);
    all |= byte;
    out[i] = static_cast<char>(byte | (static_cast<unsigned char>(byte - 'A') < 26 ? 0x20 : 0));
  }
  return all < 0x80;
}

std::string with_replacements(std::string_view bytes) {
  std::string out;
  while (!bytes.empty()) {
    utf8proc_int32_t code = 0;
    const auto taken = utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(bytes.data()),
                                        static_cast<utf8proc_ssize_t>(bytes.size()), &code);
    const std::size_t length = taken > 0 ? static_cast<std::size_t>(taken) : 1;
    out += taken > 0 ? bytes.substr(0, length) : replacement;
    bytes.remove_prefix(length);
  }
  return out;
}

// Nothing for bytes that are not UTF-8.
std::optional<std::string> mapped(std::string_view text, int options) {
  utf8proc_uint8_t* out = nullptr;
  const auto size =
      utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()), static_cast<utf8proc_ssize_t>(text.size()),
                   &out, static_cast<utf8proc_option_t>(options));
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owned(out, std::free);
  if (size < 0) return std::nullopt;
  return std::string(reinterpret_cast<const char*>(out), static_cast<std::size_t>(size));
}

std::string fold_unicode(std::string_view name) {
  constexpr int options = UTF8PROC_DECOMPOSE | UTF8PROC_CASEFOLD;
  auto folded = mapped(name, options);
  if (!folded) folded = mapped(with_replacements(name), options);
  return folded.value_or(std::string(name));
}

} // namespace

std::string folded_name(std::string_view name) {
  std::string out;
  return fold_ascii(name, out) ? out : fold_unicode(name);
}

bool same_unicode_form(std::string_view a, std::string_view b) {
  if (a == b) return true;
  const auto decomposed = mapped(a, UTF8PROC_DECOMPOSE);
  return decomposed && decomposed == mapped(b, UTF8PROC_DECOMPOSE);
}

NameIndex::NameIndex() : seed_(std::uint64_t{std::random_device{}()} << 32 | std::random_device{}()) {
  names_.emplace();
}

NameIndex::Hashed NameIndex::hashed(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  const std::string_view name = slash == path.npos ? path : path.substr(slash + 1);
  const std::uint64_t directory = hash_of(slash == path.npos ? "" : path.substr(0, slash), seed_);
  Hashed out{.hashes = {0, hash_of(name, directory)}};
  if (!fold_ascii(name, folded_)) {
    out.utf8 = is_valid_utf8(name);
    folded_ = fold_unicode(name);
  }
  out.hashes.first = folded_ == name ? out.hashes.second : hash_of(folded_, directory);
  return out;
}

void NameIndex::suspect(std::uint64_t folded) {
  suspects_.resize(suspect_bits);
  suspects_[folded % suspect_bits] = true;
}

Result<void> NameIndex::add(std::string_view path, bool candidate) {
  const Hashed name = hashed(path);
  if (!name.utf8 && candidate) suspect(name.hashes.first);
  if (!name.utf8 && !candidate) lists_other_bytes_ = true;
  return names_->add(name.hashes);
}

Result<void> NameIndex::add_candidate(std::string_view path) {
  if (const std::string_view directory = parent_path(path); directory != directory_) {
    directory_ = directory;
    for (std::string_view each = directory; !each.empty(); each = parent_path(each)) {
      const std::uint64_t hash = hash_of(each, seed_);
      if (std::exchange(directories_[hash % directories_.size()], hash) == hash) break; // and those above it
      CV_CHECK(add(each, true));
    }
  }
  return add(path, true);
}

Result<void> NameIndex::finish() {
  CV_CHECK(names_->finish());
  HashPair last;
  HashPair pair;
  for (bool first = true;; first = false) {
    CV_TRY(const bool more, names_->next(pair));
    if (!more) break;
    if (!first && pair.first == last.first && pair.second != last.second) suspect(pair.first);
    last = pair;
  }
  names_.reset();
  return {};
}

bool NameIndex::is_suspect(std::string_view path) {
  return any_suspects() && suspects_[hashed(path).hashes.first % suspect_bits];
}

} // namespace checkvalve
