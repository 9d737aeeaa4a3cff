// What the conformance suite can't ask of every backend: links that lead out, holes, odd files, old kernels.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "backends/local/root_directory.h"
#include "backends/registry.h"
#include "support/run.h"

namespace checkvalve {
namespace {

class LocalTest : public testing::Test {
protected:
  LocalTest() {
    std::string name = (std::filesystem::temp_directory_path() / "checkvalve-test-XXXXXX").string();
    if (!mkdtemp(name.data())) throw std::runtime_error("no temporary directory");
    base_ = name;
    std::filesystem::create_directories(base_ / "root/inside");
    std::filesystem::create_directories(base_ / "outside");
    write(base_ / "root/inside/file", "inside");
    write(base_ / "outside/file", "outside");
  }
  ~LocalTest() override { std::filesystem::remove_all(base_); }

  static void write(const std::filesystem::path& path, const std::string& content) { std::ofstream(path) << content; }
  static std::string read(const std::filesystem::path& path) {
    std::ostringstream content; // in blocks: byte by byte, a large file takes half a minute
    content << std::ifstream(path, std::ios::binary).rdbuf();
    return content.str();
  }
  void link(const std::string& name, const std::string& text) {
    std::filesystem::create_symlink(text, base_ / "root" / name);
  }

  Endpoint endpoint() const {
    Endpoint endpoint;
    endpoint.scheme = "file";
    endpoint.root = (base_ / "root").string();
    return endpoint;
  }

