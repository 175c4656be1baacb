#!/usr/bin/env bash
# Builds agentpod/echo:1, AgentPod's own demo and test agent, as a static binary in an empty image (about 4 MB).
set -euo pipefail
cd "$(dirname "$0")"
# shellcheck source-path=SCRIPTDIR source=../common.sh
source ../common.sh

IMAGE=agentpod/echo:1
begin echo "$@"
# Cargo.lock is left out on purpose: it moves with the whole workspace.
unless_current build.sh Dockerfile Cargo.toml src/*
command -v cargo >/dev/null || die "cargo is missing; install Rust with rustup"

say "compiling (under a minute the first time)…"
workspace=$(cd ../../.. && pwd)
target=$(rustc -vV | sed -n 's/^host: //p')
case $target in *-linux-*) ;; *) die "cannot compile for Linux on $target" ;; esac
# Naming the target keeps crt-static away from build scripts and proc macros, which cannot be static.
(
  cd "$workspace"
  RUSTFLAGS="-C target-feature=+crt-static" CARGO_TARGET_DIR="$workspace/target/echo" \
    quietly cargo build --package agentpod-echo --release --target "$target"
)

root=$SCRATCH/root
mkdir -p "$root"/{config,data,tmp}
chmod 1777 "$root/tmp"
cp "$workspace/target/echo/$target/release/agentpod-echo" "$root/echo"
cp Dockerfile "$SCRATCH/"
pack "$SCRATCH"
