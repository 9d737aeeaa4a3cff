# fuzz what reads other people's bytes, with libFuzzer under ASan and UBSan: --seconds N a target [60], --only NAME
source tools/dev/common.sh

seconds=60 only=
while (($#)); do
  case "$1" in
  --seconds) seconds="${2:?--seconds needs a number}" && shift 2 ;;
  --only) only="${2:?--only needs a name}" && shift 2 ;;
  *) fail "unknown argument '$1'; usage: ./dev fuzz [--seconds N] [--only NAME]" ;;
  esac
done
bash tools/dev/verbs/setup.sh build test
mkdir -p build-fuzz
# -O0: see asan.sh. For hours of fuzzing, FUZZ_FLAGS="-O1 -g1" tries twice as many inputs a second.
configure_tree build-fuzz -DCHECKVALVE_SANITIZE=ON -DCHECKVALVE_FUZZ=ON -DCMAKE_BUILD_TYPE=None \
  "-DCMAKE_CXX_FLAGS=${FUZZ_FLAGS:--O0 -g1}"
targets=()
for source in tests/fuzz/*.cc; do
  name="$(basename "$source" .cc)"
  [[ $name == *_test || (-n $only && $name != "$only") ]] || targets+=("$name")
done
((${#targets[@]})) || fail "there is no fuzz target \"$only\" in tests/fuzz/"
build_tree build-fuzz "${targets[@]/#/fuzz_}"

# New inputs that reach new code are kept in build-fuzz/corpus; an input that breaks a target is to be copied from
# build-fuzz/found to tests/fuzz/corpus/NAME, once the fault is fixed.
code=0
mkdir -p build-fuzz/found build-fuzz/logs
for name in "${targets[@]}"; do
  say "fuzz_$name, $seconds s"
  mkdir -p "build-fuzz/corpus/$name"
  "build-fuzz/tests/fuzz_$name" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 -max_len=65536 -print_final_stats=1 \
    -artifact_prefix="build-fuzz/found/$name-" "build-fuzz/corpus/$name" "tests/fuzz/corpus/$name" \
    >"build-fuzz/logs/$name" 2>&1 || { code=1 && tail -n 30 "build-fuzz/logs/$name" >&2; }
  # One that broke at once has no figures; its exit code counts.
  grep -E "^stat::(number_of_executed_units|new_units_added)" "build-fuzz/logs/$name" || true
done
PYTHONPATH=tests "$(test_python)" -m torture.fuzz_report "$seconds" build-fuzz/logs
exit "$code"
