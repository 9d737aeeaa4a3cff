#include "conformance/backend/suite.h"

#include <algorithm>

#include "backends/orphans.h"
#include "core/path.h"

namespace checkvalve::conformance {

// A program may link this suite for some backends only.
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(BackendSuite);

void BackendSuite::SetUp() {
  fixture_ = GetParam().make(engine_.context);
  ASSERT_NE(fixture_, nullptr) << "the fixture could not be made";
  ASSERT_OK(engine_.run(fixture_->set_up()));
  auto source = fixture_->make_source();
  ASSERT_OK(source);
  source_ = std::move(*source);
  auto target = fixture_->make_target();
  ASSERT_OK(target);
  target_ = std::move(*target);
  engine_.run(connect());
}

Task<Result<void>> connect_to_empty_root(Source& source) {
  auto connected = co_await source.connect();
  if (!connected && connected.error().kind == ErrorKind::not_found && !source.capabilities().directories)
    co_return Result<void>();
  co_return connected;
}

Task<void> BackendSuite::connect() {
  CO_ASSERT_OK(co_await target_->connect());
  CO_ASSERT_OK(co_await connect_to_empty_root(*source_));
}

void BackendSuite::run(Task<void> body) {
  if (!HasFatalFailure() && !HasNonfatalFailure()) engine_.run(std::move(body));
}

Task<void> BackendSuite::close() {
  if (source_) co_await source_->disconnect();
  if (target_) co_await target_->disconnect();
  source_.reset();
  target_.reset();
}

void BackendSuite::TearDown() {
  engine_.run(close());
  if (fixture_) engine_.run(fixture_->tear_down());
}

// --- the fixture's ways through the backend itself ------------------------------------------------------------------

TemporaryName planting_name() {
  static std::uint64_t number = 1'000'000;
  return {random_plan_id(), 1, random_nonce(), ++number};
}

Task<Result<void>> BackendFixture::plant_file(std::string path, std::string content) {
  CV_CO_TRY(auto target, make_target());
  CV_CO_CHECK(co_await target->connect());
  CommitOptions options;
  options.replace = Replace::allow_gap;
  auto published = co_await put(*target, std::move(path), std::move(content), planting_name(), options);
  co_await target->disconnect();
  if (!published) co_return Failure(std::move(published.error()));
  co_return Result<void>();
}

Task<Result<void>> BackendFixture::plant_directory(std::string path) {
  CV_CO_TRY(auto target, make_target());
  CV_CO_CHECK(co_await target->connect());
  auto made = co_await target->make_directory(std::move(path), std::nullopt);
  co_await target->disconnect();
  co_return made;
}

Task<Result<void>> BackendFixture::plant_link(std::string path, std::string text) {
  CV_CO_TRY(auto target, make_target());
  CV_CO_CHECK(co_await target->connect());
  auto made = co_await target->make_link(std::move(path), std::move(text), planting_name(), Replace::if_absent);
  co_await target->disconnect();
  co_return made;
}

Task<Result<std::string>> BackendFixture::read_back(std::string path) {
  CV_CO_TRY(auto source, make_source());
  CV_CO_CHECK(co_await source->connect());
  auto content = co_await get(*source, std::move(path));
  co_await source->disconnect();
  co_return content;
}

Task<Result<std::vector<std::string>>> BackendFixture::raw_names(std::string directory) {
  CV_CO_TRY(auto target, make_target());
  CV_CO_CHECK(co_await target->connect());
  auto entries = co_await list_all(*target, std::move(directory));
  co_await target->disconnect();
  std::vector<std::string> names;
  if (entries) {
    for (const Entry& entry : *entries) names.emplace_back(base_name(entry.path));
  } else if (entries.error().kind != ErrorKind::not_found) {
    co_return Failure(std::move(entries.error()));
  }
  co_return names;
}

// --- what tests share -----------------------------------------------------------------------------------------------

std::string pattern(std::size_t size, std::uint32_t seed) {
  std::string out(size, '\0');
  std::uint32_t state = seed * 2'654'435'761U + 12'345U;
  for (char& byte : out) {
    state = state * 1'664'525U + 1'013'904'223U;
    byte = static_cast<char>(state >> 24);
  }
  return out;
}

namespace {

Task<void> write_piece(Upload& upload, std::uint64_t offset, Chunk chunk, Semaphore::Permit /*slot*/,
                       Result<void>& outcome) {
  auto written = co_await upload.write(offset, std::move(chunk));
  if (!written && outcome) outcome = std::move(written);
}

} // namespace

Task<Result<void>> write_all(Upload& upload, std::string content, std::size_t piece_bytes, std::size_t in_flight) {
  Semaphore slots(in_flight);
  TaskGroup group;
  Result<void> outcome;
  for (std::size_t offset = 0; offset < content.size() && outcome; offset += piece_bytes) {
    auto slot = co_await slots.acquire();
    group.spawn(write_piece(upload, offset, Chunk::copy_of(std::string_view(content).substr(offset, piece_bytes)),
                            std::move(slot), outcome));
  }
  co_await group.join();
  co_return outcome;
}

Task<Result<Published>> put(Target& target, std::string path, std::string content, TemporaryName temporary,
                            CommitOptions options) {
  options.size_bytes = content.size();
  CV_CO_TRY(auto upload, co_await target.begin(std::move(path), UploadHints{std::move(temporary), content.size()}));
  CV_CO_CHECK(co_await write_all(*upload, std::move(content), target.capabilities().chunk_bytes, 4));
  co_return co_await upload->commit(options);
}

Task<Result<std::string>> get(Source& source, std::string path) {
  CV_CO_TRY(Entry entry, co_await source.stat(std::move(path), true));
  CV_CO_TRY(auto reader, co_await source.open(entry));
  std::string content;
  for (;;) {
    CV_CO_TRY(Chunk chunk, co_await reader->read(content.size(), source.capabilities().chunk_bytes));
    if (chunk.empty()) co_return content;
    content += chunk.text();
  }
}

template <class Side>
Task<Result<std::vector<Entry>>> list_all(Side& side, std::string directory, bool recursive,
                                          std::vector<Error>* refused) {
  CV_CO_TRY(auto listing, co_await side.list(std::move(directory), recursive));
  std::vector<Entry> all;
  for (;;) {
    CV_CO_TRY(std::vector<Entry> page, co_await listing->next());
    if (page.empty()) break;
    std::move(page.begin(), page.end(), std::back_inserter(all));
  }
  if (refused) *refused = listing->take_refused();
  std::sort(all.begin(), all.end(), [](const Entry& a, const Entry& b) { return a.path < b.path; });
  co_return all;
}

template Task<Result<std::vector<Entry>>> list_all(Source&, std::string, bool, std::vector<Error>*);
template Task<Result<std::vector<Entry>>> list_all(Target&, std::string, bool, std::vector<Error>*);

Task<Result<std::vector<Orphan>>> orphans_of(Target& target, std::string directory, std::size_t limit) {
  CV_CO_TRY(OrphanSearch search, co_await find_orphans(target, std::move(directory), limit));
  for (const Error& error : search.unreadable) co_return Failure(error);
  co_return std::move(search.found);
}

std::vector<std::string> paths_of(const std::vector<Entry>& entries) {
  std::vector<std::string> paths;
  for (const Entry& entry : entries) paths.push_back(entry.path);
  return paths;
}

} // namespace checkvalve::conformance
