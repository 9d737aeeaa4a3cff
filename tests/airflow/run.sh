#!/usr/bin/env bash
# Runs the provider's tests with build/checkvalve in an environment of their own (.venv-airflow): "unit" (default, half a
# minute), "stack" (a whole Airflow as processes, three minutes), "lint". Further arguments, also paths, go to pytest.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
what="${1:-unit}"
shift || true
python="$(bash tools/airflow_stack/environment.sh)"
case "$what" in
unit | stack)
  paths=("tests/airflow/$what")
  for argument in "$@"; do [[ -e "${argument%%::*}" ]] && paths=(); done
  exec "$python" -m pytest -c tests/airflow/pytest.ini "${paths[@]}" "$@"
  ;;
lint) exec "$python" -m mypy ;;
*)
  echo "run.sh: invalid argument '$what': expected unit, stack or lint" >&2
  exit 2
  ;;
esac
