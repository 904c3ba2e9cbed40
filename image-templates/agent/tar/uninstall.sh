#!/bin/sh
# Removes what install.sh installed. /etc/edge-overlay and /var/lib/edge-overlay stay.
set -eu
list=/usr/lib/edge-overlay/installed-files
[ "$(id -u)" = 0 ] || { echo "uninstall.sh: this needs root" >&2; exit 1; }
[ -f "$list" ] || { echo "uninstall.sh: install.sh has not been run here" >&2; exit 1; }
/usr/lib/edge-overlay/agent-setup remove
while IFS= read -r path; do
    rm -f "$path"
    # Directories that are empty now were ours alone.
    rmdir --ignore-fail-on-non-empty --parents "$(dirname "$path")" 2>/dev/null || true
done <"$list"
rm -f "$list" /usr/lib/edge-overlay/uninstall.sh
rm -rf /usr/lib/edge-overlay
systemctl daemon-reload 2>/dev/null || true
