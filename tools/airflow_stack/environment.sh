#!/usr/bin/env bash
# Makes .venv-airflow: Airflow as deploy/requirements.lock pins it, the test tools, and this repository's Python package
# without the program, for which CHECKVALVE_PROGRAM stands. Does nothing if all is as it was. Prints its python.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
venv=.venv-airflow
inputs=(deploy/requirements.lock tests/airflow/requirements.txt pyproject.toml CMakeLists.txt)
wanted="$(cat "${inputs[@]}" | sha256sum | cut -d" " -f1)"
if [[ ! -f $venv/installed || "$(cat $venv/installed)" != "$wanted $PWD" ]]; then
  python=/usr/bin/python3 # Debian's, which python3-venv belongs to
  [[ -x $python ]] || python=python3
  echo "Installing Airflow into $venv (about a minute)" >&2
  "$python" -m venv --clear $venv
  $venv/bin/python -m pip install --quiet --disable-pip-version-check \
    -r deploy/requirements.lock -r tests/airflow/requirements.txt >&2
  $venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps \
    --config-settings wheel.cmake=false . >&2
  # The package's files are those of the repository, so that a change needs no new installation.
  site="$($venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"
  rm -rf "$site/checkvalve"
  echo "$PWD/python" >"$site/checkvalve-repository.pth"
  echo "$wanted $PWD" >$venv/installed
fi
echo "$PWD/$venv/bin/python"
