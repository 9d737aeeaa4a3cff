# build with AddressSanitizer and UndefinedBehaviorSanitizer in build-asan/, run unit and conformance tests in it
source tools/dev/common.sh

bash tools/dev/verbs/setup.sh build test
mkdir -p build-asan
# -O0: clang takes three times as long to optimise what the sanitizers insert, more than the tests then save.
configure_tree build-asan -DCHECKVALVE_SANITIZE=ON -DCMAKE_BUILD_TYPE=None "-DCMAKE_CXX_FLAGS=-O0 -g1"
build_tree build-asan
say "unit and conformance tests under ASan and UBSan"
export ASAN_OPTIONS="detect_leaks=1:abort_on_error=0" UBSAN_OPTIONS="print_stacktrace=1"
ctest --test-dir build-asan -j 2 --output-on-failure "$@"
