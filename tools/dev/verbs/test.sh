# run every test: layers, unit, conformance, sanitizers, the Airflow provider and its scenarios, end to end
source tools/dev/common.sh

bash tools/dev/verbs/setup.sh build test airflow
bash tools/dev/verbs/build.sh all || fail "the build failed: no test was run"

failed=()
step() {
  local name="$1"
  shift
  say "$name"
  "$@" || failed+=("$name")
}

step "layers: who includes whom" "$(test_python)" tools/check_layers.py
step "unit and conformance tests" ctest --test-dir build -j 2 --output-on-failure
step "sanitizers (./dev asan)" bash tools/dev/verbs/asan.sh
step "Airflow provider: unit tests (tests/airflow/run.sh)" bash tests/airflow/run.sh unit
step "Airflow provider: scenarios on two Celery workers (tests/airflow/run.sh)" bash tests/airflow/run.sh stack
step "end-to-end tests (./dev e2e)" "$(test_python)" -m pytest -n 2 --dist worksteal -c tests/pytest.ini --rootdir . tests/tools tests/e2e

if ((${#failed[@]})); then
  printf '\n./dev test: failed:\n' >&2
  printf '  - %s\n' "${failed[@]}" >&2
  exit 1
fi
