#!/usr/bin/env bash
# For CI: the short set in containers (three dates, a killed worker, rights, secrets), where a Docker daemon runs or can be
# started; elsewhere it says why it is skipped, and succeeds. Usage: ci.sh MINUTES, which it may take in all.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
minutes="$1"
place="$(mktemp -d)"
source tests/compose/daemon.sh
trap 'stop_daemon; rm -rf "$place"' EXIT

skip() {
  printf '\ncontainer tests (./dev compose-test -m short) skipped: %s\n' "$1"
  if [[ -f "${2:-}" ]]; then tail -5 "$2"; fi
  exit 0
}

# In a process group of its own, which gets the INT that Ctrl-C would give it; 124 if the time is over.
in_time() {
  local seconds=$((minutes * 60 - SECONDS))
  ((seconds > 0)) || return 124
  timeout --signal=INT --kill-after=2m "$seconds" "$@"
}

# Our own daemon, with a base image that needs no registry.
own_docker() {
  ((EUID == 0)) || skip "no Docker daemon answers, and only root can start one"
  command -v apt-get >/dev/null || skip "no Docker daemon answers, and this is no Debian to install one"
  bash tools/dev/verbs/setup.sh compose
  iptables -t nat -S >"$place/iptables.log" 2>&1 || skip "iptables, which a Docker daemon needs, says:" "$place/iptables.log"
  start_daemon "$place/data" || skip "no Docker daemon can be started here:" "$place/dockerd.log"
  export CHECKVALVE_BASE_IMAGE=checkvalve-base
  in_time bash tests/compose/base_image.sh "$CHECKVALVE_BASE_IMAGE" >"$place/base.log" 2>&1 ||
    skip "the base image can't be made here:" "$place/base.log"
}

((minutes > 0)) || skip "no time is left for them"
docker info >/dev/null 2>&1 || own_docker
# A daemon may run elsewhere or refuse containers, and they may have no way to the packages that the images are made of.
in_time docker run --rm -v "$PWD/dags:/dags:ro" "${CHECKVALVE_BASE_IMAGE:-debian:bookworm-slim}" \
  sh -c 'ls /dags/checkvalve_daily.py && apt-get update' >"$place/probe.log" 2>&1 ||
  skip "containers can't be started here, see this folder and fetch Debian's packages:" "$place/probe.log"
code=0
in_time ./dev compose-test --no-s3 -m short || code=$?
((code != 124)) || skip "cut off after $minutes minutes"
exit "$code"
