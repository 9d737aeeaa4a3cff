#!/usr/bin/env bash
# For CI: the short set in containers, where a Docker daemon runs or can be started; elsewhere says why not, and ends well.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
skip() {
  echo "container tests left out: $*"
  exit 0
}
if ! docker info >/dev/null 2>&1; then
  ((EUID == 0)) || skip "no Docker daemon answers, and only root can start one"
  command -v apt-get >/dev/null || skip "no Docker daemon answers, and this is no Debian to install one"
  bash tools/dev/verbs/setup.sh compose
  iptables -t nat -S >/dev/null 2>&1 || skip "iptables does not work here, which a Docker daemon needs"
fi
exec ./dev compose-test -m short
