// charset: character sets (iconv of the C library), byte order mark, newlines.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <iconv.h>

#include <cerrno>
#include <cstring>

#include "transforms/text/text.h"

namespace checkvalve {
namespace {

enum class Bom : std::uint8_t { keep, strip, add };
enum class Newline : std::uint8_t { keep, lf, crlf };

struct CharsetSettings {
  std::string from = "UTF-8";
  std::string to = "UTF-8";
  Bom bom = Bom::keep;
  Newline newline = Newline::keep;
  bool replace_unknown = false;
};

// A conversion of the C library, closed with its owner.
class Converter {
public:
  Converter(const std::string& to, const std::string& from) : handle_(iconv_open(to.c_str(), from.c_str())) {}
  ~Converter() {
    if (ok()) iconv_close(handle_);
  }
  Converter(const Converter&) = delete;
  Converter& operator=(const Converter&) = delete;
  bool ok() const { return handle_ != reinterpret_cast<iconv_t>(-1); }
  iconv_t handle() const { return handle_; }

private:
  iconv_t handle_;
};

constexpr std::string_view utf8_bom = "\xEF\xBB\xBF";

// from → UTF-8 → (byte order mark, newlines) → to. UTF-8 in the middle, since there a newline is always one byte.
class CharsetStage : public Stage {
public:
  explicit CharsetStage(const CharsetSettings& settings)
      : settings_(settings), decode_("UTF-8", settings.from), encode_(settings.to, "UTF-8") {}

  Result<void> push(Chunk& in, Emit& out) override {
    while (!in.empty() && !out.full()) {
      // A character that the chunk before cut off is completed byte by byte.
      const std::size_t taken = rest_.empty() ? std::min(in.size(), piece_bytes) : 1;
      rest_ += in.text().substr(0, taken);
      in.narrow(taken, in.size() - taken);
      CV_CHECK(decode(out));
    }
    return {};
  }

  Result<bool> finish(Emit& out) override {
    if (!rest_.empty())
      return transform_failure(
          fmt::format("the file ends in the middle of a {} character at byte {}", settings_.from, offset_));
    if (!at_start_done_) CV_CHECK(text("", out));
    if (std::exchange(carriage_return_, false)) CV_CHECK(encode("\r", out));
    // A stateful set goes back to its first state.
    char buffer[64];
    char* to = buffer;
    std::size_t room = sizeof buffer;
    iconv(encode_.handle(), nullptr, nullptr, &to, &room);
    out.write(std::string_view(buffer, sizeof buffer - room));
    return true;
  }

private:
  static constexpr std::size_t piece_bytes = 16 * 1024;

  Result<void> decode(Emit& out) {
    char* from = rest_.data();
    std::size_t left = rest_.size();
    while (left != 0) {
      char buffer[4096];
      char* to = buffer;
      std::size_t room = sizeof buffer;
      const std::size_t before = left;
      const std::size_t code = iconv(decode_.handle(), &from, &left, &to, &room);
      const int error = errno;
      offset_ += before - left;
      CV_CHECK(text(std::string_view(buffer, sizeof buffer - room), out));
      if (code != static_cast<std::size_t>(-1) || error == E2BIG) continue;
      if (error == EINVAL) break; // an incomplete character: the rest comes with the next chunk
      if (!settings_.replace_unknown)
        return transform_failure(fmt::format(
            "byte {} (0x{:02x}) is not valid {}: set the file's character set with from=, or replace invalid bytes "
            "with unknown=replace",
            offset_, static_cast<unsigned char>(*from), settings_.from));
      CV_CHECK(text("\xEF\xBF\xBD", out)); // U+FFFD
      ++from;
      --left;
      ++offset_;
    }
    rest_.erase(0, rest_.size() - left);
    return {};
  }

  // UTF-8 on its way: the byte order mark and newlines.
  Result<void> text(std::string_view utf8, Emit& out) {
    if (!at_start_done_) {
      start_ += utf8;
      const bool may_be_mark = start_.size() < utf8_bom.size() && utf8_bom.starts_with(start_) && !utf8.empty();
      if (may_be_mark) return {};
      at_start_done_ = true;
      std::string_view body = start_;
      const bool marked = body.starts_with(utf8_bom);
      if (marked) body.remove_prefix(utf8_bom.size());
      if (settings_.bom == Bom::add || (settings_.bom == Bom::keep && marked)) CV_CHECK(encode(utf8_bom, out));
      return newlines(body, out);
    }
    return newlines(utf8, out);
  }

