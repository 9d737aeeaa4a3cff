# Sourced by the verbs of ./dev, which run in the repository's root.
set -euo pipefail
# What ccache needs to know of precompiled headers (its manual, "Precompiled headers").
export CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime

say() { printf '\n\033[1m== %s\033[0m\n' "$*" >&2; }
fail() {
  printf './dev: %s\n' "$*" >&2
  exit 1
}

# Builds must not starve what else the machine does, and clang takes up to 1.5 GiB a job.
jobs_that_fit() {
  local memory_mib cores
  memory_mib=$(awk '/MemAvailable/ {print int($2 / 1024)}' /proc/meminfo)
  cores=$(nproc)
  local by_memory=$((memory_mib / 1536))
  ((by_memory < 1)) && by_memory=1
  echo $((cores < by_memory ? cores : by_memory))
}

# configure_tree DIRECTORY [CMAKE OPTION…]
configure_tree() {
  local tree="$1"
  shift
  cmake -S . -B "$tree" -G Ninja -DCMAKE_CXX_COMPILER=clang++-19 -DCMAKE_CXX_COMPILER_LAUNCHER=ccache "$@" >"$tree.log" 2>&1 || {
    cat "$tree.log" >&2
    fail "cmake could not configure $tree"
  }
  mv "$tree.log" "$tree/configure.log"
}

# build_tree DIRECTORY [TARGET…]
build_tree() {
  local tree="$1"
  shift
  ninja -C "$tree" -j "$(jobs_that_fit)" "$@"
}

# The interpreter of the Python test tools.
test_python() { echo "$PWD/.venv/bin/python"; }
