#!/usr/bin/env bash
# The demo: AgentPod on this checkout's manifests, its private PostgreSQL, and Traefik in front.
#
#   deploy/demo.sh up              installs what is missing, builds, starts, waits until every agent is ready,
#                                  and stays until Ctrl-C. Agents that already run are taken over.
#   deploy/demo.sh down            removes everything except the images
#   deploy/demo.sh agentpod ARGS   an agentpod command with the demo's settings: status, plan, events, open …
#
# DEMO_PORT     the proxy's port on this machine                     [8080]
# DEMO_LISTEN   the address of AgentPod's dashboard and API          [127.0.0.1:7070]
# DEMO_SUBNET   the network's addresses, if these are taken          [10.214.0.0/20]
set -euo pipefail
cd "$(dirname "$0")/.."

instance=demo network=agentpod-demo-net proxy=agentpod-demo-proxy
port=${DEMO_PORT:-8080} listen=${DEMO_LISTEN:-127.0.0.1:7070} subnet=${DEMO_SUBNET:-10.214.0.0/20}
# When started by root, PostgreSQL runs as another user, who cannot enter a checkout below /root. So the state is elsewhere.
if [ "$(id -u)" = 0 ]; then state=/var/lib/agentpod-demo; else state=${XDG_STATE_HOME:-$HOME/.local/state}/agentpod-demo; fi
log=$state/agentpod.log
settings=(
  --source "$PWD/manifests" --adapters "$PWD/adapters" --templates "$PWD/templates" --state-dir "$state"
  --instance "$instance" --network "$network" --network-subnet "$subnet"
  --domain localhost --public-scheme http --public-port "$port" --entry-point web
)

say() { echo "demo: $*"; }
die() { echo "demo: $*" >&2; exit 1; }
# clear_line: clears a line of progress
clear_line() { if [ -t 1 ]; then printf '\r\033[K'; fi; }
# progress TEXT: updates the line on a terminal; elsewhere prints only what is new
progress() {
  if [ -t 1 ]; then printf '\r\033[K%s' "demo: $1"; elif [ "$1" != "${said:-}" ]; then say "$1"; fi
  said=$1
}