  std::filesystem::path base_;
  testing_support::TestEngine engine_;
};

struct Resolution {
  const char* path;
  int flags;
  bool opens;
};

// Both ways to resolve a name must agree.
TEST_F(LocalTest, StaysBeneathTheRootWithAndWithoutOpenat2) {
  link("absolute", (base_ / "outside/file").string());
  link("up", "../outside/file");
  link("updir", "../outside");
  link("beneath", "inside/file");
  link("beneathdir", "inside");
  link("inside/back", "../inside/file");
  link("chain", "beneath");
  link("circle", "circle");
  link("dangling", "nowhere");
  for (bool walk : {false, true}) {
    auto root = RootDirectory::open((base_ / "root").string(), RootDirectory::Links::stay_beneath);
    ASSERT_OK(root);
    if (walk) root->use_walk();
    for (const Resolution& wanted : {Resolution{"inside/file", O_RDONLY, true},
                                     {"beneath", O_RDONLY, true},
                                     {"beneathdir/file", O_RDONLY, true},
                                     {"inside/back", O_RDONLY, true},
                                     {"chain", O_RDONLY, true},
                                     {"inside/../inside/file", O_RDONLY, true},
                                     {"", O_RDONLY | O_DIRECTORY, true},
                                     {"beneath", O_PATH | O_NOFOLLOW, true},
                                     {"absolute", O_PATH | O_NOFOLLOW, true},
                                     {"beneath", O_RDONLY | O_NOFOLLOW, false},
                                     {"absolute", O_RDONLY, false},
                                     {"up", O_RDONLY, false},
                                     {"updir/file", O_RDONLY, false},
                                     {"../outside/file", O_RDONLY, false},
                                     {"inside/../../outside/file", O_RDONLY, false},
                                     {"/etc/passwd", O_RDONLY, false},
                                     {"circle", O_RDONLY, false},
                                     {"dangling", O_RDONLY, false},
                                     {"inside/file/below", O_RDONLY, false},
                                     {"updir/new", O_WRONLY | O_CREAT | O_EXCL, false}}) {
      const auto opened = root->open_at(wanted.path, wanted.flags, 0600);
      EXPECT_EQ(opened.has_value(), wanted.opens) << wanted.path << (walk ? " by walking" : " by openat2");
    }
    EXPECT_FAILS(root->open_at("updir/file", O_RDONLY, 0), ErrorKind::permission);
    EXPECT_FAILS(root->open_at("absolute", O_RDONLY, 0), ErrorKind::permission);
    EXPECT_FAILS(root->open_at("missing", O_RDONLY, 0), ErrorKind::not_found);
    EXPECT_FAILS(root->open_at("inside/file/below", O_RDONLY, 0), ErrorKind::not_a_directory);
  }
  EXPECT_FALSE(std::filesystem::exists(base_ / "outside/new"));
}

Task<Result<std::string>> read_file(Source& source, std::string path) {
  CV_CO_CHECK(co_await source.connect());
  CV_CO_TRY(Entry entry, co_await source.stat(std::move(path), true));
  CV_CO_TRY(auto reader, co_await source.open(entry));
  CV_CO_TRY(Chunk chunk, co_await reader->read(0, 100'000));
  co_return std::string(chunk.text());
}

TEST_F(LocalTest, LinksLeadOutOnlyOnRequest) {
  link("out", "../outside/file");
  auto careful = make_source(engine_.context, endpoint());
  ASSERT_OK(careful);
  const auto refused = engine_.run(read_file(**careful, "out"));
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().kind, ErrorKind::permission);
  EXPECT_NE(refused.error().message.find("follow_outside"), std::string::npos) << refused.error().message;

  Endpoint trusting = endpoint();
  trusting.options["follow_outside"] = "yes";
  auto source = make_source(engine_.context, trusting);
  ASSERT_OK(source);
  const auto content = engine_.run(read_file(**source, "out"));
  ASSERT_OK(content);
  EXPECT_EQ(*content, "outside");
}

TemporaryName temporary() { return {random_plan_id(), 1, random_nonce(), 1}; }

Task<Result<Published>> put(Target& target, std::string path, std::string content, CommitOptions options) {
  CV_CO_TRY(auto upload, co_await target.begin(std::move(path), {temporary(), content.size()}));
  const std::size_t piece = target.capabilities().chunk_bytes;
  for (std::size_t at = 0; at < content.size(); at += piece)
    CV_CO_CHECK(co_await upload->write(at, Chunk::copy_of(std::string_view(content).substr(at, piece))));
  options.size_bytes = content.size();
  co_return co_await upload->commit(options);
}

TEST_F(LocalTest, WritesNothingThroughALinkThatLeadsOut) {
  link("updir", "../outside");
  auto target = make_target(engine_.context, endpoint());
  ASSERT_OK(target);
  EXPECT_FAILS(engine_.run(put(**target, "updir/new", "x", {})), ErrorKind::permission);
  EXPECT_FAILS(engine_.run((*target)->make_directory("updir/new", std::nullopt)), ErrorKind::permission);
  EXPECT_FAILS(engine_.run((*target)->discard("updir/new", temporary())), ErrorKind::permission);
  EXPECT_FALSE(std::filesystem::exists(base_ / "outside/new"));
  // A link at the place of a file is replaced, not written through.
  link("leads-out", "../outside/file");
  EXPECT_OK(engine_.run(put(**target, "leads-out", "new", {})));
  EXPECT_EQ(read(base_ / "outside/file"), "outside");
  EXPECT_EQ(read(base_ / "root/leads-out"), "new");
  EXPECT_FALSE(std::filesystem::is_symlink(base_ / "root/leads-out"));
}

TEST_F(LocalTest, ALinkGivesWayToALinkOnly) {
  link("link", "inside");
  auto target = make_target(engine_.context, endpoint());
  ASSERT_OK(target);
  EXPECT_OK(engine_.run((*target)->make_link("link", "nowhere", temporary(), Replace::if_absent)));
  EXPECT_EQ(std::filesystem::read_symlink(base_ / "root/link"), "nowhere");
  EXPECT_FAILS(engine_.run((*target)->make_link("inside/file", "nowhere", temporary(), Replace::if_absent)),
               ErrorKind::exists);
  EXPECT_EQ(read(base_ / "root/inside/file"), "inside");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(base_ / "root"), {}), 2) << "something was left behind";
}

TEST_F(LocalTest, KeepsHoles) {
  const std::string content = "data" + std::string(8 << 20, '\0') + "data";
  auto target = make_target(engine_.context, endpoint());
  ASSERT_OK(target);
  EXPECT_OK(engine_.run(put(**target, "sparse", content, {})));
  Endpoint dense = endpoint();
  dense.options["sparse"] = "no";
  auto dense_target = make_target(engine_.context, dense);
  EXPECT_OK(engine_.run(put(**dense_target, "dense", content, {})));
  EXPECT_TRUE(read(base_ / "root/sparse") == content);
  EXPECT_TRUE(read(base_ / "root/dense") == content);
  struct stat sparse_stat{};
  struct stat dense_stat{};
  ASSERT_EQ(::stat((base_ / "root/sparse").c_str(), &sparse_stat), 0);
  ASSERT_EQ(::stat((base_ / "root/dense").c_str(), &dense_stat), 0);
  EXPECT_LT(sparse_stat.st_blocks, dense_stat.st_blocks / 4);
}

Task<Result<Published>> take(Source& source, Target& target, std::string from, std::string to) {
  CV_CO_CHECK(co_await source.connect());
  CV_CO_CHECK(co_await target.connect());
  CV_CO_TRY(const Entry entry, co_await source.stat(from, true));
  CV_CO_TRY(auto copy, co_await target.begin_direct_copy(source.origin(), entry, to, {}));
  for (std::uint64_t done = 0; done < entry.size_bytes;) {
    CV_CO_TRY(done, co_await copy->advance());
  }
  CommitOptions options;
  options.size_bytes = entry.size_bytes;
  co_return co_await copy->commit(options);
}

TEST_F(LocalTest, CopiesByTheKernelKeepHoles) {
  // Data, a hole, data across the step of a copy, a hole at the end.
  const int fd = ::open((base_ / "root/from").c_str(), O_WRONLY | O_CREAT, 0644);
  ASSERT_EQ(::pwrite(fd, "begin", 5, 0), 5);
  ASSERT_EQ(::pwrite(fd, "middle", 6, (64 << 20) - 3), 6);
  ASSERT_EQ(::ftruncate(fd, 200 << 20), 0);
  ::close(fd);
  auto source = make_source(engine_.context, endpoint());
  auto target = make_target(engine_.context, endpoint());
  EXPECT_OK(engine_.run(take(**source, **target, "from", "to")));
  EXPECT_TRUE(read(base_ / "root/from") == read(base_ / "root/to"));
  struct stat status{};
  ASSERT_EQ(::stat((base_ / "root/to").c_str(), &status), 0);
  EXPECT_EQ(status.st_size, 200 << 20);
  EXPECT_LT(status.st_blocks * 512, 4 << 20);
}

TEST_F(LocalTest, TakesNothingFromAnotherFileSystemByItself) {
  struct stat here{};
  struct stat there{};
  ASSERT_EQ(::stat(base_.c_str(), &here), 0);
  if (::stat("/dev/shm", &there) != 0 || here.st_dev == there.st_dev) GTEST_SKIP() << "no other file system is known";
  std::string other = "/dev/shm/checkvalve-test-XXXXXX";
  if (!mkdtemp(other.data())) GTEST_SKIP() << "no directory can be made in /dev/shm";
  write(std::filesystem::path(other) / "from", "content");
  Endpoint from = endpoint();
  from.root = other;
  auto source = make_source(engine_.context, from);
  auto target = make_target(engine_.context, endpoint());
  EXPECT_FAILS(engine_.run(take(**source, **target, "from", "to")), ErrorKind::unsupported);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(base_ / "root"), {}), 1) << "something was left behind";
  std::filesystem::remove_all(other);
}

