#!/usr/bin/env bash
# Runs the provider's tests with build/checkvalve in an environment of their own (.venv-airflow): "unit" (default, a
# minute), "stack" (a whole Airflow as processes, five minutes), "lint". Further arguments go to pytest.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
what="${1:-unit}"
shift || true
python="$(bash tools/airflow_stack/environment.sh)"
case "$what" in
unit | stack) exec "$python" -m pytest -c tests/airflow/pytest.ini "tests/airflow/$what" "$@" ;;
lint) exec "$python" -m mypy ;;
*)
  echo "run.sh: \"$what\" is none of unit, stack, lint" >&2
  exit 2
  ;;
esac
