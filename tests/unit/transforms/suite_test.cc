// What every transform must keep to, whatever it does: one line of `cases` runs all of it over one transform. And
// chains of several, drawn at random.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <fstream>
#include <set>

#include "transforms/registry.h"
#include "unit/transforms/run_chain.h"

namespace checkvalve {
namespace {

using testing_support::chain_of;
using testing_support::ChainOutput;
using testing_support::run_chain;

struct Case {
  std::string call;
  std::function<std::string(std::size_t bytes)> input; // about so many bytes that the transform takes
  std::function<void(std::string& block, std::size_t number)>
      big; // the number-th block of a very large input; null: skipped
};

std::string csv_text(std::size_t bytes) {
  std::string text = "id,name,card,amount\n";
  for (std::size_t i = 0; text.size() < bytes; ++i)
    text += fmt::format("{},\"O\"\"Neil, {}\nof line two\",4111-1111-{:04},{}.{:02}\n", i, i * 7, i % 10'000, i % 977,
                        i % 100);
  return text;
}
std::string jsonl_text(std::size_t bytes) {
  std::string text;
  for (std::size_t i = 0; text.size() < bytes; ++i)
    text += fmt::format(
        "{{\"id\": {}, \"name\": \"caf\\u00e9 \\\"{}\\\"\", \"tags\": [1, {{\"a\": null}}], \"amount\": {}.50}}\n", i,
        i * 7, i % 977);
  return text;
}
std::string compressed_by(const std::string& call, std::string_view text) {
  return run_chain(chain_of({call}).value(), text).value().bytes;
}

// Files that peers' tools have written: bzip2 and xz have no compressor here.
std::string piped_through(const std::string& command, const std::string& text) {
  std::string pattern = ::testing::TempDir() + "checkvalve-suite-XXXXXX";
  const std::string directory = ::mkdtemp(pattern.data());
  std::ofstream(directory + "/in", std::ios::binary) << text;
  const int code = std::system((command + " <" + directory + "/in >" + directory + "/out").c_str());
  EXPECT_EQ(code, 0) << command;
  std::ifstream out(directory + "/out", std::ios::binary);
  std::string result{std::istreambuf_iterator<char>(out), {}};
  std::ignore = std::system(("rm -r " + directory).c_str());
  return result;
}

// Large inputs, a block at a time.
void big_text(std::string& block, std::size_t number) {
  block.clear();
  for (std::size_t i = 0; block.size() < (1 << 20); ++i)
    block +=
        fmt::format("{},name {},4111-1111-{:04},{}.25\n", number * 20'000 + i, i * 7919 % 10'007, i % 10'000, i % 977);
}
void big_jsonl(std::string& block, std::size_t number) {
  block.clear();
  for (std::size_t i = 0; block.size() < (1 << 20); ++i)
    block += fmt::format("{{\"id\": {}, \"name\": \"name {}\"}}\n", number * 20'000 + i, i * 7919 % 10'007);
}

void PrintTo(const Case& one, std::ostream* out) { *out << one.call; }

const std::vector<Case>& cases() {
  static const std::vector<Case> all = {
      {"gzip level=1", csv_text, big_text},
      {"gunzip",
       [](std::size_t n) {
         return compressed_by("gzip", csv_text(n)) + compressed_by("gzip", "more") + std::string(100, '\0');
       },
       nullptr},
      {"zstd", csv_text, big_text},
      {"zstd threads=1", csv_text, big_text},
      {"zstd level=1 threads=2", csv_text, nullptr},
      {"unzstd", [](std::size_t n) { return compressed_by("zstd", csv_text(n)) + compressed_by("zstd", "more"); },
       nullptr},
      {"bunzip2", [](std::size_t n) { return piped_through("bzip2", csv_text(n)) + piped_through("bzip2", "more"); },
       nullptr},
      {"unxz", [](std::size_t n) { return piped_through("xz -1", csv_text(n)) + piped_through("xz -1", "more"); },
       nullptr},
      {"lines keep='[02468],' replace='(\\d+)-(\\d+)' with='\\2-\\1' add_header=first add_trailer='TRAILER|{count}'",
       csv_text, big_text},
      {"lines skip_head=2 skip_tail=3 limit=100000 must_not_match=xyzzy", csv_text, big_text},
      {"split lines=100 header=yes", csv_text, big_text},
      {"split bytes=10000B", csv_text, big_text},
      {"split line_bytes=64KiB", csv_text, big_text},
      {"redact pattern='\\d{4}-\\d{4}-\\d{4}'", csv_text, big_text},
      {"redact pattern='[0-9]' keep_length=yes", csv_text, big_text},
      {"charset to=UTF-16LE bom=add newline=crlf", csv_text, big_text},
      {"charset from=CP1252 newline=lf",
       [](std::size_t n) {
         std::string t;
         while (t.size() < n) t += "caf\xe9 \x80 \r\nx\ry";
         return t;
       },
       big_text},
      {"checksum", csv_text, big_text},
      {"checksum list=SHA256SUMS", csv_text, big_text},
      {"exec command=cat", csv_text, big_text},
      {"csv mask=card add='[\"from={path}:{line}\"]' rejects=yes filter='id % 3 > 0' cast=id:integer", csv_text,
       nullptr},
      {"csv header=no mask=c2 newline=crlf write_delimiter=';'", csv_text, big_text},
      {"csv match='[\"card=[0-9-]+\"]' check='id >= 0' cast=id:integer required=name", csv_text, nullptr},
      {"csv to=jsonl cast='[\"id:integer\",\"amount:number\"]'", csv_text, nullptr},
      {"jsonl drop=tags", jsonl_text, big_jsonl},
      {"jsonl to=csv select='[\"id\",\"name\"]'", jsonl_text, big_jsonl},
      {"sql query='SELECT name, count(*) AS n, sum(amount) AS total FROM input GROUP BY name ORDER BY n DESC, name'",
       csv_text, nullptr},
      {"sql from=jsonl to=jsonl cast=amount:number query='SELECT * FROM input ORDER BY id DESC'", jsonl_text, nullptr},
  };
  return all;
}

class EveryTransform : public ::testing::TestWithParam<Case> {
protected:
  Chain chain() const { return chain_of({GetParam().call}).value(); }
};

TEST_P(EveryTransform, AnySplitOfTheInputGivesTheSameOutput) {
  const Chain chain = this->chain();
  const std::string input = GetParam().input(300'000);
  const auto whole = run_chain(chain, input, [](std::size_t left) { return left; });
  ASSERT_OK(whole);
  const auto expect_same = [&](const char* how, std::string_view text, const std::string& wanted,
                               const std::function<std::size_t(std::size_t)>& split) {
    const auto found = run_chain(chain, text, split);
    ASSERT_OK(found);
    EXPECT_TRUE(found->bytes == wanted) << how << ": " << found->bytes.size() << " bytes, not " << wanted.size();
    if (text.size() != input.size()) return;
    EXPECT_TRUE(found->sides == whole->sides) << how;
    EXPECT_EQ(found->checksum, whole->checksum) << how;
  };
  expect_same("odd", input, whole->bytes, [](std::size_t) { return 4'099; });
  expect_same("chunks", input, whole->bytes, [](std::size_t) { return 65'536; });
  std::mt19937 random(20240301);
  expect_same("random", input, whole->bytes,
              [&](std::size_t) { return std::uniform_int_distribution<std::size_t>(1, 20'000)(random); });
  const std::string small = GetParam().input(3'000);
  const auto small_whole = run_chain(chain, small, [](std::size_t left) { return left; });
  ASSERT_OK(small_whole);
  expect_same("one byte", small, small_whole->bytes, [](std::size_t) { return 1; });
}

TEST_P(EveryTransform, OutputComesInBoundedPieces) {
  const auto output = run_chain(chain(), GetParam().input(2'000'000), [](std::size_t left) { return left; });
  ASSERT_OK(output);
  EXPECT_LE(output->max_at_once, (256U << 10) + chain().memory_bytes(2'000'000));
}

TEST_P(EveryTransform, KeepsTheSizeIfItSaysSo) {
  const std::string input = GetParam().input(50'000);
  if (!chain().keeps_size()) GTEST_SKIP() << "says it does not";
  EXPECT_EQ(run_chain(chain(), input)->bytes.size(), input.size());
}

std::uint64_t resident_bytes() {
  std::ifstream status("/proc/self/statm");
  std::uint64_t total = 0;
  std::uint64_t resident = 0;
  status >> total >> resident;
  return resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

// 64 MiB pass through, or as many as CHECKVALVE_TEST_BIG_MIB says: 1024 take minutes.
TEST_P(EveryTransform, MemoryIsBoundedHoweverMuchPasses) {
#if __has_feature(address_sanitizer)
  GTEST_SKIP() << "AddressSanitizer keeps freed memory: the plain build measures it";
#endif
  if (!GetParam().big) GTEST_SKIP() << "its input can't be made a block at a time";
  const char* wanted = std::getenv("CHECKVALVE_TEST_BIG_MIB");
  const std::size_t blocks = wanted ? std::strtoul(wanted, nullptr, 10) : 64;
  const Chain chain = this->chain();
  const auto run = chain.start({"big.csv", "big.csv", std::nullopt}, 256 * 1024);
  ASSERT_OK(run);
  std::string block;
  std::vector<std::string> pool(8); // making each block afresh would take longer than the transforms
  for (std::size_t i = 0; i < pool.size(); ++i) GetParam().big(pool[i], i);
  std::uint64_t before = 0;
  std::uint64_t most = 0;
  for (std::size_t fed = 0; fed <= blocks; ++fed) {
    if (fed < blocks)
      (*run)->feed(Chunk::copy_of(pool[fed % pool.size()]));
    else
      (*run)->end_input();
    auto state = ChainRun::State::output_full;
    while (state == ChainRun::State::output_full) {
      auto worked = (*run)->work();
      ASSERT_OK(worked);
      state = *worked;
      (*run)->take_output();
    }
    if (fed == 16) before = resident_bytes(); // tables and recycled chunks are there by now
    if (fed > 16 && fed % 16 == 0) most = std::max(most, resident_bytes());
  }
  EXPECT_LT(most, before + (16U << 20)) << "grew from " << (before >> 20) << " to " << (most >> 20) << " MiB";
}

TEST_P(EveryTransform, IsDroppedInTheMiddleWithoutHarm) {
  const auto run = chain().start({"a.csv", "a.csv", 1'000'000}, 64 * 1024);
  ASSERT_OK(run);
  const std::string input = GetParam().input(200'000);
  (*run)->feed(Chunk::copy_of(std::string_view(input).substr(0, input.size() / 2)));
  ASSERT_OK((*run)->work());
}

std::string test_name(const ::testing::TestParamInfo<Case>& info) {
  std::string name = fmt::format("{:02}_", info.index);
  for (const char c : info.param.call.substr(0, 24)) name += std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
  return name;
}
INSTANTIATE_TEST_SUITE_P(All, EveryTransform, ::testing::ValuesIn(cases()), test_name);

TEST(Suite, CoversEveryTransform) {
  std::set<std::string> covered;
  for (const Case& one : cases()) covered.insert(parse_transform_call(one.call)->name);
  for (const TransformDescriptor* known : transforms())
    EXPECT_TRUE(covered.contains(std::string(known->name))) << known->name;
}

// Chains drawn at random, undone by their reverse where they have one; any split gives the same.
TEST(RandomChains, GiveTheSameForAnySplitAndAreUndone) {
  const std::vector<std::pair<std::string, std::string>> pairs = {
      {"gzip level=1", "gunzip max_ratio=0"},
      {"zstd level=1", "unzstd max_ratio=0"},
      {"gzip", "gunzip"},
      {"charset to=UTF-16LE", "charset from=UTF-16LE"},
      {"checksum suffix=.{}", ""},
      {"exec command=cat", ""},
  };
  std::mt19937 random(7);
  const auto draw = [&](std::size_t below) { return std::uniform_int_distribution<std::size_t>(0, below - 1)(random); };
  for (int round = 0; round < 40; ++round) {
    std::vector<std::string> there;
    std::vector<std::string> back;
    bool is_text = true;
    for (std::size_t i = 0, n = 1 + draw(4); i < n; ++i) {
      const auto& [call, undo] = pairs[draw(pairs.size())];
      if (call.starts_with("charset") && !is_text) continue;
      if (call.starts_with("gzip") || call.starts_with("zstd") || call.starts_with("charset")) is_text = false;
      there.push_back(call.ends_with("{}") ? fmt::format("checksum suffix=.sum{}", i) : call);
      if (!undo.empty()) back.insert(back.begin(), undo);
    }
    const std::string input = csv_text(draw(200'000));
    const auto chain = chain_of(there);
    ASSERT_OK(chain);
    const auto whole = run_chain(*chain, input);
    const auto split = run_chain(*chain, input, [&](std::size_t) { return 1 + draw(50'000); });
    ASSERT_OK(whole);
    ASSERT_OK(split);
    EXPECT_TRUE(whole->bytes == split->bytes) << fmt::format("round {}", round);
    const auto undone = back.empty() ? whole : run_chain(chain_of(back).value(), whole->bytes);
    ASSERT_OK(undone);
    EXPECT_TRUE(undone->bytes == input) << fmt::format("round {}", round);
  }
}

// In the order in which they make sense: records and lines, parts, packing, checksums.
TEST(RandomChains, OfRecordsLinesAndPartsGiveTheSameForAnySplit) {
  const std::vector<std::vector<std::string>> steps = {
      {"", "charset newline=crlf", "charset bom=add"},
      {"", "csv mask=name", "csv cast=id:integer filter='id % 2 = 0' rejects=yes", "csv drop=card newline=crlf"},
      {"", "redact pattern='[0-9]{4}-[0-9]{4}'", "lines drop='77'"},
      {"", "lines count_file=yes add_trailer='TRAILER|{count}'", "lines skip_head=1 skip_tail=2"},
      {"", "split lines=37", "split bytes=5000B", "split line_bytes=8KiB header=yes"},
      {"", "gzip level=1", "zstd level=1"},
      {"", "checksum"},
  };
  std::mt19937 random(11);
  const auto draw = [&](std::size_t below) { return std::uniform_int_distribution<std::size_t>(0, below - 1)(random); };
  for (int round = 0; round < 60; ++round) {
    std::vector<std::string> calls;
    for (const std::vector<std::string>& choices : steps)
      if (const std::string& call = choices[draw(choices.size())]; !call.empty()) calls.push_back(call);
    const auto chain = chain_of(calls);
    ASSERT_OK(chain);
    if (chain->empty()) continue;
    const std::string input = csv_text(1'000 + draw(150'000));
    const auto whole = run_chain(*chain, input, [](std::size_t left) { return left; });
    const auto split = run_chain(*chain, input, [&](std::size_t) { return 1 + draw(20'000); });
    ASSERT_OK(whole);
    ASSERT_OK(split);
    const std::string what = fmt::format("round {}: {}", round, fmt::join(calls, ", "));
    EXPECT_TRUE(whole->bytes == split->bytes) << what;
    EXPECT_TRUE(whole->sides == split->sides) << what;
  }
}

} // namespace
} // namespace checkvalve
