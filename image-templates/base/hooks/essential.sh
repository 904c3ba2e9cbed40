#!/bin/sh
# Runs when the essential packages are there and before the rest: $1 is the root file system.
set -eu

# Kernel and live-boot would each make an initramfs, and each later package again. One is enough,
# made at the end (customize.sh): it is more than half of the time otherwise.
chroot "$1" dpkg-divert --quiet --local --rename --add /usr/sbin/update-initramfs
ln -s /usr/bin/true "$1/usr/sbin/update-initramfs"

mkdir -p "$1/etc/initramfs-tools/conf.d"
cat > "$1/etc/initramfs-tools/conf.d/edge" <<'CONF'
# any hardware, and unpacked fast
MODULES=most
COMPRESS=zstd
COMPRESSLEVEL=6
CONF
