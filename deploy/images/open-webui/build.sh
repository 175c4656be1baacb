#!/usr/bin/env bash
# Builds agentpod/open-webui:0.12.4, the real Open WebUI in its slim set-up (no local models), from Debian and Python
# packages: for machines that cannot pull the official image.
set -euo pipefail
cd "$(dirname "$0")"
# shellcheck source-path=SCRIPTDIR source=../common.sh
source ../common.sh

VERSION=0.12.4
IMAGE=agentpod/open-webui:$VERSION
begin open-webui "$@"
unless_current build.sh Dockerfile ../base.sh
base

# Compiled packages fit one Python version only: bookworm's, which is the one in the image.
for python in /usr/bin/python3.11 python3.11 ''; do
  [ -z "$python" ] && die "python3.11 with pip is missing; Debian 12 has it in the packages python3 and python3-pip"
  "$python" -m pip --version >/dev/null 2>&1 && break
done
packages() { quietly "$python" -m pip install --quiet --no-compile --only-binary :all: --target "$@"; }

# The slim list of what it needs is a file inside its own package.
itself() {
  packages "$1" --no-deps "open-webui==$VERSION"
  rm -rf "${1:?}"/{bin,data}
}
needed() {
  packages "$1" --requirement "$CACHE/open-webui-$VERSION/requirements-slim.txt"
  rm -rf "${1:?}/bin"
}
say "getting Open WebUI $VERSION (100 MB unless cached)…"
cached "open-webui-$VERSION" itself
say "installing the Python packages it needs (about a minute unless cached)…"
cached "open-webui-$VERSION-packages" needed

say "packing…"
context=$SCRATCH/context
mkdir "$context"
# hard links: the cache and the scratch folder are on one disk
cp -al "$CACHE/open-webui-$VERSION" "$context/itself"
cp -al "$CACHE/open-webui-$VERSION-packages" "$context/packages"
cp Dockerfile "$context/"
pack "$context"