Task<Result<void>> begin_and_write(Target& target) {
  CV_CO_CHECK(co_await target.connect());
  CV_CO_TRY(auto upload, co_await target.begin("file", {}));
  co_return co_await upload->write(0, Chunk::copy_of(std::string_view("content")));
}

Task<Result<Published>> reopen_with_zeros(Target& target) {
  CV_CO_CHECK(co_await target.connect());
  const TemporaryName name{random_plan_id(), 1, random_nonce(), 1};
  CV_CO_TRY(auto upload, co_await target.begin("file", {name, 16 * 1024}));
  CV_CO_CHECK(co_await upload->write(0, Chunk::copy_of(std::string(16 * 1024, 'x'))));
  CV_CO_CHECK(co_await upload->reopen(8 * 1024, name));
  CV_CO_CHECK(co_await upload->write(8 * 1024, Chunk::copy_of(std::string(8 * 1024, '\0'))));
  co_return co_await upload->commit({.size_bytes = 16 * 1024});
}

// What was not acknowledged may be there, and zeros are not written.
TEST_F(LocalTest, AReopenedFileHasNothingBehindWhatWasAcknowledged) {
  auto target = make_target(engine_.context, endpoint());
  ASSERT_OK(engine_.run(reopen_with_zeros(**target)));
  EXPECT_TRUE(read(base_ / "root/file") == std::string(8 * 1024, 'x') + std::string(8 * 1024, '\0'));
}

