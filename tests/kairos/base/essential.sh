#!/bin/sh
# Runs when the essential packages are there: $1 is the root file system.
set -eu

# Not the real one: its name in the initrd is what a builder can look for.
printf '#!/bin/sh\necho "immucore: a stand-in of edge-build'"'"'s tests"\n' > "$1/usr/bin/immucore"
chmod 0755 "$1/usr/bin/immucore"

mkdir -p "$1/etc/dracut.conf.d"
cat > "$1/etc/dracut.conf.d/99-immucore.conf" <<'CONF'
hostonly="no"
hostonly_cmdline="no"
compress="zstd"
early_microcode="no"
install_items+=" /usr/bin/immucore "
CONF
