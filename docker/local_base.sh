#!/usr/bin/env bash
# Make a base image where none can be pulled: docker/local_base.sh NAME [MIRROR]
#
# Debian bookworm with its Python 3.11, from debootstrap's own mirror or MIRROR. Nothing of this machine is in it.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/tools.sh"

name=${1:-}
[ -n "$name" ] || complain "name the image to make"
need debootstrap podman
[ "$(id -u)" = 0 ] || complain "debootstrap needs root"

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates bookworm "$root" ${2:+"$2"} \
  >"$root.log" 2>&1 || complain "debootstrap failed: $(tail -1 "$root.log"); all it said: $root.log"
rm -rf "$root.log" "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/* "$root"/var/log/*
# debootstrap copies these two from the machine it runs on.
: >"$root/etc/resolv.conf"
: >"$root/etc/hostname"
tar --directory "$root" --create . | podman import --quiet - "$name"