  Result<void> newlines(std::string_view utf8, Emit& out) {
    if (settings_.newline == Newline::keep) return encode(utf8, out);
    const std::string_view ending = settings_.newline == Newline::lf ? "\n" : "\r\n";
    while (!utf8.empty()) {
      if (std::exchange(carriage_return_, false) && utf8.front() != '\n') CV_CHECK(encode("\r", out));
      const std::size_t at = std::min(utf8.find_first_of("\r\n"), utf8.size());
      CV_CHECK(encode(utf8.substr(0, at), out));
      if (at == utf8.size()) return {};
      if (utf8[at] == '\r')
        carriage_return_ = true; // an ending if a newline follows
      else
        CV_CHECK(encode(ending, out));
      utf8.remove_prefix(at + 1);
    }
    return {};
  }

  Result<void> encode(std::string_view utf8, Emit& out) {
    char* from = const_cast<char*>(utf8.data());
    std::size_t left = utf8.size();
    while (left != 0) {
      char buffer[4096];
      char* to = buffer;
      std::size_t room = sizeof buffer;
      const std::size_t code = iconv(encode_.handle(), &from, &left, &to, &room);
      const int error = errno;
      out.write(std::string_view(buffer, sizeof buffer - room));
      if (code != static_cast<std::size_t>(-1) || error == E2BIG) continue;
      if (!settings_.replace_unknown)
        return transform_failure(
            fmt::format("a character near byte {} does not exist in {}: unknown=replace writes '?' instead", offset_,
                        settings_.to));
      std::size_t length = 1;
      while (length < left && (static_cast<unsigned char>(from[length]) & 0xC0) == 0x80) ++length;
      from += length;
      left -= length;
      CV_CHECK(encode("?", out));
    }
    return {};
  }

  const CharsetSettings& settings_;
  Converter decode_;
  Converter encode_;
  std::string rest_;         // incomplete character at the end of the input so far
  std::uint64_t offset_ = 0; // bytes of input decoded
  std::string start_;        // UTF-8 that may be a byte order mark
  bool at_start_done_ = false;
  bool carriage_return_ = false; // seen, and not written yet
};

class Charset : public Transform {
public:
  explicit Charset(CharsetSettings settings) : settings_(std::move(settings)) {}
  std::uint64_t memory_bytes(std::optional<std::uint64_t>) const override {
    return 256 << 10;
  } // what 16 KiB may become
  Result<std::unique_ptr<Stage>> start(const FileContext&) const override {
    return std::make_unique<CharsetStage>(settings_);
  }

private:
  const CharsetSettings settings_;
};

constexpr OptionSpec charset_options[] = {
    {"from", OptionType::text, "UTF-8",
     "character set of the input, as listed by `iconv -l`, such as ISO-8859-1, CP1252, UTF-16LE"},
    {"to", OptionType::text, "UTF-8", "character set of the output"},
    {"bom", OptionType::text, "keep", "byte order mark at the start: keep, strip or add"},
    {"newline", OptionType::text, "keep", "line endings: keep, lf or crlf"},
    {"unknown", OptionType::text, "refuse",
     "invalid input, or characters that the output set lacks: refuse (fail the file) or replace"},
};

template <std::size_t n>
Result<std::size_t> choice(const OptionValues& options, std::string_view name, const char* const (&words)[n]) {
  const std::string given = options.text(name);
  for (std::size_t i = 0; i < n; ++i)
    if (given == words[i]) return i;
  return option_failure(
      fmt::format("invalid value '{1}' for {0}: expected one of {2}", name, given, fmt::join(words, ", ")));
}

} // namespace

const TransformDescriptor charset_transform = {
    .name = "charset",
    .summary = "converts character set, byte order mark and line endings",
    .options = charset_options,
    .make = [](const OptionValues& options) -> Result<std::shared_ptr<const Transform>> {
      CharsetSettings settings;
      settings.from = options.text("from");
      settings.to = options.text("to");
      for (const std::string& set : {settings.from, settings.to})
        if (!Converter(set, "UTF-8").ok() || !Converter("UTF-8", set).ok())
          return option_failure(fmt::format("unknown character set '{}' (`iconv -l` lists the known ones)", set));
      CV_TRY(const std::size_t bom, choice(options, "bom", {"keep", "strip", "add"}));
      CV_TRY(const std::size_t newline, choice(options, "newline", {"keep", "lf", "crlf"}));
      CV_TRY(const std::size_t unknown, choice(options, "unknown", {"refuse", "replace"}));
      settings.bom = static_cast<Bom>(bom);
      settings.newline = static_cast<Newline>(newline);
      settings.replace_unknown = unknown == 1;
      return std::make_shared<Charset>(std::move(settings));
    },
};

} // namespace checkvalve
