# print line and branch coverage of src/ by the unit and conformance tests ("e2e": by the end-to-end tests, too)
source tools/dev/common.sh

case "${1:-}" in
e2e | "") ;;
*) fail "unknown argument '$1'; usage: ./dev coverage [e2e]" ;;
esac
bash tools/dev/verbs/setup.sh build test
mkdir -p build-coverage
# The counts are the source's at any level of optimisation, and tests keep their limits in time at this one.
configure_tree build-coverage -DCHECKVALVE_COVERAGE=ON -DCMAKE_BUILD_TYPE=None "-DCMAKE_CXX_FLAGS=-O1 -DNDEBUG"
build_tree build-coverage
rm -rf build-coverage/profiles
failed=
ctest --test-dir build-coverage -j "$(jobs_that_fit)" --output-on-failure || failed=yes
by="unit and conformance tests"
if [[ "${1:-}" == e2e ]]; then
  by+=" and end-to-end tests"
  CHECKVALVE_BUILD="$PWD/build-coverage" CHECKVALVE_PROGRAM="$PWD/build-coverage/checkvalve" "$(test_python)" -m pytest \
    -n 2 --dist worksteal -c tests/pytest.ini --rootdir . tests/e2e || failed=yes
fi
llvm-profdata-19 merge -sparse -o build-coverage/profile build-coverage/profiles/*.profraw
programs=(build-coverage/tests/*_test build-coverage/tests/*_conformance)
llvm-cov-19 export -summary-only -instr-profile build-coverage/profile build-coverage/checkvalve \
  "${programs[@]/#/-object=}" src >build-coverage/coverage.json
PYTHONPATH=tests "$(test_python)" -m torture.coverage_report build-coverage/coverage.json "$by"
[[ -z $failed ]] || fail "tests failed; the figures are those of the failed run"
