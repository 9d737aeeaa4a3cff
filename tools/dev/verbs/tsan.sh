# build the coroutine runtime with ThreadSanitizer in build-tsan/, run its tests in it
source tools/dev/common.sh

bash tools/dev/verbs/setup.sh build test
mkdir -p build-tsan
# Without NDEBUG: what may not end while it is used is asserted.
configure_tree build-tsan -DCHECKVALVE_TSAN=ON -DCMAKE_BUILD_TYPE=None "-DCMAKE_CXX_FLAGS=-O1 -g1"
build_tree build-tsan core_test
say "tests of the runtime under ThreadSanitizer"
build-tsan/tests/core_test "$@"
