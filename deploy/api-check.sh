#!/usr/bin/env bash
# Tries the API out against its own description: starts AgentPod on manifests of its own, without a container engine (its pods are
# then Unknown, which the API shows like anything else), and has schemathesis ask it whatever the description allows, and much
# that it does not. Ends with what schemathesis found; nothing of it stays but the Python environment in the cache.
#
#   deploy/api-check.sh [ARGS...]       ARGS go to `schemathesis run`, like --max-examples=500
#
# AGENTPOD_API_CHECK_PYTHON   where schemathesis is installed or is to be    [~/.cache/agentpod/schemathesis]
set -euo pipefail
cd "$(dirname "$0")/.."
python=${AGENTPOD_API_CHECK_PYTHON:-${XDG_CACHE_HOME:-$HOME/.cache}/agentpod/schemathesis}

deploy/setup.sh postgres tools
[ -x "$python/bin/schemathesis" ] || { python3 -m venv "$python" && "$python/bin/pip" --quiet install 'schemathesis>=4,<5'; }
cargo build --quiet --bin agentpod
program=$(cargo metadata --no-deps --format-version 1 | sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')/debug/agentpod

place=$(mktemp -d) daemon=
# PostgreSQL runs as another user, who must get in.
chmod 755 "$place"
# shellcheck disable=SC2317  # called by the trap
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
  kill -0 $daemon 2>/dev/null || { cat "$place/log" >&2; echo "api-check: AgentPod ended" >&2; exit 1; }
  if python3 - "$url/overview" 2>/dev/null <<<'import json, sys, urllib.request
answer = json.load(urllib.request.urlopen(sys.argv[1], timeout=5))
sys.exit(answer["pods"] == 0)'; then break; fi
  sleep 0.25
done

# Once with whatever names may stand in addresses, and once with those that are there.
printf '[parameters]\n"path.tenant" = "alice"\n"path.pod" = "assistant"\n' >"$place/named.toml"
check() { "$python/bin/schemathesis" "$@" --checks all --max-examples 60 --suppress-health-check all --no-color; }
code=0
check run "$url/openapi.json" "$@" || code=$?
check --config-file "$place/named.toml" run "$url/openapi.json" --include-path-regex '[{]tenant[}]' "$@" || code=$?
if grep -E 'panicked|internal error' "$place/log"; then echo "api-check: AgentPod's log says so" >&2; code=1; fi
exit $code
