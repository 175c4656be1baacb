#!/usr/bin/env bash
# The SQL statements in src/ are checked by the compiler against the descriptions in .sqlx, so that a build needs no
# database. This script writes those descriptions from migrations/, on a temporary PostgreSQL:
#
#   deploy/queries.sh          writes them to .sqlx; run it after changing a statement or a migration, and commit the result
#   deploy/queries.sh --check  fails if .sqlx is not what it would write
set -euo pipefail
cd "$(dirname "$0")/.."

bin=$(find /usr/lib/postgresql -mindepth 2 -maxdepth 2 -name bin 2>/dev/null | sort -V | tail -1 || true)
PATH=$PATH:$bin
command -v initdb >/dev/null || { echo "PostgreSQL's programs are not installed; run deploy/setup.sh postgres" >&2; exit 1; }
work=$(mktemp -d)
as_user=()
if [ "$(id -u)" = 0 ]; then # PostgreSQL does not run as root.
  chown nobody "$work"
  as_user=(setpriv --reuid=nobody --regid=nogroup --clear-groups)
fi
stop() {
  "${as_user[@]}" pg_ctl -D "$work/data" -m immediate stop >/dev/null 2>&1 || true
  rm -rf "$work"
}
trap stop EXIT

"${as_user[@]}" initdb -D "$work/data" -U agentpod -A trust -E UTF8 --locale=C --no-sync >"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }
"${as_user[@]}" pg_ctl -D "$work/data" -w -l "$work/data/server.log" -o "-k $work -c listen_addresses='' -c fsync=off" start >/dev/null
for file in migrations/*.sql; do
  psql -h "$work" -U agentpod -d postgres -q -v ON_ERROR_STOP=1 -f "$file"
done

described=$work/described
mkdir "$described"
chmod 755 "$work"
# The macros run, and write what they find, only when the crate is compiled.
touch src/lib.rs
DATABASE_URL="postgres://agentpod@localhost/postgres?host=$work" SQLX_OFFLINE=false SQLX_OFFLINE_DIR=$described \
  cargo check --quiet --lib

if [ "${1:-}" = --check ]; then
  diff -rq "$described" .sqlx >/dev/null ||
    { echo ".sqlx is out of date: it does not match the statements in src/ and the tables in migrations/; run make queries and commit .sqlx" >&2; exit 1; }
  echo ".sqlx describes all $(find .sqlx -name 'query-*.json' | wc -l) statements"
else
  rm -rf .sqlx
  cp -r "$described" .sqlx
  echo "wrote $(find .sqlx -name 'query-*.json' | wc -l) descriptions to .sqlx; commit them"
fi
