#!/usr/bin/env bash
# Brings deploy/compose.yaml up as shipped in real containers, and runs the scenarios in them ("postgres": with the
# overlay). Uses a running Docker daemon, or starts one of its own, as root, that it stops again.
# CHECKVALVE_BASE_IMAGE: the base of the images; without it one is made by debootstrap.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
overlay="${1:-}"
place="$(mktemp -d)"
daemon=
project="checkvalve-test-$$"
export DOCKER_BUILDKIT=1 COMPOSE_DOCKER_CLI_BUILD=1 COMPOSE_PROJECT_NAME="$project"

say() { printf '\n== %s\n' "$*" >&2; }
compose_program=(docker compose)
docker compose version >/dev/null 2>&1 || compose_program=(docker-compose)
files=(-f deploy/compose.yaml)
[[ "$overlay" == postgres ]] && files+=(-f deploy/compose.postgres.yaml)
compose() { "${compose_program[@]}" --compatibility "${files[@]}" -f tests/compose/compose.test.yaml "$@"; }

clean_up() {
  code=$?
  if ((code != 0)); then compose logs --tail=40 >&2 || true; fi
  compose down --volumes --timeout 5 >&2 || true
  if [[ -n "$daemon" ]]; then
    kill "$daemon" && while kill -0 "$daemon" 2>/dev/null; do sleep 0.2; done
  fi
  rm -rf "$place"
}
trap clean_up EXIT

if ! docker info >/dev/null 2>&1; then
  say "starting a Docker daemon of our own"
  data="${CHECKVALVE_DOCKER_DATA:-$place/data}" # keep it between runs to build the images only once
  export DOCKER_HOST="unix://$place/docker.sock"
  dockerd --data-root "$data" --exec-root "$place/exec" -H "$DOCKER_HOST" --pidfile "$place/docker.pid" \
    >"$place/dockerd.log" 2>&1 &
  daemon=$!
  for _ in $(seq 100); do docker info >/dev/null 2>&1 && break || sleep 0.2; done
  docker info >/dev/null || { cat "$place/dockerd.log" >&2; exit 1; }
fi

export BASE_IMAGE="${CHECKVALVE_BASE_IMAGE:-checkvalve-base}"
if [[ "$BASE_IMAGE" == checkvalve-base ]] && ! docker image inspect "$BASE_IMAGE" >/dev/null 2>&1; then
  say "making the base image"
  bash tests/compose/base_image.sh "$BASE_IMAGE"
fi
say "building the images"
compose build
say "starting the containers"
AIRFLOW_PORT="$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')"
export AIRFLOW_PORT AIRFLOW_URL="http://127.0.0.1:$AIRFLOW_PORT" WORKER_GRACE=20s
compose up -d
say "running the scenarios"
python="$(bash tools/airflow_stack/environment.sh)"
CHECKVALVE_COMPOSE="${compose_program[*]} --compatibility ${files[*]} -f tests/compose/compose.test.yaml" \
  "$python" -m pytest -c tests/airflow/pytest.ini tests/compose
