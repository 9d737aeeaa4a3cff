#include "backends/basic.h"

namespace checkvalve {

Error no_symbolic_links() { return make_error(ErrorKind::unsupported, "this endpoint has no symbolic links"); }

Error no_direct_copy() {
  return make_error(ErrorKind::unsupported,
                    "this target cannot copy from this source without the content passing through checkvalve");
}

Task<Result<Reader::Whole>> BasicReader::read_whole(std::uint32_t size) {
  Chunk content;
  if (size != 0) {
    CV_CO_TRY(content, co_await read(0, size));
  }
  co_return Whole{std::move(content), co_await stat()};
}

Task<Result<std::string>> BasicSource::read_link(std::string) { co_return Failure(no_symbolic_links()); }
Task<Result<std::string>> BasicSource::real_path(std::string) { co_return Failure(no_symbolic_links()); }

Task<Result<Published>> BasicUpload::write_and_commit(Chunk content, CommitOptions options) {
  if (!content.empty()) CV_CO_CHECK(co_await write(0, std::move(content)));
  co_return co_await commit(std::move(options));
}

Task<Result<void>> BasicTarget::make_link(std::string, std::string, TemporaryName, Replace) {
  co_return Failure(no_symbolic_links());
}

Task<Result<void>> BasicUpload::reopen(std::uint64_t, TemporaryName) {
  co_return Failure(make_error(ErrorKind::unsupported, "this target cannot resume an upload"));
}

Task<Result<std::unique_ptr<DirectCopy>>> BasicTarget::begin_direct_copy(std::shared_ptr<const Origin>, Entry,
                                                                         std::string, UploadHints) {
  co_return Failure(no_direct_copy());
}

Task<Result<SetAsideOutcome>> BasicTarget::settle_set_aside(std::string) { co_return SetAsideOutcome::kept; }

Task<Result<std::optional<std::string>>> BasicTarget::resumable_path(Orphan) { co_return std::nullopt; }

Task<Result<HashAlgorithm>> BasicTarget::server_side_checksum() {
  co_return Failure(make_error(ErrorKind::unsupported, "this target has no server-side checksums of its files"));
}

} // namespace checkvalve
