#!/usr/bin/env bash
# Makes agentpod/debian:bookworm, the Debian that the bigger images stand on: the official slim image where it can
# be pulled, else one made by debootstrap. Either way with curl, tini and CA certificates in it.
set -euo pipefail
cd "$(dirname "$0")"
# shellcheck source-path=SCRIPTDIR source=common.sh
source common.sh

IMAGE=$BASE
begin debian "$@"
unless_current base.sh

context=$SCRATCH/context
mkdir "$context"

if can_pull debian:bookworm-slim; then
  say "pulled debian:bookworm-slim"
  from=debian:bookworm-slim
else
  say "debian:bookworm-slim cannot be pulled; making one with debootstrap (about a minute)…"
  need debootstrap debootstrap
  [ "$(id -u)" = 0 ] || die "debootstrap needs root: run this one with sudo"
  root=$SCRATCH/root
  quietly debootstrap --variant=minbase bookworm "$root"
  # debootstrap knows the main archive only; a bookworm host also knows where its security updates are
  if grep -qs VERSION_CODENAME=bookworm /etc/os-release; then
    for sources in /etc/apt/sources.list /etc/apt/sources.list.d/debian.sources; do
      if grep -qs bookworm-security "$sources"; then
        : >"$root/etc/apt/sources.list"
        cp "$sources" "$root$sources"
      fi
    done
    quietly chroot "$root" sh -c 'apt-get update && apt-get upgrade --yes'
  fi
  rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/var/log/*.log
  rm -rf "$root"/usr/share/{doc,info,man,locale}/*
  from=$(tar -C "$root" -c . | docker import -)
fi

cat >"$context/Dockerfile" <<DOCKER
FROM $from
# documentation is left out of whatever is installed later, too
RUN printf 'path-exclude /usr/share/%s/*\n' doc info man locale >/etc/dpkg/dpkg.cfg.d/slim \\
 && apt-get update \\
 && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends ca-certificates curl tini \\
 && rm -rf /var/cache/apt/* /var/lib/apt/lists/*
ENV LANG=C.UTF-8
DOCKER
pack "$context"
