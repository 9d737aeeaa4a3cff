// What authors of backends derive from: the interfaces of source.h and target.h with defaults for the calls that a
// service may have nothing of its own for. Decorators (decorators/wrapper.h) do not use them: there, a call that is
// forgotten must not compile.
#pragma once

#include "backends/source.h"
#include "backends/target.h"

namespace checkvalve {

class BasicReader : public Reader {
public:
  // read(), then stat().
  Task<Result<Whole>> read_whole(std::uint32_t size) override;
};

class BasicListing : public Listing {
public:
  std::vector<Error> take_refused() override { return {}; } // every name can be used
};

class BasicSource : public Source {
public:
  Task<Result<std::string>> read_link(std::string path) override; // unsupported: there are no symbolic links
  Task<Result<std::string>> real_path(std::string path) override;
  std::shared_ptr<const Origin> origin() const override { return nullptr; }
  bool bounds_its_calls() const override { return false; }
};

class BasicUpload : public Upload {
public:
  std::uint64_t resumed_bytes() const override { return 0; }
  Task<Result<void>> reopen(std::uint64_t acknowledged_bytes, TemporaryName temporary) override; // unsupported
  // write(), if there is something to write, then commit().
  Task<Result<Published>> write_and_commit(Chunk content, CommitOptions options) override;
};

class BasicTarget : public Target {
public:
  Task<Result<void>> make_link(std::string path, std::string text, TemporaryName temporary, Replace replace) override;
  Task<Result<std::unique_ptr<DirectCopy>>> begin_direct_copy(std::shared_ptr<const Origin> origin, Entry entry,
                                                              std::string path, UploadHints hints) override;
  Task<Result<SetAsideOutcome>> settle_set_aside(std::string path) override;       // kept: none is ever made
  Task<Result<std::optional<std::string>>> resumable_path(Orphan orphan) override; // nothing
  Task<Result<HashAlgorithm>> server_side_checksum() override;                     // unsupported
  bool bounds_its_calls() const override { return false; }
};

// The errors that these calls give.
Error no_symbolic_links();
Error no_direct_copy();

} // namespace checkvalve
