#!/usr/bin/env bash
# Takes pictures of every page with its sample, light and dark: docs/pictures/PAGE-light.png and PAGE-dark.png.
set -euo pipefail
cd "$(dirname "$0")/.."

pages=${*:-overview pods pod logs new-pod tenants tenant adapters source settings sign-in}
command -v chromium >/dev/null || { echo "chromium is not installed; run: apt-get install chromium" >&2; exit 1; }
command -v pngquant >/dev/null || { echo "pngquant is not installed; run: apt-get install pngquant" >&2; exit 1; }

cargo build --quiet --example samples
work=$(mktemp -d)
coproc SAMPLES { exec "${CARGO_TARGET_DIR:-target}/debug/examples/samples"; }
# shellcheck disable=SC1083  # the braces name the descriptor that is closed
trap 'exec {SAMPLES[1]}>&- 2>/dev/null || true; rm -rf "$work"' EXIT
read -r address <&"${SAMPLES[0]}"

# The same font on every machine that has it, whatever the desktop uses.
cat >"$work/fonts.conf" <<XML
<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig><dir>/usr/share/fonts</dir><cachedir>$work/fonts</cachedir>
<match target="pattern"><test name="family"><string>system-ui</string></test>
<edit name="family" mode="assign" binding="strong"><string>Inter</string></edit></match></fontconfig>
XML

mkdir -p docs/pictures
for page in $pages; do
  for theme in light dark; do
    scheme=$([ "$theme" = dark ] && echo 0 || echo 1)
    FONTCONFIG_FILE=$work/fonts.conf timeout 60 chromium --headless --no-sandbox --disable-gpu --disable-quic --no-first-run \
      --disable-background-networking --disable-component-update --disable-sync --hide-scrollbars \
      --user-data-dir="$work/profile" --blink-settings=preferredColorScheme="$scheme" --window-size=1280,800 \
      --virtual-time-budget=1500 --screenshot="$work/picture.png" "$address/$page" >"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }
    pngquant --force --speed 1 --quality 60-95 --output "docs/pictures/$page-$theme.png" "$work/picture.png"
  done
done
ls -s --block-size=K docs/pictures
