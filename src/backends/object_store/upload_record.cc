#include "backends/object_store/upload_record.h"

#include <fmt/format.h>

#include <array>
#include <charconv>

#include "core/path.h"

namespace checkvalve {
namespace {

constexpr std::string_view record_title = "checkvalve multipart upload";

} // namespace

Error exists_already(const std::string& path) {
  return make_error(ErrorKind::exists, "publish", escape_bytes(path), "exists already");
}

std::string write_record(const UploadRecord& record) {
  return fmt::format("{}\n{}\n{}\n{}\n{}\n{}\n{}\n", record_title, record.session.id, escape_bytes(record.session.key),
                     record.part_bytes, escape_bytes(record.version), record.session.whole_checksum ? "whole" : "parts",
                     escape_bytes(record.options));
}

std::optional<UploadRecord> read_record(std::string_view text) {
  std::array<std::string_view, 7> lines;
  std::size_t count = 0;
  for (; count < lines.size() && !text.empty(); ++count) {
    const std::size_t end = text.find('\n');
    if (end == text.npos) return std::nullopt;
    lines[count] = text.substr(0, end);
    text.remove_prefix(end + 1);
  }
  if (count < 6) return std::nullopt; // six: of a version that did not keep the options
  const auto key = unescape_bytes(lines[2]);
  const auto version = unescape_bytes(lines[4]);
  const auto options = unescape_bytes(lines[6]);
  UploadRecord record;
  const auto number = std::from_chars(lines[3].data(), lines[3].data() + lines[3].size(), record.part_bytes);
  if (lines[0] != record_title || lines[1].empty() || !key || !version || !options || number.ec != std::errc())
    return std::nullopt;
  record.session = {*key, std::string(lines[1]), lines[5] == "whole"};
  record.version = *version;
  record.options = *options;
  return record;
}

Task<Result<std::optional<UploadRecord>>> fetch_record(ObjectStore& store, std::string record_key) {
  CV_CO_TRY(const std::optional<std::string> text, co_await store.read_small(std::move(record_key)));
  co_return text ? read_record(*text) : std::nullopt;
}

Task<Result<void>> remove_upload(ObjectStore& store, std::string record_key) {
  CV_CO_TRY(const std::optional<std::string> text, co_await store.read_small(record_key));
  if (!text) co_return Result<void>();
  if (const auto record = read_record(*text)) CV_CO_CHECK(co_await store.abort(record->session));
  co_return co_await store.remove_small(std::move(record_key));
}

Task<Result<void>> remove_own_upload(ObjectStore& store, std::string record_key, PartsSession session) {
  CV_CO_CHECK(co_await store.abort(session));
  CV_CO_TRY(const std::optional<UploadRecord> record, co_await fetch_record(store, record_key));
  if (!record || record->session.id != session.id) co_return Result<void>();
  co_return co_await store.remove_small(std::move(record_key));
}

Task<Result<void>> begin_upload(ObjectStore& store, std::string record_key, Task<Result<PartsSession>> begun,
                                UploadRecord& record) {
  CV_CO_CHECK(co_await remove_upload(store, record_key));
  const std::string key = record.session.key;
  CV_CO_TRY(record.session, co_await std::move(begun));
  auto recorded = co_await store.write_small(std::move(record_key), write_record(record));
  if (recorded) co_return recorded;
  if (auto aborted = co_await store.abort(std::exchange(record.session, {key, ""})); !aborted)
    store.warn("an upload without a record is left behind: " + aborted.error().text());
  co_return recorded;
}

Task<void> remove_record(ObjectStore& store, std::string record_key) {
  if (auto removed = co_await store.remove_small(std::move(record_key)); !removed)
    store.warn("the record of a finished upload is left behind, sweep removes it: " + removed.error().text());
}

} // namespace checkvalve
