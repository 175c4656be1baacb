#!/usr/bin/env bash
# Tests the API against its own description: starts AgentPod with the demo's manifests and without a container engine (so its pods
# are Unknown), and runs schemathesis, which sends everything the description allows and much that it does not. The exit
# code is that of schemathesis. Only the Python environment in the cache is kept.
#
#   deploy/api-check.sh [ARGS...]       ARGS are passed to `schemathesis run`, for example --max-examples=500
#
# AGENTPOD_API_CHECK_PYTHON   the Python environment with schemathesis; created if missing    [~/.cache/agentpod/schemathesis]
set -euo pipefail
cd "$(dirname "$0")/.."
python=${AGENTPOD_API_CHECK_PYTHON:-${XDG_CACHE_HOME:-$HOME/.cache}/agentpod/schemathesis}

deploy/setup.sh postgres tools
[ -x "$python/bin/schemathesis" ] || { python3 -m venv "$python" && "$python/bin/pip" --quiet install 'schemathesis>=4,<5'; }
cargo build --quiet --bin agentpod
program=$(cargo metadata --no-deps --format-version 1 | sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')/debug/agentpod

place=$(mktemp -d) daemon=
# PostgreSQL may run as another user, who must be able to enter.
chmod 755 "$place"
# shellcheck disable=SC2317,SC2329  # called by the trap
clean_up() {
  [ -z "$daemon" ] || { kill "$daemon" 2>/dev/null; wait "$daemon" 2>/dev/null; } || true
  rm -rf "$place"
}
trap clean_up EXIT
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
mkdir "$place/source"
cp manifests/*.yaml "$place/source/"
env -u DATABASE_URL "$program" run --instance api-check --state-dir "$place/state" --source "$place/source" \
  --docker-host "unix://$place/no-engine" --listen "127.0.0.1:$port" >"$place/log" 2>&1 &
daemon=$!
url=http://127.0.0.1:$port/api/v1
for _ in $(seq 240); do
  kill -0 $daemon 2>/dev/null || { cat "$place/log" >&2; echo "api-check: AgentPod exited" >&2; exit 1; }
  if python3 - "$url/overview" 2>/dev/null <<<'import json, sys, urllib.request
answer = json.load(urllib.request.urlopen(sys.argv[1], timeout=5))
sys.exit(answer["pods"] == 0)'; then break; fi
  sleep 0.25
done

# Once with arbitrary names in addresses, and once with names that exist. Left out are a WebSocket (/watch)
# and the log of a pod that exists: without an engine it is 503.
printf '[parameters]\n"path.tenant" = "alice"\n"path.pod" = "assistant"\n' >"$place/named.toml"
check() { "$python/bin/schemathesis" "$@" --checks all --max-examples 60 --suppress-health-check all --no-color; }
code=0
check run "$url/openapi.json" --exclude-path-regex '/watch$' "$@" || code=$?
check --config-file "$place/named.toml" run "$url/openapi.json" --include-path-regex '[{]tenant[}]' --exclude-path-regex '/logs$' "$@" || code=$?
if grep -E 'panicked|internal error' "$place/log"; then echo "api-check: AgentPod's log reports an internal error, see above" >&2; code=1; fi
exit $code
