#!/usr/bin/env bash
# Fuzzes what strangers' bytes reach: manifests, and the webhook. A bounded time each, on stable Rust, with what
# released crates and a C++ compiler give: the compiler's coverage marks and LLVM's libFuzzer, without a sanitizer, which
# would need a nightly Rust and finds nothing in code without `unsafe`.
#
#   deploy/fuzz.sh [TARGET...]          default: all
#   FUZZ_SECONDS=600 deploy/fuzz.sh     how long each, default 60
#
# What it finds to be new stays in fuzz/found; a crash stops it and stands in fuzz/crashes. To keep something: put it
# into fuzz/corpus, which `make test` goes through.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${FUZZ_SECONDS:-60}
[ $# != 0 ] || set -- manifest webhook
command -v cargo >/dev/null || { echo "Rust is missing: install it with rustup (https://rustup.rs), then come back" >&2; exit 1; }
deploy/setup.sh fuzz

# As for every target of libFuzzer: count edges, and tell what is compared with what. Naming the machine's own target
# keeps these flags away from build scripts.
host=$(rustc -vV | sed -n 's/^host: //p')
export RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Ccodegen-units=1 -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares"
cargo build --release --manifest-path fuzz/Cargo.toml --target "$host"

for target; do
  mkdir -p "fuzz/found/$target" "fuzz/crashes/$target"
  echo "fuzzing $target for $seconds s…"
  "fuzz/target/$host/release/$target" "fuzz/found/$target" "fuzz/corpus/$target" \
    -max_total_time="$seconds" -max_len=8192 -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
    -artifact_prefix="fuzz/crashes/$target/" 2>&1 | grep -vE '^#[0-9]+.*(NEW|REDUCE|RELOAD)'
done
