// Source and Target of the S3 backend.
#include <fmt/format.h>

#include "backends/object_store/parts_uploader.h"
#include "backends/orphans.h"
#include "backends/s3/s3_client.h"
#include "backends/s3/s3_copy.h"
#include "backends/s3/s3_digest.h"
#include "backends/s3/s3_listing.h"
#include "backends/s3/s3_settings.h"
#include "backends/s3/s3_store.h"
#include "core/path.h"

namespace checkvalve {
namespace {

constexpr std::size_t max_key_bytes = 1024;
constexpr std::size_t max_temporary_bytes = 80;  // of TemporaryName::text()
constexpr std::uint64_t max_parts_in_memory = 3; // two are sent while another one is filled

Capabilities capabilities_of(const S3Settings& settings, bool is_target) {
  Capabilities out;
  out.exact_names = true;
  out.directories = false;
  out.recursive_list = true;
  out.symlinks = false;
  out.atomic_replace = true;
  out.create_if_absent = settings.conditional_writes != ConditionalWrites::no;
  out.keeps_mtime = false; // it goes into the metadata, which listings do not show
  out.keeps_mode = false;
  out.durable = true;
  out.resumes_uploads = settings.checksums; // only a checksum proves that a part is complete
  out.ranged_reads = true;
  out.mtime_precision_ns = 1'000'000'000;
  out.chunk_bytes = 256 * 1024;
  out.files_in_flight = settings.connections;
  // Most files wait for their source, or are read from it, before their one request: they need no connection yet.
  if (is_target) out.files_in_flight *= 4;
  out.window_bytes = 2 * settings.part_bytes;
  if (is_target) out.memory_bytes = max_parts_in_memory * settings.part_bytes;
  return out;
}

class S3Source : public BasicSource {
public:
  explicit S3Source(std::shared_ptr<S3Client> client)
      : client_(std::move(client)), capabilities_(capabilities_of(client_->settings(), false)) {}
  ~S3Source() override { client_->close(); } // pages that were requested ahead may be under way
  Task<Result<void>> connect() override;
  const Capabilities& capabilities() const override { return capabilities_; }
  Task<Result<std::unique_ptr<Listing>>> list(std::string directory, bool recursive) override {
    co_return list_keys(client_, std::move(directory), recursive);
  }
  Task<Result<Entry>> stat(std::string path, bool) override { return stat_key(*client_, std::move(path)); }
  Task<Result<std::unique_ptr<Reader>>> open(Entry entry) override {
    auto reader = std::make_unique<RangedReader>(std::make_shared<S3Ranges>(client_), std::move(entry));
    CV_CO_CHECK(co_await reader->begin());
    co_return reader;
  }
  std::shared_ptr<const Origin> origin() const override { return std::make_shared<S3Origin>(client_); }
  bool bounds_its_calls() const override { return true; } // HttpSettings::stall_timeout does
  Task<void> disconnect() override { return client_->disconnect(); }

private:
  std::shared_ptr<S3Client> client_;
  const Capabilities capabilities_;
};

// A prefix without keys is a directory that does not exist, and most often a typing error.
Task<Result<void>> S3Source::connect() {
  auto any = co_await client_->connect();
  if (!any && any.error().kind == ErrorKind::not_found)
    co_return Failure(std::move(any.error()).with_code(ErrorCode::source_root_missing));
  if (!any) co_return Failure(any.error());
  std::string name = client_->settings().prefix;
  if (*any || name.empty()) co_return Result<void>();
  name.pop_back();
  S3Request look;
  look.operation = "open directory";
  look.method = "HEAD";
  look.key = name;
  const bool is_object = (co_await client_->call(std::move(look))).has_value();
  co_return Failure(make_error(is_object ? ErrorKind::not_a_directory : ErrorKind::not_found, "open directory",
                               "s3://" + client_->settings().bucket + "/" + escape_bytes(name),
                               is_object ? "is an object, not a prefix" : "no object has this prefix")
                        .with_code(ErrorCode::source_root_missing));
}

class S3Target : public BasicTarget {
public:
  explicit S3Target(std::shared_ptr<S3Client> client)
      : client_(std::move(client)), store_(std::make_shared<S3Store>(client_)),
        memory_(std::make_shared<PartMemory>(max_parts_in_memory * client_->settings().part_bytes)),
        capabilities_(capabilities_of(client_->settings(), true)) {}
  ~S3Target() override { client_->close(); }
  Task<Result<void>> connect() override {
    CV_CO_TRY(const bool any, co_await client_->connect());
    (void)any; // a target's prefix exists from its first object on
    co_return Result<void>();
  }
  const Capabilities& capabilities() const override { return capabilities_; }
  Task<Result<std::unique_ptr<Listing>>> list(std::string directory, bool recursive) override {
    co_return list_keys(client_, std::move(directory), recursive);
  }
  Task<Result<Entry>> stat(std::string path, bool) override { return stat_key(*client_, std::move(path)); }
  Result<void> accepts(std::string_view path) const override;
  // Directories are parts of names only.
  Task<Result<void>> make_directory(std::string path, std::optional<std::uint32_t>) override {
    co_return path.empty() ? Result<void>() : accepts(path);
  }
  Task<Result<std::unique_ptr<Upload>>> begin(std::string path, UploadHints hints) override;
  Task<Result<std::unique_ptr<DirectCopy>>> begin_direct_copy(std::shared_ptr<const Origin> origin, Entry entry,
                                                              std::string path, UploadHints hints) override;
  Task<Result<void>> discard(std::string path, TemporaryName temporary) override {
    return remove_upload(*store_, client_->key_of(temporary.beside(path)));
  }
  Task<Result<void>> remove_orphan(Orphan orphan) override;
  Task<Result<std::optional<std::string>>> resumable_path(Orphan orphan) override;
  Task<Result<HashAlgorithm>> server_side_checksum() override { return find_server_side_checksum(*client_); }
  bool bounds_its_calls() const override { return true; } // HttpSettings::stall_timeout does
  Task<void> disconnect() override { return client_->disconnect(); }

private:
  std::shared_ptr<S3Client> client_;
  std::shared_ptr<S3Store> store_;
  std::shared_ptr<PartMemory> memory_; // of all uploads
  std::shared_ptr<S3CopyExperience> copies_ = std::make_shared<S3CopyExperience>();
  const Capabilities capabilities_;
};

Result<void> S3Target::accepts(std::string_view path) const {
  const S3Settings& settings = client_->settings();
  const auto refused = [&](std::string why) {
    return Failure(make_error(ErrorKind::invalid_name, "name", escape_bytes(path), std::move(why)));
  };
  if (!settings.verbatim_keys) CV_CHECK(check_tree_path(path));
  if (path.empty()) return refused("empty path");
  const std::size_t beside = parent_path(path).empty() ? 0 : parent_path(path).size() + 1;
  if (settings.prefix.size() + std::max(path.size(), beside + max_temporary_bytes) > max_key_bytes)
    return refused("longer than the 1,024 bytes of a key, with the temporary name beside it");
  if (!is_valid_utf8(path)) return refused("keys are UTF-8, and this name is not");
  for (const char c : path) {
    if (c == 0) return refused("a key must not contain a NUL byte");
    // XML 1.0, 2.2: such characters can't stand in a document, so listings would show another name.
    const bool in_xml = static_cast<unsigned char>(c) >= 0x20 || c == '\t' || c == '\n' || c == '\r';
    if (!in_xml && !client_->encodes_keys()) return refused("this service can't list names with control characters");
  }
  return {};
}

Task<Result<std::unique_ptr<Upload>>> S3Target::begin(std::string path, UploadHints hints) {
  CV_CO_CHECK(accepts(path));
  auto upload = std::make_unique<PartsUploader>(store_, memory_, std::move(path), std::move(hints));
  CV_CO_CHECK(co_await upload->begin());
  co_return upload;
}

Task<Result<std::unique_ptr<DirectCopy>>> S3Target::begin_direct_copy(std::shared_ptr<const Origin> origin, Entry entry,
                                                                      std::string path, UploadHints hints) {
  CV_CO_CHECK(accepts(path));
  const auto there = std::dynamic_pointer_cast<const S3Origin>(origin);
  if (!there || there->client->settings().service_url != client_->settings().service_url ||
      client_->settings().anonymous)
    co_return co_await BasicTarget::begin_direct_copy(std::move(origin), std::move(entry), std::move(path),
                                                      std::move(hints));
  auto copy = std::make_unique<S3Copy>(client_, store_, copies_, *there, std::move(entry), std::move(path), hints);
  CV_CO_CHECK(co_await copy->begin(std::move(hints.continues)));
  co_return copy;
}

Task<Result<void>> S3Target::remove_orphan(Orphan orphan) {
  CV_CO_CHECK(check_orphan(orphan));
  co_return co_await remove_upload(*store_, client_->key_of(orphan.path));
}

Task<Result<std::optional<std::string>>> S3Target::resumable_path(Orphan orphan) {
  CV_CO_CHECK(check_orphan(orphan));
  CV_CO_TRY(const std::optional<UploadRecord> record, co_await fetch_record(*store_, client_->key_of(orphan.path)));
  const std::string& prefix = client_->settings().prefix;
  if (!record || record->version.empty() || !record->session.key.starts_with(prefix)) co_return std::nullopt;
  std::string path = record->session.key.substr(prefix.size());
  if (orphan.name.beside(path) != orphan.path) co_return std::nullopt;
  co_return path;
}

} // namespace

Result<std::unique_ptr<Source>> make_s3_source(BackendContext& context, const Endpoint& endpoint) {
  CV_TRY(S3Settings settings, read_s3_settings(context, endpoint));
  return std::make_unique<S3Source>(std::make_shared<S3Client>(context, std::move(settings)));
}

Result<std::unique_ptr<Target>> make_s3_target(BackendContext& context, const Endpoint& endpoint) {
  CV_TRY(S3Settings settings, read_s3_settings(context, endpoint));
  return std::make_unique<S3Target>(std::make_shared<S3Client>(context, std::move(settings)));
}

} // namespace checkvalve
