#!/usr/bin/env bash
# Runs a command that needs Docker: deploy/with-docker.sh COMMAND...
#
# If only root and the group docker may use Docker, and sudo works, the command runs as the same user with that group
# added for this one run. Group membership is not changed, because whoever may use Docker can become root.
set -euo pipefail
[ $# != 0 ] || { sed -n '2,5s/^# \{0,1\}//p' "$0" >&2; exit 2; }
die() { echo "docker: $*" >&2; exit 1; }

if docker version >/dev/null 2>&1; then exec "$@"; fi
command -v docker >/dev/null || die "it is not installed; run: deploy/setup.sh engine"
[ -z "${DOCKER_HOST:-}" ] || die "the Docker at DOCKER_HOST=$DOCKER_HOST does not answer"
[ "$(id -u)" != 0 ] || die "it does not answer; to start it, run: deploy/setup.sh engine"
group=$(getent group docker | cut -d: -f3)
if [ -z "$group" ] || ! command -v sudo >/dev/null || ! sudo docker version >/dev/null 2>&1; then
  die "it does not answer to $(id -un). If it is running: sudo usermod -aG docker $(id -un), then log in again"
fi
groups=$(id -G | tr ' ' ,),$group
exec sudo --preserve-env setpriv --reuid "$(id -u)" --regid "$(id -g)" --groups "$groups" \
  env "PATH=$PATH" "HOME=$HOME" "$@"
