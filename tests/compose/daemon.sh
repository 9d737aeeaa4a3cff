# Sourced: a Docker daemon of our own, as root, with its own data, socket and rules, below the folder $place.
daemon=
had_bridge=

# start_daemon DATA_FOLDER; docker then talks to it. Fails if it does not start; $place/dockerd.log says why.
start_daemon() {
  [[ -e /sys/class/net/docker0 ]] && had_bridge=yes
  for table in filter nat; do iptables-save -t $table; done >"$place/iptables"
  # A daemon's own version of the client: newer ones build images with a plug-in only, which may be missing.
  mkdir "$place/bin"
  ln -s /usr/bin/docker "$place/bin/docker"
  export PATH="$place/bin:$PATH" DOCKER_HOST="unix://$place/docker.sock"
  # In a session of its own: Ctrl-C is for the tests, and what they started must be taken down before it ends.
  setsid dockerd --data-root "$1" --exec-root "$place/exec" -H "$DOCKER_HOST" \
    --pidfile "$place/docker.pid" >"$place/dockerd.log" 2>&1 &
  daemon=$!
  for _ in $(seq 150); do
    if docker info >/dev/null 2>&1; then return 0; fi
    kill -0 "$daemon" 2>/dev/null || break
    sleep 0.2
  done
  return 1
}

# Leaves the machine's network as it was found: dockerd keeps its bridge and its rules when it ends.
stop_daemon() {
  [[ -n "$daemon" ]] || return 0
  kill "$daemon" 2>/dev/null && wait "$daemon" || true # it may have ended; its exit code after a signal says nothing
  # Of a build that was cut off.
  umount "$place"/exec/netns/* 2>/dev/null || true # there are none after a clean stop
  if [[ -z $had_bridge ]]; then
    iptables-restore <"$place/iptables"
    if [[ -e /sys/class/net/docker0 ]]; then ip link delete docker0; fi
  fi
}
