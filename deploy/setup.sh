#!/usr/bin/env bash
# Prepares a Debian machine for AgentPod. What is already installed is left as it is.
#
#   deploy/setup.sh engine              Docker, installed and running
#   deploy/setup.sh postgres            PostgreSQL's server programs; no cluster is created or started
#   deploy/setup.sh tools               what images and tests need: debootstrap, Python with pip, npm, git, servers
#   deploy/setup.sh browser             what the dashboard's tests need: Chromium with its driver, and axe-core
#   deploy/setup.sh rust-libs           what compiling AgentPod needs besides Rust: a C compiler, OpenSSL's headers
#   deploy/setup.sh fuzz                what `make fuzz` needs in addition: a C++ compiler
#   deploy/setup.sh images [NAME...]    the named images: echo traefik openclaw open-webui (default: all)
#   deploy/setup.sh all                 everything above, except fuzz
#
# Several steps may be named at once; everything after `images` is a name. Stops at the first step that fails.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
dockerd_log=/var/log/agentpod-dockerd.log
export DEBIAN_FRONTEND=noninteractive

say() { echo "$step: $*"; }
die() { echo "$step: $*" >&2; exit 1; }
have() { command -v "$1" >/dev/null; }

# Commands that need root are run through as_root: empty for root itself, sudo for those who may use it.
as_root=()
may_be_root() {
  [ "$(id -u)" = 0 ] && return
  have sudo || return 1
  # without a terminal sudo cannot ask for a password
  [ -t 0 ] || sudo -n true 2>/dev/null || return 1
  as_root=(sudo)
}

# install PACKAGE...: quiet unless it fails.
updated=no
install() {
  have apt-get || die "the Debian packages $* are needed, and there is no apt-get here; install their equivalents by hand"
  may_be_root || die "installing packages needs root; run: apt-get install $*"
  say "installing $*…"
  if [ $updated = no ]; then
    apt_get update || say "apt-get update failed; continuing with the existing package lists"
    updated=yes
  fi
  apt_get install --yes --no-install-recommends "$@" || die "apt-get could not install $*"
}
apt_get() {
  local log code=0
  log=$(mktemp)
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq "$@" >"$log" 2>&1 || code=$?
  [ $code = 0 ] || tail -n 20 "$log" >&2
  rm -f "$log"
  return $code
}

