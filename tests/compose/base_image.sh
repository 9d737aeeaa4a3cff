#!/usr/bin/env bash
# Makes a Debian base image without a registry of images: debootstrap from this machine's own package mirror, with its
# apt, pip and certificate settings, so that builds inside reach what this machine reaches. Usage: base_image.sh NAME
set -euo pipefail
name="$1"
root="$(mktemp -d)"
trap 'rm -rf "$root"' EXIT
mirror="$(sed -n 's/^URIs: *//p' /etc/apt/sources.list.d/debian.sources 2>/dev/null | head -1)"
debootstrap --variant=minbase --include=ca-certificates bookworm "$root/fs" "${mirror:-http://deb.debian.org/debian}" >&2
# As slim as the image that it stands for.
rm -rf "$root"/fs/etc/apt/sources.list "$root"/fs/var/{cache/apt,lib/apt/lists}/* "$root"/fs/usr/share/{doc,man,locale}/*
printf 'path-exclude /usr/share/%s/*\n' doc man locale >"$root/fs/etc/dpkg/dpkg.cfg.d/slim"
cp -a /etc/apt/sources.list.d/debian.sources "$root/fs/etc/apt/sources.list.d/" 2>/dev/null ||
  cp -a /etc/apt/sources.list "$root/fs/etc/apt/sources.list"
cp -a /usr/local/share/ca-certificates "$root/fs/usr/local/share/"
chroot "$root/fs" update-ca-certificates >&2
[[ -f /etc/pip.conf ]] && cp /etc/pip.conf "$root/fs/etc/pip.conf"
tar -C "$root/fs" -c . | docker import --change 'ENV PIP_CERT=/etc/ssl/certs/ca-certificates.crt' - "$name" >&2
