// PartsUploader over a store in memory that can be as S3, Azure Blob or Google Cloud Storage are.
#include <gtest/gtest.h>

#include <map>

#include "backends/object_store/parts_uploader.h"
#include "support/run.h"

namespace checkvalve {
namespace {

using namespace testing_support;
using std::chrono::milliseconds;

constexpr std::uint64_t part_bytes = 1'000;

struct Traits {
  const char* name;
  std::uint32_t parts_in_flight = UINT32_MAX;
  bool last_part_completes = false;
  bool secret_sessions = false;
  bool lists_checksums = true;
  bool drops_parts = true; // abort() does
  bool refuses_existing = true;
  ChecksumKind checksum = ChecksumKind::crc32c;
};
void PrintTo(const Traits& traits, std::ostream* out) { *out << traits.name; }
constexpr Traits like_s3{.name = "S3"};
constexpr Traits like_azure{
    .name = "Azure", .lists_checksums = false, .drops_parts = false, .checksum = ChecksumKind::crc64nvme};
constexpr Traits like_gcs{.name = "GCS",
                          .parts_in_flight = 1,
                          .last_part_completes = true,
                          .secret_sessions = true,
                          .lists_checksums = false};

std::string text_of(const ObjectBody& body) {
  std::string text;
  for (const Chunk& chunk : *body) text += chunk.text();
  return text;
}

class FakeStore : public ObjectStore {
public:
  struct Part {
    std::uint64_t offset = 0;
    std::string content;
  };
  struct Session {
    std::string key;
    std::map<std::uint32_t, Part> parts;
  };

  explicit FakeStore(const Traits& traits) : traits_(traits) {
    limits_ = {
        part_bytes,     part_bytes, 10'000, traits.parts_in_flight, traits.last_part_completes, traits.secret_sessions,
        traits.checksum};
  }

  const StoreLimits& limits() const override { return limits_; }
  std::string key_of(std::string_view path) const override { return "prefix/" + std::string(path); }
  std::string options_text(const ObjectWrite&) const override { return options; }

  Task<Result<StoredObject>> put(ObjectWrite write, ObjectBody body, ExpectedVersion expected) override {
    co_return publish(key_of(write.path), text_of(body), expected);
  }
  Task<Result<PartsSession>> begin_parts(ObjectWrite write) override {
    const std::string id = "secret-" + std::to_string(++begun);
    sessions[id].key = key_of(write.path);
    co_return PartsSession{key_of(write.path), id, true};
  }
  Task<Result<StoredPart>> put_part(PartsSession session, std::uint32_t number, std::uint64_t offset, ObjectBody body,
                                    CancellationToken cancellation) override {
    ++sent[number];
    max_in_flight = std::max(max_in_flight, ++in_flight);
    const bool whole = held ? co_await held->wait(cancellation) : co_await Loop::current()->sleep(milliseconds(1));
    --in_flight;
    if (!whole) co_return Failure(cancellation.reason());
    if (number == refused_part) co_return Failure(make_error(ErrorKind::no_space, "put part of", session.key, "full"));
    const std::string content = text_of(body);
    sessions[session.id].parts[number] = {offset, content};
    co_return StoredPart{number, content.size(), "part", checksum_of(content)};
  }
  Task<Result<std::vector<StoredPart>>> list_parts(PartsSession session) override {
    std::vector<StoredPart> parts;
    for (const auto& [number, part] : sessions[session.id].parts)
      parts.push_back(
          {number, part.content.size(), "part", traits_.lists_checksums ? checksum_of(part.content) : std::string()});
    co_return parts;
  }
  Task<Result<StoredObject>> complete(PartsSession session, std::vector<StoredPart> parts, ObjectBody last,
                                      ExpectedVersion expected) override {
    EXPECT_EQ(last != nullptr, traits_.last_part_completes);
    std::string content;
    for (const StoredPart& part : parts) {
      const Part& stored = sessions[session.id].parts[part.number];
      EXPECT_EQ(stored.offset, content.size());
      content += stored.content;
    }
    if (last) content += text_of(last);
    auto published = publish(session.key, content, expected);
    if (published) sessions.erase(session.id);
    co_return published;
  }
  Task<Result<void>> abort(PartsSession session) override {
    if (refuses_abort) co_return Failure(make_error(ErrorKind::permission, "abort", session.key, "refused"));
    if (traits_.drops_parts) sessions.erase(session.id);
    co_return Result<void>();
  }
  Task<Result<StoredObject>> look_at(std::string key) override {
    ++looks;
    if (!objects.contains(key)) co_return Failure(make_error(ErrorKind::not_found, "look at", key, "no such object"));
    co_return StoredObject{"version", objects[key].size(), confirms ? checksum_of(objects[key]) : ""};
  }
  Task<bool> refuses_existing(std::string) override { co_return traits_.refuses_existing; }
  Task<Result<std::optional<std::string>>> read_small(std::string key) override {
    if (!small.contains(key)) co_return std::nullopt;
    co_return small[key];
  }
  Task<Result<void>> write_small(std::string key, std::string text) override {
    if (refuses_records) co_return Failure(make_error(ErrorKind::permission, "write", key, "refused"));
    small[key] = std::move(text);
    ++records_written;
    co_return Result<void>();
  }
  Task<Result<void>> remove_small(std::string key) override {
    small.erase(key);
    co_return Result<void>();
  }
  void spawn(Task<void> task) override { tasks.spawn(std::move(task)); }
  void warn(std::string message) override {
    if (warnings-- <= 0) ADD_FAILURE() << message;
  }

