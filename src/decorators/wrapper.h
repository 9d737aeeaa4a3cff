// Base classes of decorators: each interface, forwarded to an inner object. A decorator overrides the calls that it
// changes. The inner object is shared, so that it outlives a call that nobody awaits any more.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "backends/source.h"
#include "backends/target.h"

namespace checkvalve {

class ReaderWrapper : public Reader {
public:
  explicit ReaderWrapper(std::shared_ptr<Reader> inner) : inner_(std::move(inner)) {}
  Task<Result<Chunk>> read(std::uint64_t offset, std::uint32_t size) override { return inner_->read(offset, size); }
  Task<Result<Entry>> stat() override { return inner_->stat(); }
  // read_whole() combines both: each decorator decides how to forward it.

protected:
  std::shared_ptr<Reader> inner_;
};

class ListingWrapper : public Listing {
public:
  explicit ListingWrapper(std::shared_ptr<Listing> inner) : inner_(std::move(inner)) {}
  Task<Result<std::vector<Entry>>> next() override { return inner_->next(); }
  std::vector<Error> take_refused() override { return inner_->take_refused(); }

protected:
  std::shared_ptr<Listing> inner_;
};

class UploadWrapper : public Upload {
public:
  explicit UploadWrapper(std::shared_ptr<Upload> inner) : inner_(std::move(inner)) {}
  Task<Result<void>> write(std::uint64_t offset, Chunk chunk) override {
    return inner_->write(offset, std::move(chunk));
  }
  Task<Result<Published>> commit(CommitOptions options) override { return inner_->commit(options); }
  // write_and_commit() combines both: each decorator decides how to forward it.
  Task<Result<void>> reopen(std::uint64_t acknowledged_bytes, TemporaryName temporary) override {
    return inner_->reopen(acknowledged_bytes, std::move(temporary));
  }
  Task<Result<void>> abort() override { return inner_->abort(); }
  std::uint64_t resumed_bytes() const override { return inner_->resumed_bytes(); }

protected:
  std::shared_ptr<Upload> inner_;
};

class DirectCopyWrapper : public DirectCopy {
public:
  explicit DirectCopyWrapper(std::shared_ptr<DirectCopy> inner) : inner_(std::move(inner)) {}
  Task<Result<std::uint64_t>> advance() override { return inner_->advance(); }
  Task<Result<Published>> commit(CommitOptions options) override { return inner_->commit(options); }
  Task<Result<void>> abort() override { return inner_->abort(); }

protected:
  std::shared_ptr<DirectCopy> inner_;
};

class SourceWrapper : public Source {
public:
  explicit SourceWrapper(std::shared_ptr<Source> inner) : inner_(std::move(inner)) {}
  Task<Result<void>> connect() override { return inner_->connect(); }
  const Capabilities& capabilities() const override { return inner_->capabilities(); }
  Task<Result<std::unique_ptr<Listing>>> list(std::string directory, bool recursive) override {
    return inner_->list(std::move(directory), recursive);
  }
  Task<Result<Entry>> stat(std::string path, bool follow) override { return inner_->stat(std::move(path), follow); }
  Task<Result<std::unique_ptr<Reader>>> open(Entry entry) override { return inner_->open(std::move(entry)); }
  Task<Result<std::string>> read_link(std::string path) override { return inner_->read_link(std::move(path)); }
  Task<Result<std::string>> real_path(std::string path) override { return inner_->real_path(std::move(path)); }
  std::shared_ptr<const Origin> origin() const override { return inner_->origin(); }
  bool bounds_its_calls() const override { return inner_->bounds_its_calls(); }
  Task<void> disconnect() override { return inner_->disconnect(); }

protected:
  std::shared_ptr<Source> inner_;
};

class TargetWrapper : public Target {
public:
  explicit TargetWrapper(std::shared_ptr<Target> inner) : inner_(std::move(inner)) {}
  Task<Result<void>> connect() override { return inner_->connect(); }
  const Capabilities& capabilities() const override { return inner_->capabilities(); }
  Task<Result<std::unique_ptr<Listing>>> list(std::string directory, bool recursive) override {
    return inner_->list(std::move(directory), recursive);
  }
  Task<Result<Entry>> stat(std::string path, bool follow) override { return inner_->stat(std::move(path), follow); }
  Result<void> accepts(std::string_view path) const override { return inner_->accepts(path); }
  Task<Result<void>> make_directory(std::string path, std::optional<std::uint32_t> mode) override {
    return inner_->make_directory(std::move(path), mode);
  }
  Task<Result<void>> make_link(std::string path, std::string text, TemporaryName temporary, Replace replace) override {
    return inner_->make_link(std::move(path), std::move(text), std::move(temporary), replace);
  }
  Task<Result<std::unique_ptr<Upload>>> begin(std::string path, UploadHints hints) override {
    return inner_->begin(std::move(path), std::move(hints));
  }
  Task<Result<std::unique_ptr<DirectCopy>>> begin_direct_copy(std::shared_ptr<const Origin> origin, Entry entry,
                                                              std::string path, UploadHints hints) override {
    return inner_->begin_direct_copy(std::move(origin), std::move(entry), std::move(path), std::move(hints));
  }
  Task<Result<void>> discard(std::string path, TemporaryName temporary) override {
    return inner_->discard(std::move(path), std::move(temporary));
  }
  Task<Result<void>> remove_orphan(Orphan orphan) override { return inner_->remove_orphan(std::move(orphan)); }
  Task<Result<SetAsideOutcome>> settle_set_aside(std::string path) override {
    return inner_->settle_set_aside(std::move(path));
  }
  Task<Result<std::optional<std::string>>> resumable_path(Orphan orphan) override {
    return inner_->resumable_path(std::move(orphan));
  }
  Task<Result<HashAlgorithm>> server_side_checksum() override { return inner_->server_side_checksum(); }
  bool bounds_its_calls() const override { return inner_->bounds_its_calls(); }
  Task<void> disconnect() override { return inner_->disconnect(); }

protected:
  std::shared_ptr<Target> inner_;
};

} // namespace checkvalve
