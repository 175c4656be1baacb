#!/usr/bin/env bash
# Runs every test, on a machine that may have nothing but Rust: installs and starts what is missing (Docker, PostgreSQL's
# programs, build tools), builds the images once, runs the tests and prints a summary. Arguments are passed to `cargo test`.
#
# Nothing is skipped: the tests use the real engine and real databases. Test programs run one after the other, since
# several of them keep the engine busy.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ "${1:-}" != --with-docker ]; then
  command -v cargo >/dev/null || { echo "Rust is not installed; install it with rustup (https://rustup.rs) and try again" >&2; exit 1; }
  deploy/setup.sh rust-libs engine postgres tools browser
  exec deploy/with-docker.sh "$0" --with-docker "$@"
fi
shift
deploy/setup.sh images

# More than eight threads only make the engine slower.
threads=$(nproc)
export RUST_TEST_THREADS=${RUST_TEST_THREADS:-$((threads < 8 ? threads : 8))}
log=$(mktemp)
trap 'rm -f "$log"' EXIT
began=$SECONDS code=0
cargo test --workspace --no-fail-fast "$@" 2>&1 | tee "$log" || code=$?

echo
awk -v seconds=$((SECONDS - began)) '
  /^test result:/ { programs++; passed += $4; failed += $6; ignored += $8 }
  /^test .* FAILED$/ { print "failed: " $2 }
  END { printf "%d passed, %d failed, %d ignored, in %d test programs, %d s\n", passed, failed, ignored, programs, seconds }
' "$log"
exit $code
