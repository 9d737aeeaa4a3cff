#include "core/error.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <set>

namespace checkvalve {
namespace {

TEST(Error, TextNamesTheOperationThePathAndTheReason) {
  const struct {
    Error error;
    std::string_view text;
  } cases[] = {
      {make_error(ErrorKind::permission, "open", "a/b.txt", "permission denied"),
       "cannot open 'a/b.txt': permission denied"},
      {make_error(ErrorKind::connection, "connect to", "sftp://h:22/", "connection refused"),
       "cannot connect to 'sftp://h:22/': connection refused"},
      {make_error(ErrorKind::transform, "transform", "", "not UTF-8"), "cannot transform: not UTF-8"},
      {make_error(ErrorKind::config, "", "a.toml:3", "unknown key"), "a.toml:3: unknown key"},
      {make_error(ErrorKind::io, "disk on fire"), "disk on fire"},
      {make_error(ErrorKind::io, "read", "a", "short").with_hint("try again"), "cannot read 'a': short"},
  };
  for (const auto& [error, text] : cases) EXPECT_EQ(error.text(), text);
}

TEST(Error, CodeIsTheKindsWordUnlessASpecificOneIsGiven) {
  EXPECT_EQ(make_error(ErrorKind::no_space, "full").code_word(), "no_space");
  EXPECT_EQ(make_error(ErrorKind::not_found, "gone").with_code(ErrorCode::source_root_missing).code_word(),
            "source_root_missing");
}

TEST(Error, EveryCodeHasAWordOfItsOwnThatReadsBack) {
  std::set<std::string_view> words;
  for (const auto& [word, description, hint] : error_codes()) {
    EXPECT_TRUE(words.insert(word).second) << word;
    EXPECT_EQ(word.find_first_not_of("abcdefghijklmnopqrstuvwxyz_"), word.npos) << word;
    EXPECT_TRUE(description.ends_with('.')) << word;
    Error error = make_error(error_kind_from(word), "");
    error.code = error_code_from(word);
    EXPECT_EQ(error.code_word(), word);
  }
  EXPECT_EQ(error_kind_from("no such word"), ErrorKind::io);
  EXPECT_EQ(error_code_from("no such word"), ErrorCode::of_kind);
}

TEST(Error, EveryCodeIsInTheReference) {
  std::ifstream file(std::filesystem::path(__FILE__).parent_path() / "../../../docs/reference/machine.md");
  const std::string reference(std::istreambuf_iterator<char>(file), {});
  for (const auto& [word, description, hint] : error_codes())
    EXPECT_NE(reference.find(fmt::format("| `{}` | {} |", word, description)), reference.npos) << word;
}

TEST(Error, EveryCodeIsSetSomewhere) {
  const auto sources = std::filesystem::path(__FILE__).parent_path() / "../../../src";
  std::string text;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(sources)) {
    if (!entry.is_regular_file() || entry.path().filename() == "error.h") continue;
    std::ifstream file(entry.path());
    text.append(std::istreambuf_iterator<char>(file), {});
  }
  for (const auto& [word, description, hint] : error_codes())
    if (error_code_from(word) != ErrorCode::of_kind)
      EXPECT_NE(text.find(fmt::format("ErrorCode::{}", word)), text.npos) << word;
}

TEST(Error, AdviceIsTheHintOrWhatTheCodeAsksFor) {
  const struct {
    Error error;
    std::string_view advice;
  } cases[] = {
      {make_error(ErrorKind::io, "disk on fire"), ""},
      {make_error(ErrorKind::io, "disk on fire").with_hint("run"), "run"},
      {make_error(ErrorKind::auth, "refused"), "check the user, the password and the key"},
      {make_error(ErrorKind::auth, "refused").with_hint("use a key"), "use a key"},
      {make_error(ErrorKind::lease, "gone").with_code(ErrorCode::lease_lost),
       "see what it does with: checkvalve status"},
  };
  for (const auto& [error, advice] : cases) EXPECT_EQ(error.advice(), advice) << error.text();
}

TEST(Error, KindCodeAndStatusOfASystemCallFollowFromErrno) {
  const struct {
    int number;
    ErrorKind kind;
    std::string_view code;
    ErrorStatus status;
    bool has_advice;
  } cases[] = {
      {ENOENT, ErrorKind::not_found, "not_found", ErrorStatus::permanent, false},
      {EACCES, ErrorKind::permission, "permission", ErrorStatus::permanent, false},
      {EROFS, ErrorKind::permission, "read_only", ErrorStatus::permanent, true},
      {ENOSPC, ErrorKind::no_space, "no_space", ErrorStatus::permanent, true},
      {EDQUOT, ErrorKind::no_space, "quota_exceeded", ErrorStatus::permanent, true},
      {ELOOP, ErrorKind::invalid_name, "invalid_name", ErrorStatus::permanent, true},
      {ECONNREFUSED, ErrorKind::connection, "connection_refused", ErrorStatus::transient, true},
      {ECONNRESET, ErrorKind::connection, "connection", ErrorStatus::transient, false},
      {ETIMEDOUT, ErrorKind::timeout, "timeout", ErrorStatus::transient, false},
      {EMFILE, ErrorKind::io, "too_many_open_files", ErrorStatus::transient, true},
      {EIO, ErrorKind::io, "io", ErrorStatus::permanent, false},
  };
  for (const auto& [number, kind, code, status, has_advice] : cases) {
    const Error error = errno_error(number, "open", "a");
    EXPECT_EQ(error.kind, kind) << number;
    EXPECT_EQ(error.code_word(), code) << number;
    EXPECT_EQ(error.status, status) << number;
    EXPECT_EQ(!error.advice().empty(), has_advice) << number;
  }
}

TEST(ErrorScope, FollowsFromWhatFailedAndWhatWasTried) {
  using enum ErrorKind;
  using enum ErrorStatus;
  const auto file = ErrorScope::file;
  const auto directory = ErrorScope::directory;
  const auto endpoint = ErrorScope::endpoint;
  const auto run = ErrorScope::run;
  const struct {
    ErrorKind kind;
    ErrorStatus status;
    ErrorScope tried;
    ErrorScope scope;
    std::string_view why;
  } cases[] = {
      {not_found, permanent, file, file, "a file that vanished"},
      {not_found, permanent, directory, directory, "a directory that vanished"},
      {not_found, permanent, endpoint, endpoint, "the root does not exist"},
      {permission, permanent, file, file, "a file that may not be read"},
      {permission, permanent, directory, directory, "a directory that may not be listed"},
      {exists, permanent, file, file, "the name is taken"},
      {not_a_directory, permanent, file, directory, "a file where the parent should be"},
      {is_a_directory, permanent, file, file, "a directory where the file should be"},
      {no_space, permanent, file, file, "a smaller file may fit"},
      {invalid_name, permanent, file, file, "the endpoint can't hold this name"},
      {changed, permanent, file, file, "the source file does not hold still"},
      {integrity, permanent, file, file, "one file was damaged"},
      {unsupported, permanent, file, file, "one file asks for what the target can't do"},
      {auth, permanent, file, endpoint, "the login was refused"},
      {host_key, permanent, file, endpoint, "it is another server"},
      {connection, transient, file, file, "one body broke off"},
      {connection, transient, directory, directory, "one listing broke off"},
      {connection, exhausted, file, endpoint, "the server stays away"},
      {connection, exhausted, directory, endpoint, "the server stays away from a listing, too"},
      {connection, permanent, file, endpoint, "there is no such server"},
      {timeout, transient, file, file, "one body stalled"},
      {timeout, exhausted, file, endpoint, "the server never answers"},
      {timeout, exhausted, directory, endpoint, "the server never answers a listing"},
      {protocol, permanent, file, file, "one answer makes no sense"},
      {protocol, permanent, directory, endpoint, "a listing that makes no sense hides files"},
      {io, permanent, file, file, "one file can't be read"},
      {io, exhausted, file, file, "one file can't be read, over and over"},
      {config, permanent, file, run, "wrong usage"},
      {state, exhausted, file, run, "the state can't be reached"},
      {lease, permanent, file, run, "another worker has taken over"},
      {interrupted, permanent, file, run, "a signal"},
      {transform, permanent, file, file, "one file's content"},
  };
  for (const auto& [kind, status, tried, scope, why] : cases) {
    Error error = make_error(kind, "");
    error.status = status;
    EXPECT_EQ(to_string(scope_of(error, tried)), to_string(scope)) << why;
  }
  EXPECT_EQ(scope_of(make_error(not_found, "").with_code(ErrorCode::source_root_missing)), endpoint);
  EXPECT_EQ(scope_of(make_error(not_found, "").with_code(ErrorCode::target_root_missing), directory), directory)
      << "it will be made";
}

} // namespace
} // namespace checkvalve
