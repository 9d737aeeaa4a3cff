// What is SQLite's own: the file, where it may lie, damage, locks. The store's rules: tests/conformance/state.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>

#include "state/schema.h"
#include "state/sqlite_file.h"
#include "state/store.h"
#include "support/awaited.h"

namespace checkvalve {
namespace {

using testing_support::awaited;

namespace fs = std::filesystem;

class Sqlite : public ::testing::Test {
protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "cv-sqlite-XXXXXX").string();
    directory_ = ::mkdtemp(pattern.data());
    path_ = directory_ + "/state.db";
  }
  void TearDown() override { fs::remove_all(directory_); }

  Result<std::unique_ptr<StateStore>> open(const std::string& location) {
    warnings_.clear();
    return open_state_store(location, warnings_, {.busy_timeout = std::chrono::milliseconds(20)});
  }

  // Runs SQL on the file behind the store's back.
  void sql(const std::string& text) {
    sqlite3* handle = nullptr;
    ASSERT_EQ(sqlite3_open(path_.c_str(), &handle), SQLITE_OK);
    char* message = nullptr;
    EXPECT_EQ(sqlite3_exec(handle, text.c_str(), nullptr, nullptr, &message), SQLITE_OK) << (message ? message : "");
    sqlite3_free(message);
    sqlite3_close(handle);
  }

  std::vector<std::string> names() {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(directory_)) names.push_back(entry.path().filename());
    std::sort(names.begin(), names.end());
    return names;
  }

  void expect_refused(const std::string& location, ErrorKind kind, std::string_view part) {
    const auto store = open(location);
    ASSERT_FALSE(store);
    EXPECT_EQ(store.error().kind, kind) << store.error().text();
    EXPECT_NE(store.error().text().find(part), std::string::npos) << store.error().text();
  }

  std::string directory_;
  std::string path_;
  std::vector<std::string> warnings_;
};

PlanRecord plan_named(const std::string& id) {
  PlanRecord plan;
  plan.id = id;
  return plan;
}

void write_file(const std::string& path, const std::string& content) {
  std::ofstream(path, std::ios::binary) << content;
}

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

TEST_F(Sqlite, ThePlacesAreUnderstood) {
  ASSERT_TRUE(open("sqlite://" + path_));
  EXPECT_TRUE(fs::exists(path_));
  expect_refused("", ErrorKind::config, "no state is named");
  expect_refused("sqlite:state.db", ErrorKind::config, "sqlite:///");
  expect_refused("sqlite:///", ErrorKind::config, "no file is named");
  ASSERT_TRUE(open("sqlite://" + directory_ + "/with%20space%25.db"));
  EXPECT_TRUE(fs::exists(directory_ + "/with space%.db"));
  expect_refused("sqlite:///a%2", ErrorKind::config, "%25");
  expect_refused("sqlite:///a%00b", ErrorKind::config, "hexadecimal");
  expect_refused("mysql://host/db", ErrorKind::config, "mysql://");
  const fs::path before = fs::current_path();
  fs::current_path(directory_);
  EXPECT_TRUE(open(":memory:")); // a file of this name
  EXPECT_TRUE(open("file:x?mode=ro"));
  fs::current_path(before);
  EXPECT_TRUE(fs::exists(directory_ + "/:memory:"));
  EXPECT_TRUE(fs::exists(directory_ + "/file:x?mode=ro"));
}

TEST_F(Sqlite, TheFileIsPrivateAndItsParentsAreMade) {
  const std::string deep = directory_ + "/a/b/state.db";
  const auto store = open(deep);
  ASSERT_TRUE(store) << store.error().text();
  ASSERT_TRUE(awaited((*store)->plans.create(plan_named("p"))));
  for (const char* suffix : {"", "-wal", "-shm"}) {
    struct stat status = {};
    ASSERT_EQ(::stat((deep + suffix).c_str(), &status), 0) << suffix;
    EXPECT_EQ(status.st_mode & 0777, 0600U) << suffix;
  }
  EXPECT_EQ(fs::status(directory_ + "/a").permissions(), fs::perms::owner_all);
}

TEST_F(Sqlite, WhatIsNoFileIsRefused) {
  expect_refused(directory_, ErrorKind::state, "is a directory");
  ASSERT_EQ(::mkfifo((directory_ + "/fifo").c_str(), 0600), 0);
  expect_refused(directory_ + "/fifo", ErrorKind::state, "not a regular file");
  write_file(directory_ + "/file", "");
  expect_refused(directory_ + "/file/state.db", ErrorKind::state, directory_ + "/file");
}

