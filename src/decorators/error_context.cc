#include "decorators/error_context.h"

#include "core/path.h"
#include "decorators/operation.h"
#include "decorators/wrapper.h"

namespace checkvalve {
namespace {

// What one object's calls are made on. Shared with calls under way, which may outlast the object.
struct Context {
  ErrorContext endpoint;
  std::string path; // relative to the root; "" is the root

  Error added_to(Error error, Operation operation) const {
    if (error.endpoint.empty()) error.endpoint = endpoint.endpoint;
    if (error.operation.empty()) error.operation = to_string(operation);
    if (error.path.empty()) error.path = path.empty() ? endpoint.endpoint : escape_bytes(path);
    const bool root = path.empty() && (operation == Operation::connect || operation == Operation::list ||
                                       operation == Operation::stat || operation == Operation::next);
    if (root && error.kind == ErrorKind::not_found && error.code == ErrorCode::of_kind)
      error.code = endpoint.root_missing;
    if (error.kind == ErrorKind::permission && error.code == ErrorCode::of_kind)
      error.code = endpoint.root_missing == ErrorCode::source_root_missing ? ErrorCode::source_permission
                                                                           : ErrorCode::target_permission;
    return error;
  }
};

using SharedContext = std::shared_ptr<const Context>;

// `keep` is what the task works on.
template <class T>
Task<Result<T>> in_context(SharedContext context, Operation operation, Task<Result<T>> task,
                           [[maybe_unused]] std::shared_ptr<void> keep) {
  auto result = co_await std::move(task);
  if (!result) co_return Failure(context->added_to(std::move(result.error()), operation));
  co_return result;
}

class ContextReader : public ReaderWrapper {
public:
  ContextReader(std::shared_ptr<Reader> inner, SharedContext context)
      : ReaderWrapper(std::move(inner)), context_(std::move(context)) {}
  Task<Result<Chunk>> read(std::uint64_t offset, std::uint32_t size) override {
    return in_context(context_, Operation::read, inner_->read(offset, size), inner_);
  }
  Task<Result<Entry>> stat() override { return in_context(context_, Operation::stat, inner_->stat(), inner_); }
  Task<Result<Whole>> read_whole(std::uint32_t size) override {
    return in_context(context_, Operation::read, inner_->read_whole(size), inner_);
  }

private:
  SharedContext context_;
};

class ContextListing : public ListingWrapper {
public:
  ContextListing(std::shared_ptr<Listing> inner, SharedContext context)
      : ListingWrapper(std::move(inner)), context_(std::move(context)) {}
  Task<Result<std::vector<Entry>>> next() override {
    return in_context(context_, Operation::next, inner_->next(), inner_);
  }

private:
  SharedContext context_;
};

class ContextUpload : public UploadWrapper {
public:
  ContextUpload(std::shared_ptr<Upload> inner, SharedContext context)
      : UploadWrapper(std::move(inner)), context_(std::move(context)) {}
  Task<Result<void>> write(std::uint64_t offset, Chunk chunk) override {
    return in_context(context_, Operation::write, inner_->write(offset, std::move(chunk)), inner_);
  }
  Task<Result<Published>> commit(CommitOptions options) override {
    return in_context(context_, Operation::commit, inner_->commit(std::move(options)), inner_);
  }
  Task<Result<Published>> write_and_commit(Chunk content, CommitOptions options) override {
    return in_context(context_, Operation::commit, inner_->write_and_commit(std::move(content), std::move(options)),
                      inner_);
  }
  Task<Result<void>> reopen(std::uint64_t acknowledged_bytes, TemporaryName temporary) override {
    return in_context(context_, Operation::reopen, inner_->reopen(acknowledged_bytes, std::move(temporary)), inner_);
  }
  Task<Result<void>> abort() override { return in_context(context_, Operation::abort, inner_->abort(), inner_); }

private:
  SharedContext context_;
};

class ContextDirectCopy : public DirectCopyWrapper {
public:
  ContextDirectCopy(std::shared_ptr<DirectCopy> inner, SharedContext context)
      : DirectCopyWrapper(std::move(inner)), context_(std::move(context)) {}
  Task<Result<std::uint64_t>> advance() override {
    return in_context(context_, Operation::advance, inner_->advance(), inner_);
  }
  Task<Result<Published>> commit(CommitOptions options) override {
    return in_context(context_, Operation::commit, inner_->commit(std::move(options)), inner_);
  }
  Task<Result<void>> abort() override { return in_context(context_, Operation::abort, inner_->abort(), inner_); }

private:
  SharedContext context_;
};

// Opens something whose calls get the context of the same path.
template <class Outer, class Inner>
Task<Result<std::unique_ptr<Inner>>> opened(SharedContext context, Operation operation,
                                            Task<Result<std::unique_ptr<Inner>>> opening, std::shared_ptr<void> keep) {
  CV_CO_TRY(auto inner, co_await in_context(context, operation, std::move(opening), std::move(keep)));
  co_return std::make_unique<Outer>(std::move(inner), std::move(context));
}

template <class Wrapper, class Endpoint> class ContextEndpoint : public Wrapper {
public:
  ContextEndpoint(std::shared_ptr<Endpoint> inner, ErrorContext context)
      : Wrapper(std::move(inner)), context_(std::move(context)) {}
  Task<Result<void>> connect() override {
    return in_context(on(""), Operation::connect, this->inner_->connect(), this->inner_);
  }
  Task<Result<std::unique_ptr<Listing>>> list(std::string directory, bool recursive) override {
    const auto context = on(directory);
    return opened<ContextListing>(context, Operation::list, this->inner_->list(std::move(directory), recursive),
                                  this->inner_);
  }
  Task<Result<Entry>> stat(std::string path, bool follow) override {
    const auto context = on(path);
    return in_context(context, Operation::stat, this->inner_->stat(std::move(path), follow), this->inner_);
  }

protected:
  SharedContext on(std::string path) const {
    return std::make_shared<const Context>(Context{context_, std::move(path)});
  }

private:
  const ErrorContext context_;
};

class ContextSource : public ContextEndpoint<SourceWrapper, Source> {
public:
  using ContextEndpoint::ContextEndpoint;
  Task<Result<std::unique_ptr<Reader>>> open(Entry entry) override {
    const auto context = on(entry.path);
    return opened<ContextReader>(context, Operation::open, inner_->open(std::move(entry)), inner_);
  }
  Task<Result<std::string>> read_link(std::string path) override {
    const auto context = on(path);
    return in_context(context, Operation::read_link, inner_->read_link(std::move(path)), inner_);
  }
  Task<Result<std::string>> real_path(std::string path) override {
    const auto context = on(path);
    return in_context(context, Operation::real_path, inner_->real_path(std::move(path)), inner_);
  }
};

class ContextTarget : public ContextEndpoint<TargetWrapper, Target> {
public:
  using ContextEndpoint::ContextEndpoint;
  Task<Result<void>> make_directory(std::string path, std::optional<std::uint32_t> mode) override {
    const auto context = on(path);
    return in_context(context, Operation::make_directory, inner_->make_directory(std::move(path), mode), inner_);
  }
  Task<Result<void>> make_link(std::string path, std::string text, TemporaryName temporary, Replace replace) override {
    const auto context = on(path);
    auto making = inner_->make_link(std::move(path), std::move(text), std::move(temporary), replace);
    return in_context(context, Operation::make_link, std::move(making), inner_);
  }
  Task<Result<std::unique_ptr<Upload>>> begin(std::string path, UploadHints hints) override {
    const auto context = on(path);
    return opened<ContextUpload>(context, Operation::begin, inner_->begin(std::move(path), std::move(hints)), inner_);
  }
  Task<Result<std::unique_ptr<DirectCopy>>> begin_direct_copy(std::shared_ptr<const Origin> origin, Entry entry,
                                                              std::string path, UploadHints hints) override {
    const auto context = on(path);
    auto begun = inner_->begin_direct_copy(std::move(origin), std::move(entry), std::move(path), std::move(hints));
    return opened<ContextDirectCopy>(context, Operation::begin_direct_copy, std::move(begun), inner_);
  }
  Task<Result<void>> discard(std::string path, TemporaryName temporary) override {
    const auto context = on(path);
    return in_context(context, Operation::discard, inner_->discard(std::move(path), std::move(temporary)), inner_);
  }
  Task<Result<void>> remove_orphan(Orphan orphan) override {
    const auto context = on(orphan.path);
    return in_context(context, Operation::remove_orphan, inner_->remove_orphan(std::move(orphan)), inner_);
  }
  Task<Result<SetAsideOutcome>> settle_set_aside(std::string path) override {
    const auto context = on(path);
    return in_context(context, Operation::settle_set_aside, inner_->settle_set_aside(std::move(path)), inner_);
  }
  Task<Result<std::optional<std::string>>> resumable_path(Orphan orphan) override {
    const auto context = on(orphan.path);
    return in_context(context, Operation::resumable_path, inner_->resumable_path(std::move(orphan)), inner_);
  }
  Task<Result<HashAlgorithm>> server_side_checksum() override {
    return in_context(on(""), Operation::server_side_checksum, inner_->server_side_checksum(), inner_);
  }
};

} // namespace

std::unique_ptr<Source> with_error_context(std::shared_ptr<Source> inner, ErrorContext context) {
  return std::make_unique<ContextSource>(std::move(inner), std::move(context));
}

std::unique_ptr<Target> with_error_context(std::shared_ptr<Target> inner, ErrorContext context) {
  return std::make_unique<ContextTarget>(std::move(inner), std::move(context));
}

} // namespace checkvalve
