#!/usr/bin/env bash
# Fuzzes the parsers of untrusted input, manifests, adapters and the webhook, for a limited time each. It runs on stable Rust with
# released crates and a C++ compiler: the compiler's coverage instrumentation and LLVM's libFuzzer. There is no sanitizer:
# it would need a nightly Rust, and finds nothing in code without `unsafe`.
#
#   deploy/fuzz.sh [TARGET...]          default: all
#   FUZZ_SECONDS=600 deploy/fuzz.sh     seconds per target, default 60
#
# New inputs are kept in fuzz/found. A crash ends the run and is kept in fuzz/crashes. To keep an input, move it to
# fuzz/corpus, which `make test` runs.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${FUZZ_SECONDS:-60}
[ $# != 0 ] || set -- manifest adapter webhook
command -v cargo >/dev/null || { echo "Rust is not installed; install it with rustup (https://rustup.rs) and try again" >&2; exit 1; }
deploy/setup.sh fuzz

# What every libFuzzer target needs: edge counters and traced comparisons. Naming the target explicitly keeps these flags
# away from build scripts.
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