// As an unprivileged user, for root may write anywhere.
TEST_F(Sqlite, ADirectoryThatCanNotBeWrittenToIsNamed) {
  ASSERT_TRUE(open(path_));
  ASSERT_EQ(::chmod(path_.c_str(), 0666), 0);
  ASSERT_EQ(::chmod(directory_.c_str(), 0555), 0);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    if (::geteuid() == 0 && (::setgid(65534) != 0 || ::setuid(65534) != 0)) ::_exit(1);
    const auto fresh = open(directory_ + "/other.db");
    if (fresh || fresh.error().kind != ErrorKind::state || fresh.error().path != directory_ + "/other.db") ::_exit(2);
    const auto deeper = open(directory_ + "/x/y.db");
    if (deeper || deeper.error().kind != ErrorKind::state || deeper.error().path != directory_ + "/x") ::_exit(3);
    const auto present = open(path_); // can't make its -wal
    if (present || present.error().kind != ErrorKind::state || present.error().path != path_) ::_exit(4);
    ::_exit(0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(WEXITSTATUS(status), 0);
  ::chmod(directory_.c_str(), 0755);
}

// The user named the wrong file.
TEST_F(Sqlite, AFileThatIsNotAStateIsRefusedAndStaysAsItIs) {
  const std::string contents[] = {
      "name;amount\nan export of another program, longer than the header of a database is: " + std::string(100, 'x'),
      "CREATE TABLE cv_schema (version BIGINT NOT NULL)" + std::string(100, '\n'),
      std::string("SQLite format 3\0", 16) + std::string(10'000, '\xee'),
  };
  for (const std::string& content : contents) {
    write_file(path_, content);
    const auto store = open(path_);
    ASSERT_FALSE(store) << content;
    EXPECT_EQ(store.error().text(), "cannot open state '" + path_ + "': the file is not a state");
    EXPECT_NE(store.error().hint, "");
    EXPECT_EQ(read_file(path_), content);
    EXPECT_EQ(names(), std::vector<std::string>{"state.db"});
  }
}

TEST_F(Sqlite, AStateWhoseFirstPageIsDamagedIsSetAside) {
  ASSERT_TRUE(open(path_));
  std::string content = read_file(path_);
  content.replace(100, 20, 20, '\xee'); // behind the header of the file
  write_file(path_, content);
  const auto store = open(path_);
  ASSERT_TRUE(store) << store.error().text();
  ASSERT_EQ(warnings_.size(), 1U);
  const std::size_t aside = warnings_[0].find(path_ + ".corrupt-");
  ASSERT_NE(aside, std::string::npos) << warnings_[0];
  EXPECT_EQ(read_file(warnings_[0].substr(aside, warnings_[0].find(';') - aside)), content);
  EXPECT_TRUE(awaited((*store)->plans.create(plan_named("p"))));
  ASSERT_TRUE(open(path_));
  EXPECT_TRUE(warnings_.empty()); // once
}

// Damage inside the file shows only when its page is read; the next open then checks the whole file.
TEST_F(Sqlite, ADamagedFileIsSetAsideByTheNextOpen) {
  {
    const auto store = open(path_);
    ASSERT_TRUE(store);
    ASSERT_TRUE(awaited((*store)->plans.create(plan_named("p"))));
    std::vector<PlannedFile> files(20'000);
    for (std::size_t i = 0; i < files.size(); ++i) {
      files[i].number = i + 1;
      files[i].batch = 1;
      files[i].path = "a/file/" + std::to_string(i);
    }
    ASSERT_TRUE(awaited((*store)->plans.add_files("p", files)));
    ASSERT_TRUE(awaited((*store)->plans.finish(plan_named("p"))));
  }
  {
    std::fstream file(path_, std::ios::in | std::ios::out | std::ios::binary);
    const auto size = static_cast<std::streamoff>(fs::file_size(path_));
    file.seekp(size / 4);
    file << std::string(static_cast<std::size_t>(size / 2), '\xee');
  }
  {
    const auto store = open(path_);
    ASSERT_TRUE(store) << store.error().text();
    const auto files = awaited((*store)->plans.open_files("p", 1, 0, 100'000));
    ASSERT_FALSE(files);
    EXPECT_EQ(files.error().kind, ErrorKind::state);
    EXPECT_NE(files.error().message.find("damaged"), std::string::npos) << files.error().text();
  }
  const auto store = open(path_);
  ASSERT_TRUE(store) << store.error().text();
  EXPECT_EQ(warnings_.size(), 1U);
  EXPECT_FALSE(awaited((*store)->plans.find("p")));
  ASSERT_TRUE(open(path_));
  EXPECT_TRUE(warnings_.empty());
}

TEST_F(Sqlite, AMarkOfDamageThatIsNotThereIsForgotten) {
  ASSERT_TRUE(awaited((*open(path_))->plans.create(plan_named("p"))));
  mark_damaged(path_);
  const auto store = open(path_);
  ASSERT_TRUE(store);
  EXPECT_TRUE(awaited((*store)->plans.find("p")));
  EXPECT_TRUE(warnings_.empty());
  EXPECT_FALSE(marked_damaged(path_));
}

// Two processes find the same damage: the second must not set aside what the first has made in its place.
TEST_F(Sqlite, OnlyTheFileThatWasFoundDamagedIsSetAside) {
  write_file(path_, "damaged");
  const std::string damaged = file_identity(path_);
  write_file(directory_ + "/fresh", "made by another process");
  fs::rename(directory_ + "/fresh", path_);
  EXPECT_EQ(set_aside(path_, damaged), "");
  EXPECT_TRUE(fs::exists(path_));
  const auto renamed = set_aside(path_, file_identity(path_));
  ASSERT_TRUE(renamed);
  EXPECT_TRUE(fs::exists(*renamed));
  EXPECT_FALSE(fs::exists(path_));
}

TEST_F(Sqlite, TheDatabaseOfAnotherProgramIsLeftAlone) {
  sql("CREATE TABLE precious (x); INSERT INTO precious VALUES (1)");
  const std::string content = read_file(path_);
  expect_refused(path_, ErrorKind::state, "another program");
  EXPECT_EQ(names(), std::vector<std::string>{"state.db"});
  EXPECT_EQ(read_file(path_), content);
}

TEST_F(Sqlite, ANewerSchemaAsksForAnUpgrade) {
  ASSERT_TRUE(open(path_));
  sql("UPDATE cv_schema SET version = " + std::to_string(schema_version() + 1));
  expect_refused(path_, ErrorKind::state, "upgrade");
  sql("UPDATE cv_schema SET version = " + std::to_string(schema_version()));
  EXPECT_TRUE(open(path_));
}

TEST_F(Sqlite, AStateWithoutListsOfChecksumsGetsThem) {
  ASSERT_TRUE(open(path_));
  for (const char* column : {"target_etag", "target_path", "list", "list_digest", "published_ms", "used_ms"})
    sql(std::string("ALTER TABLE cv_published DROP COLUMN ") + column);
  for (const char* column : {"code", "hint", "endpoint"})
    sql(std::string("ALTER TABLE cv_failures DROP COLUMN ") + column);
  sql("DROP INDEX cv_pairs_by_identity; ALTER TABLE cv_pairs DROP COLUMN source; ALTER TABLE cv_pairs DROP COLUMN "
      "target; DROP TABLE cv_lists; DROP TABLE cv_lists_by_name; DROP TABLE cv_retention; DROP TABLE "
      "cv_partial_uploads; UPDATE cv_schema SET version "
      "= 2; INSERT INTO "
      "cv_pairs (id, pair) VALUES (1, X'700A74'); "
      "INSERT INTO cv_published VALUES (1, X'61', 5, 6, X'', 'chain', 7)");
  const auto store = open(path_);
  ASSERT_TRUE(store) << store.error().text();
  ASSERT_TRUE(awaited((*store)->history.claim({"p", "t"}, {"P", "T"})));
  const auto records = awaited((*store)->history.page({"P", "T"}, "", 10));
  ASSERT_TRUE(records);
  ASSERT_EQ(records->size(), 1U);
  EXPECT_EQ(records->at(0).target_bytes, 7U);
  EXPECT_EQ(records->at(0).list, "");
  const ListKey key{"target", "SHA256SUMS"};
  EXPECT_TRUE(awaited((*store)->lists.take(key, "w", "t", "", std::chrono::seconds(1)))->taken);
}

TEST_F(Sqlite, ALockThatIsKeptTooLongIsATemporaryError) {
  const auto store = open(path_);
  ASSERT_TRUE(store);
  sqlite3* other = nullptr;
  ASSERT_EQ(sqlite3_open(path_.c_str(), &other), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(other, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr), SQLITE_OK);
  const auto refused = awaited((*store)->plans.create(plan_named("p")));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::state);
  EXPECT_TRUE(refused.error().transient());
  EXPECT_EQ(refused.error().path, path_);
  EXPECT_TRUE(awaited((*store)->plans.newest(1))); // readers do not wait for writers
  ASSERT_EQ(sqlite3_exec(other, "COMMIT", nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_close(other);
  EXPECT_TRUE(awaited((*store)->plans.create(plan_named("p"))));
}

// A limit on the size of files stands for a disk that is full: writing fails, the state stays whole.
TEST_F(Sqlite, AWriteThatFailsIsRolledBackAndTheStoreStaysUsable) {
  ASSERT_TRUE(awaited((*open(path_))->plans.create(plan_named("p"))));
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const auto store = open(path_);
    if (!store) ::_exit(1);
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit tight = {256 * 1024, RLIM_INFINITY};
    if (::setrlimit(RLIMIT_FSIZE, &tight) != 0) ::_exit(2);
    std::vector<PlannedFile> files(200'000);
    for (std::size_t i = 0; i < files.size(); ++i) files[i].number = i + 1;
    const auto refused = awaited((*store)->plans.add_files("p", files));
    if (refused || refused.error().kind != ErrorKind::state) ::_exit(3);
    const rlimit loose = {RLIM_INFINITY, RLIM_INFINITY};
    if (::setrlimit(RLIMIT_FSIZE, &loose) != 0) ::_exit(4);
    if (!awaited((*store)->plans.add_files("p", files))) ::_exit(5);
    ::_exit(0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(WEXITSTATUS(status), 0);
  const auto store = open(path_);
  ASSERT_TRUE(store);
  ASSERT_TRUE(awaited((*store)->plans.finish(plan_named("p"))));
  EXPECT_EQ(awaited((*store)->plans.find("p"))->files, 200'000U);
}

TEST_F(Sqlite, AFullDiskSaysSo) {
  enum Outcome { as_expected, no_error, other_error, no_mount };
  if (::geteuid() != 0) GTEST_SKIP() << "mounting a small disk takes root";
  const pid_t child = ::fork();
  if (child == 0) {
    if (::unshare(CLONE_NEWNS) != 0 || ::mount(nullptr, "/", nullptr, MS_PRIVATE | MS_REC, nullptr) != 0 ||
        ::mount("tmpfs", directory_.c_str(), "tmpfs", 0, "size=1m") != 0)
      ::_exit(no_mount);
    const auto store = open(path_);
    if (!store || !awaited((*store)->plans.create(plan_named("p")))) ::_exit(other_error);
    std::vector<PlannedFile> files(100'000);
    for (std::size_t i = 0; i < files.size(); ++i) files[i].number = i + 1;
    const auto refused = awaited((*store)->plans.add_files("p", files));
    if (refused) ::_exit(no_error);
    ::_exit(refused.error().message == "the disk of the state file is full" && refused.error().transient()
                ? as_expected
                : other_error);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  if (WEXITSTATUS(status) == no_mount) GTEST_SKIP() << "mounting is not allowed here";
  EXPECT_EQ(WEXITSTATUS(status), as_expected);
}

// Counts fsync of the log, in SQLite's default VFS.
class CountedSyncs {
public:
  CountedSyncs() : real_(sqlite3_vfs_find(nullptr)), vfs_(*real_) {
    syncs = 0;
    real_open = real_->xOpen;
    vfs_.zName = "counted";
    vfs_.xOpen = open;
    sqlite3_vfs_register(&vfs_, 1);
  }
  ~CountedSyncs() {
    sqlite3_vfs_unregister(&vfs_);
    sqlite3_vfs_register(real_, 1);
  }
  inline static int syncs = 0;

private:
  static int open(sqlite3_vfs* vfs, const char* name, sqlite3_file* file, int flags, int* out) {
    const int code = real_open(vfs, name, file, flags, out);
    if (code != SQLITE_OK || (flags & SQLITE_OPEN_WAL) == 0) return code;
    real_sync = file->pMethods->xSync;
    methods = *file->pMethods;
    methods.xSync = [](sqlite3_file* of, int how) { return ++syncs, real_sync(of, how); };
    file->pMethods = &methods;
    return code;
  }
  inline static int (*real_open)(sqlite3_vfs*, const char*, sqlite3_file*, int, int*) = nullptr;
  inline static int (*real_sync)(sqlite3_file*, int) = nullptr;
  inline static sqlite3_io_methods methods = {};
  sqlite3_vfs* real_;
  sqlite3_vfs vfs_;
};

TEST_F(Sqlite, OnlyDoubtIsFlushedAtOnce) {
  const CountedSyncs counted;
  const auto store = open(path_);
  ASSERT_TRUE(store);
  ASSERT_TRUE(awaited((*store)->plans.create(plan_named("p"))));
  ASSERT_TRUE(
      awaited((*store)->plans.add_files("p", std::vector<PlannedFile>{{.number = 1, .batch = 1, .path = "a"}})));
  ASSERT_TRUE(awaited((*store)->plans.finish(plan_named("p"))));
  const auto lease = awaited((*store)->leases.take("p", 1, "w", std::chrono::hours(1)))->lease;
  ASSERT_TRUE(lease);
  const int before = CountedSyncs::syncs; // of a new log's header
  ASSERT_TRUE(awaited((*store)->leases.doubt_batch(*lease, {"source", "target"})));
  EXPECT_EQ(CountedSyncs::syncs, before + 1);
  const std::vector<FileOutcome> outcomes = {{.number = 1}};
  ASSERT_TRUE(awaited((*store)->leases.checkpoint(*lease, outcomes, HistoryScope{{"source", "target"}, "", "", true})));
  EXPECT_EQ(CountedSyncs::syncs, before + 1);
}

// Whatever a killed process left in the log is read or dropped whole.
TEST_F(Sqlite, AKilledProcessLeavesAWholeState) {
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const auto store = open(path_);
    if (!store || !awaited((*store)->plans.create(plan_named("kept")))) ::_exit(1);
    ::kill(::getpid(), SIGKILL);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status));
  const auto store = open(path_);
  ASSERT_TRUE(store) << store.error().text();
  EXPECT_TRUE(awaited((*store)->plans.find("kept")));
  EXPECT_TRUE(warnings_.empty());
}

TEST(NetworkFileSystem, IsKnownByItsMagicOrItsMountType) {
  EXPECT_EQ(network_file_system(0x6969, ""), "NFS");
  EXPECT_EQ(network_file_system(0xFE534D42, ""), "SMB");
  EXPECT_EQ(network_file_system(0x0BD00BD0, ""), "Lustre");
  EXPECT_EQ(network_file_system(0x5346414F, ""), "AFS");
  EXPECT_EQ(network_file_system(0x01021997, ""), "9P");
  EXPECT_EQ(network_file_system(0x65735546, "fuse.sshfs"), "sshfs");
  EXPECT_EQ(network_file_system(0x65735546, "fuse.rclone"), "rclone");
  EXPECT_EQ(network_file_system(0x65735546, "fuse.fuse-overlayfs"), std::nullopt);
  EXPECT_EQ(network_file_system(0x65735546, "fuseblk"), std::nullopt);
  EXPECT_EQ(network_file_system(0xEF53, "ext4"), std::nullopt);
  EXPECT_EQ(network_file_system(0x01021994, "tmpfs"), std::nullopt);
}

TEST(NetworkFileSystem, FindsTheTypeOfAMount) {
  constexpr std::string_view mountinfo =
      "22 28 0:21 / /sys rw,nosuid shared:7 - sysfs sysfs rw\n"
      "40 28 0:35 / /mnt/with\\040space rw master:1 - fuse.sshfs host:/x rw,user_id=0\n"
      "41 28 0:3 / /x rw - ext4 /dev/sda1 rw";
  EXPECT_EQ(mount_type_of(mountinfo, "0:35"), "fuse.sshfs");
  EXPECT_EQ(mount_type_of(mountinfo, "0:21"), "sysfs");
  EXPECT_EQ(mount_type_of(mountinfo, "0:3"), "ext4");
  EXPECT_EQ(mount_type_of(mountinfo, "0:99"), "");
  EXPECT_EQ(mount_type_of("", "0:3"), "");
}

} // namespace
} // namespace checkvalve
