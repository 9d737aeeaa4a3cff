# run every test: unit, conformance, sanitizers, the Airflow provider, end to end; "quick": three minutes' worth
source tools/dev/common.sh

quick=
case "${1:-}" in
quick | --quick) quick=yes ;;
"") ;;
*) fail "unknown argument '$1'; usage: ./dev test [quick]" ;;
esac

bash tools/dev/verbs/setup.sh build test airflow
bash tools/dev/verbs/build.sh all || fail "the build failed: no test was run"

failed=()
step() {
  local name="$1"
  shift
  say "$name"
  "$@" || failed+=("$name")
}
end_to_end() { "$(test_python)" -m pytest -n 2 --dist worksteal -c tests/pytest.ini --rootdir . tests/tools tests/e2e "$@"; }

step "layers: who includes whom, and who names a scheme" "$(test_python)" tools/check_layers.py
step "pages: their examples and type names are those of the code" "$(test_python)" tools/check_examples.py
if [[ $quick ]]; then
  step "unit tests" ctest --test-dir build -j 2 --output-on-failure --label-exclude slow
else
  step "unit and conformance tests" ctest --test-dir build -j 2 --output-on-failure
  step "sanitizers (./dev asan)" bash tools/dev/verbs/asan.sh
  step "the runtime's tests under ThreadSanitizer (./dev tsan)" bash tools/dev/verbs/tsan.sh
fi
step "Airflow provider: unit tests (tests/airflow/run.sh)" bash tests/airflow/run.sh unit
if [[ $quick ]]; then
  step "end-to-end tests: the quick ones" end_to_end -m quick
else
  step "Airflow provider: scenarios on two Celery workers (tests/airflow/run.sh)" bash tests/airflow/run.sh stack
  step "end-to-end tests (./dev e2e)" end_to_end
fi

if ((${#failed[@]})); then
  printf '\n./dev test: failed:\n' >&2
  printf '  - %s\n' "${failed[@]}" >&2
  exit 1
fi
