#!/bin/sh
# Puts the edge layer into the image that kairos-init is making. kairos-init goes on when a command
# fails: so this says loudly what is wrong, and leaves nothing half installed that could start.
set -eu
here=$(cd "$(dirname "$0")" && pwd)

if [ ! -e /usr/lib/systemd/systemd ] && [ ! -e /lib/systemd/systemd ]; then
    echo "edge-overlay: ERROR: this image has no systemd; the overlay is not installed. For OpenRC" \
        "derive from the finished image instead: edge-build image --base IMAGE" >&2
    exit 1
fi
for python in /usr/bin/python3 /usr/bin/python3.1[1-9]; do
    [ -x "$python" ] && "$python" -c 'import sys, asyncio; sys.exit(sys.version_info < (3, 11))' \
        2>/dev/null && found=$python && break
done
if [ -z "${found-}" ]; then
    echo "edge-overlay: ERROR: this image has no Python 3.11 or newer; the overlay is not installed" >&2
    exit 1
fi

(umask 022 && tar -xzpf "$here/edge-overlay.tar.gz" -C /)
sed -i "1s|^#!/usr/bin/python3 |#!$found |" /usr/bin/edge-overlay
/usr/bin/edge-overlay --version
# It holds the user-data with the secret; in the image that lies readable for root alone.
rm -f "$here/edge-overlay.tar.gz" 2>/dev/null || true