# install_missing COMMAND:PACKAGE...: installs each package whose command is missing.
install_missing() {
  local pair missing=()
  for pair; do have "${pair%%:*}" || missing+=("${pair##*:}"); done
  [ ${#missing[@]} = 0 ] || install "${missing[@]}"
}

engine_answers() { docker version >/dev/null 2>&1 || { [ ${#as_root[@]} != 0 ] && "${as_root[@]}" docker version >/dev/null 2>&1; }; }

engine() {
  if engine_answers; then
    say "Docker $(docker version -f '{{.Server.Version}}') answers"
    return
  fi
  [ -z "${DOCKER_HOST:-}" ] || die "the Docker at DOCKER_HOST=$DOCKER_HOST does not answer"
  may_be_root || die "Docker does not answer; installing or starting it needs root. If it runs, you need to be in the group docker"
  have dockerd || install docker.io
  have docker || install docker-cli
  # some packages start it on install
  if ! engine_answers; then
    if [ -d /run/systemd/system ]; then
      "${as_root[@]}" systemctl enable --now docker >/dev/null 2>&1 || die "systemctl could not start docker; see: journalctl -u docker"
    else
      # without systemd the control groups may not be mounted
      if [ ! -e /sys/fs/cgroup/cgroup.controllers ] && [ ! -d /sys/fs/cgroup/memory ]; then
        have cgroupfs-mount || install cgroupfs-mount
        "${as_root[@]}" cgroupfs-mount 2>/dev/null || true
      fi
      "${as_root[@]}" setsid sh -c "exec dockerd >>$dockerd_log 2>&1 </dev/null" &
    fi
    for _ in $(seq 30); do
      engine_answers && break
      sleep 1
    done
    if ! engine_answers; then
      "${as_root[@]}" tail -n 5 $dockerd_log 2>/dev/null >&2 || true
      die "Docker was started but does not answer after 30 s; see $dockerd_log or: journalctl -u docker"
    fi
  fi
  docker version >/dev/null 2>&1 || say "Docker runs, but $(id -un) may not use it; run: sudo usermod -aG docker $(id -un), then log in again"
  say "Docker is installed and running"
}

postgres_programs() {
  local folder
  for folder in $(have initdb && dirname "$(command -v initdb)") /usr/lib/postgresql/*/bin; do
    if [ -x "$folder/initdb" ] && [ -x "$folder/postgres" ]; then echo "$folder"; return; fi
  done
  return 1
}

postgres() {
  if ! postgres_programs >/dev/null; then
    # Debian creates and starts a cluster on install unless this file, from postgresql-common, says no
    install postgresql-common
    "${as_root[@]}" sed -i 's/^#\? *create_main_cluster.*/create_main_cluster = false/' /etc/postgresql-common/createcluster.conf
    install postgresql
  fi
  local folder
  folder=$(postgres_programs) || die "PostgreSQL is installed, but there is no initdb in PATH or /usr/lib/postgresql/*/bin"
  say "$("$folder/postgres" --version), in $folder"
}

tools() {
  install_missing debootstrap:debootstrap python3:python3 npm:npm curl:curl git:git ssh-keygen:openssh-client openssl:openssl
  # only the program: with systemd, Debian starts the server on install unless this file exists
  if ! have sshd && ! [ -x /usr/sbin/sshd ]; then
    may_be_root && "${as_root[@]}" mkdir -p /etc/ssh && "${as_root[@]}" touch /etc/ssh/sshd_not_to_be_run
    install openssh-server
  fi
  # only the program: with systemd, Debian starts the pooler on install
  if ! [ -x /usr/sbin/pgbouncer ]; then
    install pgbouncer
    [ ! -d /run/systemd/system ] || "${as_root[@]}" systemctl disable --now pgbouncer >/dev/null 2>&1 || true
  fi
  # Python may be installed without these two parts, which are separate packages
  python3 -m pip --version >/dev/null 2>&1 || install python3-pip
  python3 -c 'import ensurepip' 2>/dev/null || install python3-venv
  have debootstrap || [ -x /usr/sbin/debootstrap ] || die "debootstrap was installed but cannot be found"
  say "debootstrap, $(python3 --version), npm $(npm --version)"
}

axe_version=4.14.1
browser() {
  install_missing chromium:chromium chromedriver:chromium-driver npm:npm
  local folder=$here/../target/browser
  if [ "$(cat "$folder/version" 2>/dev/null)" != $axe_version ]; then
    mkdir -p "$folder"
    (cd "$folder" && npm pack --silent "axe-core@$axe_version" >/dev/null && tar -xzf "axe-core-$axe_version.tgz" --strip-components=1 package/axe.min.js) ||
      die "axe-core $axe_version could not be downloaded with npm"
    echo $axe_version >"$folder/version"
  fi
  say "$(chromium --version 2>/dev/null | head -n 1), axe-core $axe_version"
}

rust-libs() {
  install_missing cc:gcc pkg-config:pkg-config
  [ -e /usr/include/stdlib.h ] || install libc6-dev
  pkg-config --exists openssl || install libssl-dev
  say "$(cc --version | head -n 1), OpenSSL $(pkg-config --modversion openssl)"
  if have cargo; then say "$(cargo --version)"; else say "Rust is not installed; install it with rustup (https://rustup.rs) and try again"; fi
}

fuzz() {
  rust-libs
  install_missing c++:g++
}

images() {
  local name failed=()
  for name; do
    [ -x "$here/images/$name/build.sh" ] || die "there is no image $name; there are: echo traefik openclaw open-webui"
  done
  # one after the other, since each keeps the disk and both cores busy
  for name; do "$here/images/$name/build.sh" || failed+=("$name"); done
  [ ${#failed[@]} = 0 ] || die "these images could not be built: ${failed[*]}"
}

usage() { sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "$0"; }

[ $# != 0 ] || { usage >&2; exit 2; }
PATH=$PATH:/usr/sbin:/sbin
while [ $# != 0 ]; do
  step=$1
  shift
  case $step in
    engine | postgres | tools | browser | rust-libs | fuzz) "$step" ;;
    images) [ $# != 0 ] || set -- echo traefik openclaw open-webui; images "$@"; exit ;;
    all) set -- engine postgres tools browser rust-libs images "$@" ;;
    -h | --help) usage; exit ;;
    *) usage >&2; exit 2 ;;
  esac
done