  std::map<std::string, std::string> objects;
  std::map<std::string, std::string> small;
  std::map<std::string, Session> sessions;
  std::map<std::uint32_t, int> sent; // parts, by number
  TaskGroup tasks;
  std::string options;
  std::function<void(std::string&)> damage; // to what is published
  OneShotEvent* held = nullptr;             // parts are not stored before
  std::uint32_t refused_part = 0;
  bool confirms = true; // the checksum of what is published
  bool refuses_abort = false, refuses_records = false;
  int warnings = 0; // that are expected
  int begun = 0, records_written = 0, looks = 0, in_flight = 0, max_in_flight = 0;

private:
  std::string checksum_of(std::string_view content) const {
    Checksum checksum(limits_.checksum);
    checksum.update(std::as_bytes(std::span(content)));
    return checksum.base64();
  }
  Result<StoredObject> publish(const std::string& key, std::string content, const ExpectedVersion& expected) {
    if (expected && objects.contains(key)) return Failure(exists_already(key));
    if (damage) damage(content);
    objects[key] = content;
    return StoredObject{"version", std::nullopt, confirms ? checksum_of(content) : ""};
  }

  const Traits traits_;
  StoreLimits limits_;
};

std::string pattern(std::size_t bytes, unsigned seed = 0) {
  std::string text(bytes, 0);
  for (std::size_t i = 0; i < bytes; ++i) text[i] = static_cast<char>('a' + (i * 7 + i / part_bytes + seed) % 26);
  return text;
}

struct Bench {
  explicit Bench(const Traits& traits) : store(std::make_shared<FakeStore>(traits)) {}

  std::unique_ptr<PartsUploader> uploader(std::optional<std::uint64_t> size, std::uint32_t attempt = 1) {
    UploadHints hints;
    hints.temporary = {"plan", 1, "nonce", 1, attempt};
    hints.size_bytes = size;
    hints.version = "version 1";
    for (std::uint32_t earlier = 1; earlier < attempt; ++earlier)
      hints.continues.push_back({"plan", 1, "nonce", 1, earlier});
    return std::make_unique<PartsUploader>(store, memory, "file", hints);
  }
  // Begins, writes in pieces that are not parts, and commits.
  Task<Result<Published>> upload(PartsUploader& upload, std::string content, Replace replace = Replace::atomic) {
    CV_CO_CHECK(co_await upload.begin());
    CV_CO_CHECK(co_await write(upload, content));
    CommitOptions options;
    options.size_bytes = content.size();
    options.replace = replace;
    co_return co_await upload.commit(options);
  }
  Task<Result<void>> write(PartsUploader& upload, std::string content) {
    for (std::size_t at = 0; at < content.size(); at += 300)
      CV_CO_CHECK(co_await upload.write(at, Chunk::copy_of(std::string_view(content).substr(at, 300))));
    co_return Result<void>();
  }
  Task<void> run(Task<void> body) {
    co_await std::move(body);
    co_await store->tasks.join();
    EXPECT_EQ(memory->used_bytes(), 0U);
  }

