#!/usr/bin/env bash
# Brings deploy/compose.yaml up as shipped in real containers, and runs the scenarios of this folder in them:
#   run.sh [--postgres] [--compose-v2] [PYTEST ARGUMENT…]
# --postgres adds the overlay. --compose-v2 builds and uses that version where "docker compose" is missing; without it
# Debian's docker-compose does. "-m short" runs the few minutes' worth that CI has time for.
# Uses the Docker daemon that answers, or starts one of its own, as root, that it stops again.
# CHECKVALVE_BASE_IMAGE: the base of the images. Our own daemon has none to start with and makes it with debootstrap.
# CHECKVALVE_DOCKER_DATA: a folder that keeps the images of our own daemon between runs.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

files=(-f deploy/compose.yaml)
build_v2=
while (($#)); do
  case "$1" in
  --postgres) files+=(-f deploy/compose.postgres.yaml) ;;
  --compose-v2) build_v2=yes ;;
  *) break ;;
  esac
  shift
done
files+=(-f tests/compose/compose.test.yaml)
made_base=checkvalve-base
place="$(mktemp -d)"
daemon=
had_bridge=
compose_program=()
export COMPOSE_PROJECT_NAME="checkvalve-test-$$" TEST_DAGS="$place/dags"

say() { printf '\n== %s\n' "$*" >&2; }
compose() { "${compose_program[@]}" "${files[@]}" "$@"; }

clean_up() {
  code=$?
  if ((${#compose_program[@]})); then
    if ((code != 0)); then compose logs --tail=40 >&2 || true; fi
    compose down --volumes --timeout 5 >"$place/down.log" 2>&1 || cat "$place/down.log" >&2
  fi
  if [[ -n "$daemon" ]]; then stop_daemon; fi
  rm -rf "$place"
}
trap clean_up EXIT

start_daemon() {
  say "starting a Docker daemon of our own"
  [[ -e /sys/class/net/docker0 ]] && had_bridge=yes
  for table in filter nat; do iptables-save -t $table; done >"$place/iptables"
  # A daemon's own version of the client: newer ones build images with a plug-in only, which may be missing.
  mkdir "$place/bin"
  ln -s /usr/bin/docker "$place/bin/docker"
  export PATH="$place/bin:$PATH" DOCKER_HOST="unix://$place/docker.sock"
  # In a session of its own: Ctrl-C is for the tests, and what they started must be taken down before it ends.
  setsid dockerd --data-root "${CHECKVALVE_DOCKER_DATA:-$place/data}" --exec-root "$place/exec" -H "$DOCKER_HOST" \
    --pidfile "$place/docker.pid" >"$place/dockerd.log" 2>&1 &
  daemon=$!
  for _ in $(seq 150); do
    if docker info >/dev/null 2>&1; then return; fi
    kill -0 "$daemon" 2>/dev/null || break
    sleep 0.2
  done
  cat "$place/dockerd.log" >&2
  exit 1
}

# Leaves the machine's network as it was found: dockerd keeps its bridge and its rules when it ends.
stop_daemon() {
  kill "$daemon" 2>/dev/null && wait "$daemon" || true # it may have ended; its exit code after a signal says nothing
  # Of a build that was cut off.
  umount "$place"/exec/netns/* 2>/dev/null || true # there are none after a clean stop
  if [[ -z $had_bridge ]]; then
    iptables-restore <"$place/iptables"
    if [[ -e /sys/class/net/docker0 ]]; then ip link delete docker0; fi
  fi
}

choose_compose() {
  if docker compose version >/dev/null 2>&1; then
    compose_program=(docker compose)
  elif [[ -n $build_v2 ]]; then
    compose_program=("$(bash tests/compose/compose_v2.sh)")
  else
    # Version 1 heeds the section "deploy" only if told to, and has no BuildKit of its own.
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
docker info >/dev/null 2>&1 || start_daemon
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