# The demo uses only the settings in this file, none of the user's own.
agentpod() {
  env -u DATABASE_URL -u AGENTPOD_DOCKER_HOST -u AGENTPOD_CERT_RESOLVER -u AGENTPOD_PROXY_ADDRESS "$program" "${settings[@]}" "$@"
}
find_program() {
  local target
  target=$(cargo metadata --no-deps --format-version 1 | sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')
  program=$target/debug/agentpod
}

# get ADDRESS PATH [HOST]: an HTTP response, head and body, without curl.
get() {
  local host=${1%:*}
  host=${host#[} host=${host%]}
  (
    exec 3<>"/dev/tcp/$host/${1##*:}" || exit 1
    printf 'GET %s HTTP/1.0\r\nHost: %s\r\n\r\n' "$2" "${3:-$1}" >&3
    timeout 5 cat <&3
  ) 2>/dev/null
}
listens() { (exec 3<>"/dev/tcp/${1%:*}/${1##*:}") 2>/dev/null; }

# The daemon of an earlier `up`, if it still runs.
running_daemon() {
  local pid
  pid=$(cat "$state/demo.pid" 2>/dev/null) && tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -q -- "agentpod run .*--state-dir $state " && echo "$pid"
}

# ---- up ----------------------------------------------------------------------------------------------------------

check_ports() {
  local daemon
  if daemon=$(running_daemon); then
    die "the demo is already running (process $daemon, log: $log). To remove it: make demo-down"
  fi
  if listens "$listen"; then die "$listen is in use; choose another address: DEMO_LISTEN=127.0.0.1:7071 make demo"; fi
  if listens "127.0.0.1:$port" && [ -z "$(docker ps -q --filter "name=^$proxy\$" --filter "publish=$port")" ]; then
    die "port $port is in use; choose another: DEMO_PORT=8081 make demo"
  fi
}

build() {
  # Traefik's image is pulled, or built from a Python package. Only the latter needs more tools.
  deploy/setup.sh images echo traefik || { deploy/setup.sh tools && deploy/setup.sh images echo traefik; }
  # Unoptimized: compiles in about half the time of a release build, and nobody notices with a handful of agents.
  say "compiling AgentPod (about six minutes the first time, seconds after that)…"
  cargo build --bin agentpod
  find_program
}

start_daemon() {
  if [ "$(id -u)" = 0 ]; then install -d -m 711 "$state"; else install -d -m 700 "$state"; fi
  : >"$log"
  # In a session of its own, so that Ctrl-C reaches only this script, which passes it on once.
  setsid env -u DATABASE_URL -u AGENTPOD_DOCKER_HOST -u AGENTPOD_CERT_RESOLVER -u AGENTPOD_PROXY_ADDRESS \
    "$program" run "${settings[@]}" --listen "$listen" >>"$log" 2>&1 </dev/null &
  daemon=$!
  echo "$daemon" >"$state/demo.pid"
  trap stop INT TERM HUP
}

# The first signal asks AgentPod to stop; the second makes it stop at once.
stop() {
  clear_line
  kill -TERM "$daemon" 2>/dev/null || true
  if [ -n "${stopping:-}" ]; then return; fi
  stopping=yes
  say "stopping AgentPod…"
  finish
}

alive() { kill -0 "$daemon" 2>/dev/null; }

# still_there: ends the demo if AgentPod has ended.
still_there() { alive || finish; }

finish() {
  # `wait` returns early on a signal
  while alive; do wait "$daemon" || true; done
  rm -f "$state/demo.pid"
  [ -z "${shown:-}" ] || kill "$shown" 2>/dev/null || true
  clear_line
  if [ -z "${stopping:-}" ]; then
    tail -n 20 "$log" >&2
    die "AgentPod exited unexpectedly; its log is $log"
  fi
  say "AgentPod is stopped. The proxy and the agents keep running: $(docker ps -q --filter label=agentpod.instance=$instance | wc -l) agents"
  say "To take them over again: make demo. To remove them: make demo-down"
  exit 0
}

start_proxy() {
  local address version image socket config made
  until address=$(docker network inspect -f '{{index .Labels "agentpod.proxy-address"}}' $network 2>/dev/null); do
    still_there
    progress "waiting for the network"
    sleep 0.2
  done
  [ -n "$address" ] || die "the network $network was not created by AgentPod; remove it: docker network rm $network"
  version=$(sed -n 's/^VERSION=//p' deploy/images/traefik/build.sh)
  image=agentpod/traefik:$version
  socket=${DOCKER_HOST:-unix:///var/run/docker.sock}
  socket=${socket#unix://}
  config=$state/traefik.yaml
  # The shipped configuration, with the demo's names.
  sed -e "/^ *network:/s/agentpod-net/$network/" -e "/^ *constraints:/s/\`agentpod\`/\`$instance\`/" deploy/traefik.yaml >"$config"
  made=$(echo "$image $address $port $socket" | cat - "$config" | sha256sum | cut -c1-16)
  if [ "$(docker inspect -f '{{.State.Running}} {{index .Config.Labels "agentpod.demo-proxy"}}' $proxy 2>/dev/null)" = "true $made" ]; then
    return
  fi
  docker rm -f $proxy >/dev/null 2>&1 || true
  # The proxy reads Docker's events. The socket amounts to root, so only the proxy gets it.
  docker run -d --name $proxy --label "agentpod.demo-proxy=$made" --network $network --ip "$address" \
    --publish "127.0.0.1:$port:80" --restart unless-stopped --read-only --cap-drop ALL --cap-add NET_BIND_SERVICE \
    --security-opt no-new-privileges --memory 256m --volume "$socket:/var/run/docker.sock:ro" \
    --volume "$config:/etc/traefik/traefik.yaml:ro" "$image" >/dev/null || die "the proxy $proxy could not be started"
}

# phases: the pods' phases as of the last round, one `PHASE READY` per line
phases() { get "$listen" /api/v1/status | grep -o '"phase":"[A-Za-z]*","ready":[a-z]*' | sed 's/"phase":"\(.*\)","ready":/\1 /' || true; }

wait_for_pods() {
  local pods waited=0
  while :; do
    still_there
    pods=$(phases)
    if [ -n "$pods" ] && ! grep -qv -e ' true$' -e '^Stopped ' -e '^Deleting ' <<<"$pods"; then break; fi
    if [ $waited = 240 ]; then
      clear_line
      say "not all agents are ready after two minutes; AgentPod keeps trying"
      return
    fi
    [ -n "$pods" ] || pods=starting
    progress "waiting for the agents: $(cut -d' ' -f1 <<<"$pods" | sort | uniq -c | awk '{printf "%s%s%s", (NR > 1 ? ", " : ""), ($2 == "starting" ? "" : $1 " "), $2}')"
    sleep 0.5
    waited=$((waited + 1))
  done
  clear_line
}

# wait_for_routes: the proxy notices new containers by itself, a moment later.
wait_for_routes() {
  local url answer missing tries
  for tries in $(seq 40); do
    missing=()
    while read -r url; do
      answer=$(get "127.0.0.1:$port" / "$url" | head -n 1 || true)
      case $answer in "" | *" 404 "* | *" 50"[234]" "*) missing+=("$url") ;; esac
    done < <(get "$listen" /api/v1/status | grep -o '"ready":true[^}]*"url":"http://[^"]*' | sed 's|.*http://||')
    [ ${#missing[@]} = 0 ] && break
    still_there
    progress "waiting for the proxy: ${missing[*]} ($tries)"
    sleep 0.5
  done
  clear_line
  [ ${#missing[@]} = 0 ] || say "the proxy does not reach ${missing[*]}; see: docker logs $proxy"
}

up() {
  command -v cargo >/dev/null || die "Rust is not installed; install it with rustup (https://rustup.rs) and try again"
  if [ "${1:-}" != --with-docker ]; then
    deploy/setup.sh rust-libs engine postgres
    exec deploy/with-docker.sh "$0" up --with-docker
  fi
  check_ports
  build
  start_daemon
  say "AgentPod is starting; its dashboard will be at http://$listen/dashboard, its log is $log"
  start_proxy
  wait_for_pods
  wait_for_routes
  echo
  agentpod status || true
  cat <<TEXT

  dashboard http://$listen/dashboard
  change    the greeting in manifests/alice.yaml, save, and reload the page: no restart
            the config to {greeting: Hi, mode: new}: the container is replaced, the data stays
  break     docker rm -f \$(docker ps -q --filter label=agentpod.pod-id=bob_assistant): it comes back
  ask       deploy/demo.sh agentpod status | plan | events | logs alice/assistant | open alice/assistant
  Ctrl-C    stops AgentPod; the agents keep running. make demo takes them over again, make demo-down removes everything

AgentPod's log ($log):
TEXT
  tail -n 0 -f "$log" &
  shown=$!
  finish
}

# ---- down --------------------------------------------------------------------------------------------------------

stop_daemon() {
  local pid waited
  pid=$(running_daemon) || return 0
  say "stopping AgentPod (process $pid)…"
  kill -TERM "$pid"
  for waited in $(seq 300); do
    [ -e "/proc/$pid" ] || return 0
    # a second signal makes it stop at once
    [ "$waited" != 250 ] || kill -TERM "$pid" 2>/dev/null || true
    sleep 0.1
  done
  die "process $pid does not exit; kill it and try again"
}

# stop_postgres: PostgreSQL keeps running if AgentPod was killed.
stop_postgres() {
  local pid
  pid=$(head -n 1 "$state/postgres/data/postmaster.pid" 2>/dev/null) || return 0
  tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -qF "$state/postgres/data" || return 0
  say "stopping its PostgreSQL (process $pid)…"
  kill -INT "$pid"
  for _ in $(seq 600); do
    [ -e "/proc/$pid" ] || return 0
    sleep 0.1
  done
  die "PostgreSQL (process $pid) does not exit; see $state/postgres/server.log"
}

# remove WHAT COMMAND...: passes the ids from standard input to the command, and says how many there were.
remove() {
  local what=$1 ids
  shift
  mapfile -t ids
  [ ${#ids[@]} = 0 ] || { "$@" "${ids[@]}" >/dev/null && say "removed ${#ids[@]} $what"; }
}

down() {
  [ "${1:-}" = --with-docker ] || exec deploy/with-docker.sh "$0" down --with-docker
  local mine=(--filter label=agentpod.managed=true --filter "label=agentpod.instance=$instance")
  stop_daemon
  docker ps -aq "${mine[@]}" | remove "agent containers" docker rm -f -v
  docker ps -aq --filter "name=^$proxy\$" | remove "proxy" docker rm -f -v
  docker volume ls -q "${mine[@]}" | remove "volumes with the agents' data" docker volume rm
  docker network ls -q "${mine[@]}" | remove "network" docker network rm
  stop_postgres
  if [ -e "$state" ]; then rm -rf "$state" && say "removed $state"; fi
  say "kept images: $(docker images --format '{{.Repository}}:{{.Tag}}' 'agentpod/*' | tr '\n' ' ')"
}

case ${1:-} in
  up | down) "$@" ;;
  agentpod)
    shift
    find_program
    [ -x "$program" ] || die "AgentPod is not built yet; run: make demo"
    agentpod "$@"
    ;;
  *) sed -n '2,12s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