  Loop loop;
  std::shared_ptr<FakeStore> store;
  std::shared_ptr<PartMemory> memory = std::make_shared<PartMemory>(3 * part_bytes);
};

class Stores : public testing::TestWithParam<Traits> {};
INSTANTIATE_TEST_SUITE_P(PartsUploader, Stores, testing::Values(like_s3, like_azure, like_gcs),
                         [](const auto& test) { return std::string(test.param.name); });

TEST_P(Stores, HoldWhatWasWritten) {
  for (const std::size_t size : {0, 1, 999, 1'000, 1'001, 2'000, 3'500, 20'000})
    for (const bool known : {true, false}) {
      SCOPED_TRACE(testing::Message() << size << (known ? ", known" : ", unknown"));
      Bench t(GetParam());
      t.loop.run(t.run([](Bench& b, std::size_t bytes, bool is_known) -> Task<void> {
        auto upload = b.uploader(is_known ? std::optional<std::uint64_t>(bytes) : std::nullopt);
        CO_ASSERT_OK(co_await b.upload(*upload, pattern(bytes)));
      }(t, size, known)));
      EXPECT_EQ(t.store->objects["prefix/file"], pattern(size));
      EXPECT_TRUE(t.store->sessions.empty());
      EXPECT_TRUE(t.store->small.empty());
      EXPECT_LE(static_cast<std::uint32_t>(t.store->max_in_flight), GetParam().parts_in_flight);
      EXPECT_TRUE(!GetParam().secret_sessions || t.store->records_written == 0);
    }
}

TEST_P(Stores, DamageIsFound) {
  struct Damage {
    const char* what;
    bool confirms; // the store, the checksum
    std::function<void(std::string&)> to;
  };
  const Damage damages[] = {{"a byte, confirmed", true, [](std::string& text) { text[1] ^= 1; }},
                            {"a byte missing, no checksum", false, [](std::string& text) { text.pop_back(); }}};
  for (const std::size_t size : {500, 3'500})
    for (const Damage& damage : damages) {
      SCOPED_TRACE(testing::Message() << damage.what << " of " << size);
      Bench t(GetParam());
      t.store->damage = damage.to;
      t.store->confirms = damage.confirms;
      t.loop.run(t.run([](Bench& b, std::size_t bytes) -> Task<void> {
        auto upload = b.uploader(bytes);
        EXPECT_FAILS(co_await b.upload(*upload, pattern(bytes)), ErrorKind::integrity);
      }(t, size)));
    }
}

TEST_P(Stores, AFailedPartFailsTheUploadAndAbortDropsIt) {
  for (const std::uint32_t refused : {2U, 5U}) { // while the file is written, and at its end
    if (refused == 5 && GetParam().last_part_completes) continue;
    SCOPED_TRACE(refused);
    Bench t(GetParam());
    t.store->refused_part = refused;
    t.loop.run(t.run([](Bench& b) -> Task<void> {
      auto upload = b.uploader(4'500);
      EXPECT_FAILS(co_await b.upload(*upload, pattern(4'500)), ErrorKind::no_space);
      CO_ASSERT_OK(co_await upload->abort());
    }(t)));
    EXPECT_TRUE(t.store->objects.empty());
    EXPECT_TRUE(t.store->small.empty());
    EXPECT_EQ(t.store->sessions.empty(), GetParam().drops_parts);
  }
}

TEST_P(Stores, AnExistingNameIsKept) {
  for (const bool refuses : {true, false})
    for (const std::size_t size : {500, 3'500}) {
      Traits traits = GetParam();
      traits.refuses_existing = refuses;
      Bench t(traits);
      t.store->objects["prefix/file"] = "theirs";
      t.loop.run(t.run([](Bench& b, std::size_t bytes) -> Task<void> {
        auto upload = b.uploader(bytes);
        EXPECT_FAILS(co_await b.upload(*upload, pattern(bytes), Replace::if_absent), ErrorKind::exists);
        CO_ASSERT_OK(co_await upload->abort());
      }(t, size)));
      EXPECT_EQ(t.store->objects["prefix/file"], "theirs");
    }
}

// Writes 2,500 bytes of 5,000, and drops the upload once its two parts are stored.
Task<void> leave_two_parts(Bench& b, std::string content) {
  auto upload = b.uploader(content.size());
  CO_ASSERT_OK(co_await upload->begin());
  CO_ASSERT_OK(co_await b.write(*upload, content.substr(0, 2'500)));
  co_await b.store->tasks.join();
  b.store->sent.clear();
}

struct ResumeCase {
  const char* name;
  std::size_t changed_byte; // of the source, since the parts were stored; npos: none
  const char* options;      // of the second attempt
  int begun;                // sessions
  int sent[2];              // how often the second attempt sends the first two parts
};

TEST(PartsUploaderResume, SendsWhatTheSessionCannotProve) {
  const ResumeCase cases[] = {{"unchanged", std::string::npos, "", 1, {0, 0}},
                              {"first part changed", 10, "", 1, {1, 0}},
                              {"second part changed", 1'999, "", 1, {0, 1}},
                              {"other options", std::string::npos, "class=cold", 2, {1, 1}}};
  for (const ResumeCase& row : cases) {
    SCOPED_TRACE(row.name);
    Bench t(like_s3);
    std::string content = pattern(5'000);
    t.loop.run(t.run(leave_two_parts(t, content)));
    if (row.changed_byte != std::string::npos) content[row.changed_byte] ^= 1;
    t.store->options = row.options;
    t.loop.run(t.run([](Bench& b, std::string text) -> Task<void> {
      auto upload = b.uploader(text.size(), 2);
      CO_ASSERT_OK(co_await b.upload(*upload, text));
    }(t, content)));
    EXPECT_TRUE(t.store->objects["prefix/file"] == content);
    EXPECT_EQ(t.store->begun, row.begun);
    for (const std::uint32_t number : {1U, 2U}) EXPECT_EQ(t.store->sent[number], row.sent[number - 1]) << number;
    EXPECT_TRUE(t.store->sessions.empty());
    EXPECT_TRUE(t.store->small.empty());
  }
}

// What it names would be known to nobody.
TEST(PartsUploaderRecord, StaysWhileItsUploadCannotBeAborted) {
  Bench t(like_s3);
  const std::string content = pattern(5'000);
  t.loop.run(t.run(leave_two_parts(t, content)));
  const auto records = t.store->small;
  t.store->options = "class=cold"; // the parts that are there are of no use
  t.store->refuses_abort = true;
  t.loop.run(t.run([](Bench& b, std::size_t bytes) -> Task<void> {
    EXPECT_FAILS(co_await b.uploader(bytes, 2)->begin(), ErrorKind::permission);
  }(t, content.size())));
  EXPECT_EQ(t.store->small, records);
  EXPECT_EQ(t.store->begun, 1);
}

TEST(PartsUploaderRecord, AnUploadWithoutOneIsAborted) {
  for (const bool refuses_abort : {false, true}) {
    SCOPED_TRACE(refuses_abort);
    Bench t(like_s3);
    t.store->refuses_records = true;
    t.store->refuses_abort = refuses_abort;
    t.store->warnings = refuses_abort ? 1 : 0; // it is left behind
    t.loop.run(t.run(
        [](Bench& b) -> Task<void> { EXPECT_FAILS(co_await b.uploader(5'000)->begin(), ErrorKind::permission); }(t)));
    EXPECT_EQ(t.store->sessions.size(), refuses_abort ? 1U : 0U);
    EXPECT_EQ(t.store->warnings, 0);
  }
}

TEST(PartsUploaderResume, StartsAgainWherePartsHaveNoChecksums) {
  Bench t(like_azure);
  const std::string content = pattern(5'000);
  t.loop.run(t.run(leave_two_parts(t, content)));
  t.loop.run(t.run([](Bench& b, std::string text) -> Task<void> {
    auto upload = b.uploader(text.size(), 2);
    CO_ASSERT_OK(co_await b.upload(*upload, text));
  }(t, content)));
  EXPECT_TRUE(t.store->objects["prefix/file"] == content);
  EXPECT_EQ(t.store->begun, 2);
}

TEST(PartsUploaderMemory, IsBoundedWhilePartsAreOnTheirWay) {
  Bench t(like_s3);
  OneShotEvent held;
  t.store->held = &held;
  t.loop.run(t.run([](Bench& b, OneShotEvent& release) -> Task<void> {
    auto upload = b.uploader(10'000);
    CO_ASSERT_OK(co_await upload->begin());
    auto writing = spawn(b.write(*upload, pattern(10'000)));
    co_await b.loop.sleep(milliseconds(1));
    EXPECT_FALSE(writing.ready());
    EXPECT_LE(b.memory->used_bytes(), 3 * part_bytes);
    release.set();
    CO_ASSERT_OK(co_await writing.get());
    CommitOptions options;
    options.size_bytes = 10'000;
    CO_ASSERT_OK(co_await upload->commit(options));
  }(t, held)));
  EXPECT_TRUE(t.store->objects["prefix/file"] == pattern(10'000));
}

// Parts on their way end at once: abort() waits for nothing that the store does not give.
TEST(PartsUploaderAbort, CancelsThePartsOnTheirWay) {
  Bench t(like_s3);
  OneShotEvent never;
  t.store->held = &never;
  t.loop.run(t.run([](Bench& b) -> Task<void> {
    auto upload = b.uploader(5'000);
    CO_ASSERT_OK(co_await upload->begin());
    CO_ASSERT_OK(co_await b.write(*upload, pattern(2'000)));
    CO_ASSERT_OK(co_await upload->abort());
  }(t)));
  EXPECT_TRUE(t.store->sessions.empty());
  EXPECT_TRUE(t.store->small.empty());
}

} // namespace
} // namespace checkvalve
