#include "doubles/faults.h"

#include "decorators/wrapper.h"

namespace checkvalve {

void FaultPlan::add(Operation operation, std::uint32_t nth, std::uint32_t times, Action action,
                    std::optional<Error> error) {
  const std::uint32_t first = calls(operation) + nth;
  faults_.push_back({operation, first, first + times - 1, action, std::move(error)});
}

void FaultPlan::fail(Operation operation, std::uint32_t nth, Error error, std::uint32_t times) {
  add(operation, nth, times, Action::fail, std::move(error));
}
void FaultPlan::lose_answer(Operation operation, std::uint32_t nth, Error error) {
  add(operation, nth, 1, Action::lose_answer, std::move(error));
}
void FaultPlan::stall(Operation operation, std::uint32_t nth) { add(operation, nth, 1, Action::stall, std::nullopt); }
void FaultPlan::drop_connection(Operation operation, std::uint32_t nth) {
  add(operation, nth, 1, Action::drop, std::nullopt);
}

void FaultPlan::release() {
  released_->set();
  released_ = std::make_shared<OneShotEvent>();
}

std::optional<FaultPlan::Fault> FaultPlan::count_call(Operation operation) {
  const std::uint32_t number = ++calls_[static_cast<std::size_t>(operation)];
  for (const Fault& fault : faults_) {
    if (fault.operation != operation || number < fault.first || number > fault.last) continue;
    if (fault.action == Action::drop) ++connection_;
    return fault;
  }
  return std::nullopt;
}

namespace {

Failure connection_lost() {
  return Failure(make_error(ErrorKind::connection, "wait", "", "connection lost (a planned fault)"));
}

// One call. `opened_on`: the connection on which the file or listing was opened; calls on the whole side use any.
template <class T>
Task<Result<T>> tampered(std::shared_ptr<FaultPlan> plan, Operation operation, std::optional<std::uint64_t> opened_on,
                         Task<Result<T>> call) {
  const auto fault = plan->count_call(operation);
  if (fault && fault->action == FaultPlan::Action::drop) co_return connection_lost();
  if (opened_on && *opened_on != plan->connection()) co_return connection_lost();
  const std::uint64_t connection = plan->connection();
  if (fault && fault->action == FaultPlan::Action::stall) {
    const auto released = plan->released();
    co_await *released;
    co_return Failure(make_error(ErrorKind::interrupted, "wait", "", "stalled until released (a planned fault)"));
  }
  if (fault && fault->action == FaultPlan::Action::fail) co_return Failure(*fault->error);
  auto result = co_await std::move(call);
  if (fault && fault->action == FaultPlan::Action::lose_answer) co_return Failure(*fault->error);
  if (connection != plan->connection()) co_return connection_lost();
  co_return result;
}

class FaultyReader : public ReaderWrapper {
public:
  FaultyReader(std::shared_ptr<Reader> inner, std::shared_ptr<FaultPlan> plan)
      : ReaderWrapper(std::move(inner)), plan_(std::move(plan)), connection_(plan_->connection()) {}
  Task<Result<Chunk>> read(std::uint64_t offset, std::uint32_t size) override {
    return tampered(plan_, Operation::read, connection_, inner_->read(offset, size));
  }
  Task<Result<Entry>> stat() override { return tampered(plan_, Operation::reader_stat, connection_, inner_->stat()); }
  // As the two calls, so that each can fail.
  Task<Result<Whole>> read_whole(std::uint32_t size) override {
    Chunk content;
    if (size != 0) {
      CV_CO_TRY(content, co_await read(0, size));
    }
    co_return Whole{std::move(content), co_await stat()};
  }

private:
  std::shared_ptr<FaultPlan> plan_;
  std::uint64_t connection_;
};

class FaultyListing : public ListingWrapper {
public:
  FaultyListing(std::shared_ptr<Listing> inner, std::shared_ptr<FaultPlan> plan)
      : ListingWrapper(std::move(inner)), plan_(std::move(plan)), connection_(plan_->connection()) {}
  Task<Result<std::vector<Entry>>> next() override {
    return tampered(plan_, Operation::next, connection_, inner_->next());
  }

private:
  std::shared_ptr<FaultPlan> plan_;
  std::uint64_t connection_;
};

class FaultyUpload : public UploadWrapper {
public:
  FaultyUpload(std::shared_ptr<Upload> inner, std::shared_ptr<FaultPlan> plan)
      : UploadWrapper(std::move(inner)), plan_(std::move(plan)), connection_(plan_->connection()) {}
  Task<Result<void>> write(std::uint64_t offset, Chunk chunk) override {
    return tampered(plan_, Operation::write, connection_, inner_->write(offset, std::move(chunk)));
  }
  Task<Result<Published>> commit(CommitOptions options) override {
    return tampered(plan_, Operation::commit, connection_, inner_->commit(options));
  }
  // As the two calls, so that each can fail.
  Task<Result<Published>> write_and_commit(Chunk content, CommitOptions options) override {
    if (!content.empty()) CV_CO_CHECK(co_await write(0, std::move(content)));
    co_return co_await commit(std::move(options));
  }
  Task<Result<void>> reopen(std::uint64_t acknowledged_bytes, TemporaryName temporary) override {
    connection_ = plan_->connection();
    return tampered(plan_, Operation::reopen, connection_, inner_->reopen(acknowledged_bytes, std::move(temporary)));
  }
  Task<Result<void>> abort() override { return tampered(plan_, Operation::abort, connection_, inner_->abort()); }

private:
  std::shared_ptr<FaultPlan> plan_;
  std::uint64_t connection_;
};

class FaultyDirectCopy : public DirectCopyWrapper {
public:
  FaultyDirectCopy(std::shared_ptr<DirectCopy> inner, std::shared_ptr<FaultPlan> plan)
      : DirectCopyWrapper(std::move(inner)), plan_(std::move(plan)), connection_(plan_->connection()) {}
  Task<Result<std::uint64_t>> advance() override {
    return tampered(plan_, Operation::advance, connection_, inner_->advance());
  }
  Task<Result<Published>> commit(CommitOptions options) override {
    return tampered(plan_, Operation::commit, connection_, inner_->commit(options));
  }
  Task<Result<void>> abort() override { return tampered(plan_, Operation::abort, connection_, inner_->abort()); }

private:
  std::shared_ptr<FaultPlan> plan_;
  std::uint64_t connection_;
};

template <class Side>
Task<Result<std::unique_ptr<Listing>>> tampered_list(std::shared_ptr<FaultPlan> plan, std::shared_ptr<Side> inner,
                                                     std::string directory, bool recursive) {
  CV_CO_TRY(auto listing, co_await tampered(plan, Operation::list, {}, inner->list(std::move(directory), recursive)));
  co_return std::make_unique<FaultyListing>(std::move(listing), plan);
}

class FaultySource : public SourceWrapper {
public:
  FaultySource(std::shared_ptr<Source> inner, std::shared_ptr<FaultPlan> plan)
      : SourceWrapper(std::move(inner)), plan_(std::move(plan)) {}
  Task<Result<void>> connect() override { return tampered(plan_, Operation::connect, {}, inner_->connect()); }
  Task<Result<std::unique_ptr<Listing>>> list(std::string directory, bool recursive) override {
    return tampered_list(plan_, inner_, std::move(directory), recursive);
  }
  Task<Result<Entry>> stat(std::string path, bool follow) override {
    return tampered(plan_, Operation::stat, {}, inner_->stat(std::move(path), follow));
  }
  Task<Result<std::unique_ptr<Reader>>> open(Entry entry) override {
    const auto plan = plan_;
    CV_CO_TRY(auto reader, co_await tampered(plan, Operation::open, {}, inner_->open(std::move(entry))));
    co_return std::make_unique<FaultyReader>(std::move(reader), plan);
  }
  Task<Result<std::string>> read_link(std::string path) override {
    return tampered(plan_, Operation::read_link, {}, inner_->read_link(std::move(path)));
  }
  bool bounds_its_calls() const override { return false; } // a stalled call has no bound

private:
  std::shared_ptr<FaultPlan> plan_;
};

class FaultyTarget : public TargetWrapper {
public:
  FaultyTarget(std::shared_ptr<Target> inner, std::shared_ptr<FaultPlan> plan)
      : TargetWrapper(std::move(inner)), plan_(std::move(plan)) {}
  Task<Result<void>> connect() override { return tampered(plan_, Operation::connect, {}, inner_->connect()); }
  Task<Result<std::unique_ptr<Listing>>> list(std::string directory, bool recursive) override {
    return tampered_list(plan_, inner_, std::move(directory), recursive);
  }
  Task<Result<Entry>> stat(std::string path, bool follow) override {
    return tampered(plan_, Operation::stat, {}, inner_->stat(std::move(path), follow));
  }
  Task<Result<void>> make_directory(std::string path, std::optional<std::uint32_t> mode) override {
    return tampered(plan_, Operation::make_directory, {}, inner_->make_directory(std::move(path), mode));
  }
  Task<Result<void>> make_link(std::string path, std::string text, TemporaryName temporary, Replace replace) override {
    return tampered(plan_, Operation::make_link, {},
                    inner_->make_link(std::move(path), std::move(text), std::move(temporary), replace));
  }
  Task<Result<std::unique_ptr<Upload>>> begin(std::string path, UploadHints hints) override {
    const auto plan = plan_;
    CV_CO_TRY(auto upload,
              co_await tampered(plan, Operation::begin, {}, inner_->begin(std::move(path), std::move(hints))));
    co_return std::make_unique<FaultyUpload>(std::move(upload), plan);
  }
  Task<Result<std::unique_ptr<DirectCopy>>> begin_direct_copy(std::shared_ptr<const Origin> origin, Entry entry,
                                                              std::string path, UploadHints hints) override {
    const auto plan = plan_;
    CV_CO_TRY(auto copy, co_await tampered(plan, Operation::begin_direct_copy, {},
                                           inner_->begin_direct_copy(std::move(origin), std::move(entry),
                                                                     std::move(path), std::move(hints))));
    co_return std::make_unique<FaultyDirectCopy>(std::move(copy), plan);
  }
  Task<Result<void>> discard(std::string path, TemporaryName temporary) override {
    return tampered(plan_, Operation::discard, {}, inner_->discard(std::move(path), std::move(temporary)));
  }
  Task<Result<void>> remove_orphan(Orphan orphan) override {
    return tampered(plan_, Operation::remove_orphan, {}, inner_->remove_orphan(std::move(orphan)));
  }
  bool bounds_its_calls() const override { return false; } // a stalled call has no bound
  Task<Result<HashAlgorithm>> server_side_checksum() override {
    return tampered(plan_, Operation::server_side_checksum, {}, inner_->server_side_checksum());
  }

private:
  std::shared_ptr<FaultPlan> plan_;
};

} // namespace

std::unique_ptr<Source> with_faults(std::shared_ptr<Source> inner, std::shared_ptr<FaultPlan> plan) {
  return std::make_unique<FaultySource>(std::move(inner), std::move(plan));
}

std::unique_ptr<Target> with_faults(std::shared_ptr<Target> inner, std::shared_ptr<FaultPlan> plan) {
  return std::make_unique<FaultyTarget>(std::move(inner), std::move(plan));
}

} // namespace checkvalve
