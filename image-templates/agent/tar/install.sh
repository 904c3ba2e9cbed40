#!/bin/sh
# Installs the overlay's agent beside this script on this host; needs no network and no dpkg.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
list=/usr/lib/edge-overlay/installed-files

refuse() {
    echo "install.sh: $*. Nothing was changed." >&2
    exit 1
}

[ "$(id -u)" = 0 ] || refuse "this needs root: sudo $0"
/usr/bin/python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
    refuse "/usr/bin/python3 is missing or older than 3.11 (Ubuntu 22.04 has 3.10): use Debian 12, Ubuntu 24.04 or later"
for tool in systemctl ip nft; do
    command -v "$tool" >/dev/null 2>&1 || refuse "$tool is not installed (packages systemd, iproute2, nftables)"
done
if command -v dpkg-query >/dev/null 2>&1 && dpkg-query -W -f '${db:Status-Status}' edge-overlay 2>/dev/null | grep -qx installed; then
    refuse "the package edge-overlay is installed: use the .deb, or apt remove edge-overlay first"
fi

# What an older version had and this one hasn't goes away.
if [ -f "$list" ]; then
    while IFS= read -r path; do
        [ -e "$here/root$path" ] || [ -L "$here/root$path" ] || rm -f "$path"
    done <"$list"
fi
mkdir -p /usr/lib/edge-overlay
tar -C "$here/root" --owner=0 --group=0 -cf - . | tar -C / --no-overwrite-dir --keep-directory-symlink -xpf -
(cd "$here/root" && find . ! -type d | sed 's|^\.||' | sort) >"$list"
cp "$here/uninstall.sh" /usr/lib/edge-overlay/uninstall.sh
/usr/lib/edge-overlay/agent-setup install
echo "The agent is installed. Next: 'edge-overlay host check'. Away with it: /usr/lib/edge-overlay/uninstall.sh"