// So that a crash leaves nothing, whatever it is that crashes.
TEST_F(LocalTest, AnUnpublishedFileHasNoNameWhereTheFileSystemCanDoThat) {
  const int probe = ::open((base_ / "root").c_str(), O_TMPFILE | O_WRONLY, 0600);
  if (probe < 0) GTEST_SKIP() << "this file system has no O_TMPFILE";
  ::close(probe);
  auto target = make_target(engine_.context, endpoint());
  EXPECT_OK(engine_.run(begin_and_write(**target)));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(base_ / "root"), {}), 1);
}

TEST_F(LocalTest, KeepsMtimesBefore1970) {
  auto target = make_target(engine_.context, endpoint());
  CommitOptions options;
  options.mtime_ns = -1'500'000'001;
  ASSERT_OK(engine_.run(put(**target, "old", "x", options)));
  struct stat status{};
  ASSERT_EQ(::stat((base_ / "root/old").c_str(), &status), 0);
  EXPECT_EQ(status.st_mtim.tv_sec, -2);
  EXPECT_EQ(status.st_mtim.tv_nsec, 499'999'999);
  const auto entry = engine_.run((*target)->stat("old", false));
  ASSERT_OK(entry);
  EXPECT_EQ(entry->mtime_ns, -1'500'000'001);
}

TEST_F(LocalTest, RefusesWhatIsNoRegularFile) {
  ASSERT_EQ(::mkfifo((base_ / "root/pipe").c_str(), 0600), 0);
  auto source = make_source(engine_.context, endpoint());
  EXPECT_FAILS(engine_.run(read_file(**source, "pipe")), ErrorKind::unsupported); // and does not wait for a writer
}

TEST_F(LocalTest, ReportsWhyARootCannotBeUsed) {
  Endpoint missing = endpoint();
  missing.root += "/missing";
  EXPECT_FAILS(engine_.run((*make_source(engine_.context, missing))->connect()), ErrorKind::not_found);
  Endpoint file = endpoint();
  file.root += "/inside/file";
  EXPECT_FAILS(engine_.run((*make_source(engine_.context, file))->connect()), ErrorKind::not_a_directory);
  EXPECT_FAILS(engine_.run((*make_target(engine_.context, file))->connect()), ErrorKind::not_a_directory);
  file.root += "/below";
  EXPECT_FAILS(engine_.run((*make_target(engine_.context, file))->connect()), ErrorKind::not_a_directory);
}

TEST_F(LocalTest, ReportsWhyAParentCannotBeMade) {
  Endpoint kernel = endpoint();
  kernel.root = "/sys/kernel"; // where nobody makes directories
  if (!std::filesystem::exists(kernel.root)) GTEST_SKIP() << "no " << kernel.root;
  const auto made = engine_.run((*make_target(engine_.context, kernel))->make_directory("a/b", std::nullopt));
  ASSERT_FALSE(made.has_value());
  EXPECT_NE(made.error().kind, ErrorKind::not_found) << made.error().text();
}

TEST_F(LocalTest, FindsARootThatIsMadeLater) {
  Endpoint later = endpoint();
  later.root += "/later";
  auto source = make_source(engine_.context, later);
  EXPECT_FAILS(engine_.run((*source)->connect()), ErrorKind::not_found);
  EXPECT_FAILS(engine_.run((*source)->stat("file", true)), ErrorKind::not_found);
  std::filesystem::create_directory(base_ / "root/later");
  write(base_ / "root/later/file", "now");
  const auto content = engine_.run(read_file(**source, "file"));
  ASSERT_OK(content);
  EXPECT_EQ(*content, "now");
}

} // namespace
} // namespace checkvalve
