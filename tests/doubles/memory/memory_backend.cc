#include "doubles/memory/memory_backend.h"

#include <array>

#include "doubles/memory/memory_tree.h"

namespace checkvalve {
namespace {

constexpr std::array options = {
    OptionSpec{"directories", OptionType::boolean, "yes", "has directories; no: names only, as object storage"},
    OptionSpec{"recursive_list", OptionType::boolean, "no", "lists a whole subtree in one stream"},
    OptionSpec{"symlinks", OptionType::boolean, "yes", "has symbolic links"},
    OptionSpec{"atomic_replace", OptionType::boolean, "yes", "publishes over an existing name in one step"},
    OptionSpec{"create_if_absent", OptionType::boolean, "yes", "refuses an existing name in one step"},
    OptionSpec{"keeps_mtime", OptionType::boolean, "yes", "gives published files the source's mtime"},
    OptionSpec{"keeps_mode", OptionType::boolean, "yes", "gives published files the source's mode"},
    OptionSpec{"names", OptionType::text, "exact", "folds, normalises or replaces: what becomes of names"},
    OptionSpec{"resumes_temporaries", OptionType::boolean, "no", "continues what an ended attempt has left"},
    OptionSpec{"hashes", OptionType::boolean, "yes", "has server-side checksums"},
    OptionSpec{"ranged_reads", OptionType::boolean, "yes", "reads at any offset; no: one ascending stream"},
    OptionSpec{"mtime_precision_ns", OptionType::integer, "1", "mtimes are whole multiples of this"},
    OptionSpec{"files_in_flight", OptionType::integer, "256", "how many files may be open at once"},
    OptionSpec{"chunk_size", OptionType::size, "256KiB", "the best size of one read or write"},
    OptionSpec{"window", OptionType::size, "8MiB", "bytes of one file in flight"},
};

Result<SharedMemoryTree> make_tree(const Endpoint& endpoint) {
  const OptionReader reader(memory_backend, endpoint);
  auto tree = std::make_shared<MemoryTree>();
  tree->store = MemoryStore::named(endpoint.host);
  tree->name = endpoint.host;
  tree->root = endpoint.root.starts_with('/') ? endpoint.root.substr(1) : endpoint.root;
  Capabilities& can = tree->capabilities;
  can.directories = reader.boolean("directories");
  can.recursive_list = reader.boolean("recursive_list");
  can.symlinks = reader.boolean("symlinks");
  can.atomic_replace = reader.boolean("atomic_replace");
  can.create_if_absent = reader.boolean("create_if_absent");
  can.keeps_mtime = reader.boolean("keeps_mtime");
  can.keeps_mode = reader.boolean("keeps_mode");
  tree->names = reader.text("names");
  can.resumes_temporaries = reader.boolean("resumes_temporaries");
  tree->hashes = reader.boolean("hashes");
  can.ranged_reads = reader.boolean("ranged_reads");
  can.mtime_precision_ns = static_cast<std::int64_t>(std::max<std::uint64_t>(1, reader.number("mtime_precision_ns")));
  can.files_in_flight = static_cast<std::uint32_t>(std::max<std::uint64_t>(1, reader.number("files_in_flight")));
  can.chunk_bytes = static_cast<std::uint32_t>(std::max<std::uint64_t>(1, reader.number("chunk_size")));
  can.window_bytes = std::max<std::uint64_t>(can.chunk_bytes, reader.number("window"));
  return tree;
}

Result<std::unique_ptr<Source>> make_source_side(BackendContext&, const Endpoint& endpoint) {
  CV_TRY(SharedMemoryTree tree, make_tree(endpoint));
  return make_memory_source(std::move(tree));
}

Result<std::unique_ptr<Target>> make_target_side(BackendContext&, const Endpoint& endpoint) {
  CV_TRY(SharedMemoryTree tree, make_tree(endpoint));
  return make_memory_target(std::move(tree));
}

Result<void> read_memory_url(Endpoint& endpoint, std::string_view raw_path) {
  if (endpoint.host.empty())
    return Failure(make_error(ErrorKind::config, "read URL", "", "missing name: expected memory://NAME/PATH"));
  CV_TRY(const std::string path, decode_url_path(raw_path));
  endpoint.root = tidy_path(path);
  return {};
}

} // namespace

constinit const BackendDescriptor memory_backend = {.scheme = "memory",
                                                    .summary = "a store in this process, for tests",
                                                    .options = options,
                                                    .make_source = make_source_side,
                                                    .make_target = make_target_side,
                                                    .read_url = read_memory_url};

} // namespace checkvalve
