# shellcheck shell=bash
# Sourced by every image's build.sh: arguments, progress lines, caches, and the recipe label that tells
# whether an image is up to date. What goes into an image is in its own build.sh.
#
# A build.sh sets IMAGE (name:tag) and then calls `begin NAME "$@"` and `unless_current FILE-OR-TEXT...`.

export DOCKER_BUILDKIT=0 DOCKER_CLI_HINTS=false          # the classic builder: needs no plugin
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore

IMAGES_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck disable=SC2034  # used by base.sh
BASE=agentpod/debian:bookworm
if [ "$(id -u)" = 0 ]; then default_cache=/var/cache/agentpod; else default_cache=${XDG_CACHE_HOME:-$HOME/.cache}/agentpod; fi
CACHE=${AGENTPOD_CACHE:-$default_cache}
PULL_SECONDS=${AGENTPOD_PULL_SECONDS:-60}

say() { echo "$name image: $*"; }
die() { echo "$name image: $*" >&2; exit 1; }

# begin NAME ARGUMENTS...: parses --force and --help, creates the cache folder and a scratch folder that is
# removed on exit.
begin() {
  name=$1 force=no began=$SECONDS
  shift
  for argument; do
    case $argument in
      --force) force=yes ;;
      -h | --help) echo "usage: $0 [--force]   builds $IMAGE unless it exists and is up to date"; exit 0 ;;
      *) echo "usage: $0 [--force]" >&2; exit 2 ;;
    esac
  done
  command -v docker >/dev/null || die "Docker is not installed; run: deploy/setup.sh engine"
  docker version >/dev/null 2>&1 || die "Docker does not answer; run: deploy/setup.sh engine"
  mkdir -p "$CACHE" || die "$CACHE cannot be created; set AGENTPOD_CACHE to a folder you can write to"
  SCRATCH=$(mktemp -d "$CACHE/$name.XXXXXX")
  trap 'rm -rf "$SCRATCH"' EXIT
  trap 'exit 130' INT TERM
}

# need COMMAND PACKAGE: names the Debian package if the command is missing.
need() { command -v "$1" >/dev/null || die "$1 is not installed; it is in the Debian package $2. Or run: deploy/setup.sh tools"; }

# unless_current FILE-OR-TEXT...: sets RECIPE to a hash of the files' contents (and of texts such as versions),
# and ends the script if the image was built from exactly that recipe.
unless_current() {
  local part
  RECIPE=$(for part; do if [ -f "$part" ]; then sha256sum <"$part"; else echo "$part"; fi; done | sha256sum | cut -d' ' -f1)
  if [ "$force" = no ] && [ "$(label_of "$IMAGE")" = "$RECIPE" ]; then
    say "$IMAGE is up to date (--force builds it again)"
    exit 0
  fi
}

# label_of IMAGE: the recipe it was built from, or nothing.
label_of() { docker image inspect -f '{{index .Config.Labels "agentpod.recipe"}}' "$1" 2>/dev/null || true; }

# quietly COMMAND...: shows the output only if the command fails.
quietly() {
  if ! "$@" >"$SCRATCH/log" 2>&1; then
    tail -n 40 "$SCRATCH/log" >&2
    die "this command failed: $*"
  fi
}

# can_pull IMAGE: pulls it, within PULL_SECONDS; 0 turns pulling off.
can_pull() { [ "$PULL_SECONDS" != 0 ] && timeout "$PULL_SECONDS" docker pull -q "$1" >/dev/null 2>&1; }

# base: makes sure that the Debian base image exists.
base() { "$IMAGES_DIR/base.sh"; }

# pack FOLDER: docker build with the recipe label; apt needs the host's network.
pack() {
  local old
  old=$(docker image inspect -f '{{.Id}}' "$IMAGE" 2>/dev/null || true)
  quietly docker build --network host --label "agentpod.recipe=$RECIPE" -t "$IMAGE" "$1"
  # remove the image that lost its last name, unless a container uses it
  if [ "$(docker image inspect -f '{{len .RepoTags}}' "$old" 2>/dev/null)" = 0 ]; then
    docker image rm "$old" >/dev/null 2>&1 || true
  fi
  say "$IMAGE is ready: $(docker image inspect -f '{{.Size}}' "$IMAGE" | numfmt --to=si)B, $((SECONDS - began)) s"
}

# cached FOLDER COMMAND...: runs the command with a new folder as its last argument, and keeps that folder as
# $CACHE/FOLDER if it succeeded. Does nothing if the folder exists. An interrupted run leaves nothing half-done.
cached() {
  local folder=$CACHE/$1
  shift
  [ -d "$folder" ] && return
  mkdir -p "$SCRATCH/new" "$(dirname "$folder")"
  "$@" "$SCRATCH/new"
  # another run may have been faster
  mv -T "$SCRATCH/new" "$folder" 2>/dev/null || rm -rf "$SCRATCH/new"
}
