#!/usr/bin/env bash
# Brings deploy/compose.yaml up as shipped in real containers, and runs the scenarios of this folder in them:
#   run.sh [--postgres] [--no-s3] [--compose-v2] [PYTEST ARGUMENT…]
# --postgres adds that overlay, --no-s3 leaves the one with the S3 server out. --compose-v2 builds and uses that version where "docker compose" is missing; without it
# Debian's docker-compose does. "-m short" runs the few minutes' worth that CI has time for.
# Uses the Docker daemon that answers, or starts one of its own, as root, that it stops again.
# CHECKVALVE_BASE_IMAGE: the base of the images. Our own daemon has none to start with and makes it with debootstrap.
# CHECKVALVE_DOCKER_DATA: a folder that keeps the images of our own daemon between runs.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

postgres=()
s3=(-f deploy/compose.s3.yaml)
build_v2=
while (($#)); do
  case "$1" in
  --postgres) postgres=(-f deploy/compose.postgres.yaml) ;;
  --no-s3) s3=() ;;
  --compose-v2) build_v2=yes ;;
  *) break ;;
  esac
  shift
done
files=(-f deploy/compose.yaml "${postgres[@]}" "${s3[@]}" -f tests/compose/compose.test.yaml)
made_base=checkvalve-base
place="$(mktemp -d)"
compose_program=()
export COMPOSE_PROJECT_NAME="checkvalve-test-$$" TEST_DAGS="$place/dags"

source tests/compose/daemon.sh
say() { printf '\n== %s\n' "$*" >&2; }
compose() { "${compose_program[@]}" "${files[@]}" "$@"; }

clean_up() {
  code=$?
  if ((${#compose_program[@]})); then
    if ((code != 0)); then compose logs --tail=40 >&2 || true; fi
    compose down --volumes --timeout 5 >"$place/down.log" 2>&1 || cat "$place/down.log" >&2
  fi
  stop_daemon
  rm -rf "$place"
}
trap clean_up EXIT

choose_compose() {
  if docker compose version >/dev/null 2>&1; then
    compose_program=(docker compose)
  elif [[ -n $build_v2 ]]; then
    compose_program=("$(bash tests/compose/compose_v2.sh)")
  else
    # Version 1 reads the section "deploy" only with --compatibility, and uses BuildKit only if asked to.
    export DOCKER_BUILDKIT=1 COMPOSE_DOCKER_CLI_BUILD=1
    compose_program=(docker-compose --compatibility)
  fi
}

make_images() {
  export BASE_IMAGE="${CHECKVALVE_BASE_IMAGE:-${daemon:+$made_base}}"
  BASE_IMAGE="${BASE_IMAGE:-debian:bookworm-slim}"
  if [[ $BASE_IMAGE == "$made_base" ]] && ! docker image inspect $made_base >/dev/null 2>&1; then
    say "making the base image"
    bash tests/compose/base_image.sh $made_base >"$place/base.log" 2>&1 || { tail -40 "$place/base.log" >&2; exit 1; }
  fi
  say "building the images"
  compose build >"$place/build.log" 2>&1 || { tail -60 "$place/build.log" >&2; exit 1; }
}

mkdir "$TEST_DAGS"
cp dags/*.py tests/airflow/stack/dags/*.py tests/compose/dags/*.py "$TEST_DAGS"
chmod -R a+rX "$place"
if ! docker info >/dev/null 2>&1; then
  say "starting a Docker daemon of our own"
  start_daemon "${CHECKVALVE_DOCKER_DATA:-$place/data}" || { cat "$place/dockerd.log" >&2; exit 1; }
fi
choose_compose
make_images
docker image ls --filter 'reference=checkvalve-*' >&2

say "starting the containers with $("${compose_program[@]}" version --short)"
AIRFLOW_PORT="$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')"
export AIRFLOW_PORT AIRFLOW_URL="http://127.0.0.1:$AIRFLOW_PORT" WORKER_GRACE=20s
compose up -d >"$place/up.log" 2>&1 || { cat "$place/up.log" >&2; exit 1; }

say "running the scenarios"
python="$(bash tools/airflow_stack/environment.sh)"
CHECKVALVE_COMPOSE="${compose_program[*]} ${files[*]}" \
  "$python" -m pytest -c tests/compose/pytest.ini --rootdir . tests/compose "$@"
