#!/bin/sh
# Runs when all packages are there: $1 is the root file system. What Kairos's own tools would leave.
set -eu
root=$1

echo 'add_dracutmodules+=" dmsquash-live "' >> "$root/etc/dracut.conf.d/99-immucore.conf"
kernel=$(basename "$root"/boot/vmlinuz-*)
version=${kernel#vmlinuz-}
chroot "$root" dracut --force --no-hostonly "/boot/initrd-$version" "$version"
rm -f "$root"/boot/initrd.img-* "$root"/boot/config-* "$root"/boot/System.map-* \
    "$root"/vmlinuz* "$root"/initrd.img*
ln -s "vmlinuz-$version" "$root/boot/vmlinuz"
ln -s "initrd-$version" "$root/boot/initrd"

cat > "$root/etc/kairos-release" <<'RELEASE'
KAIROS_NAME="kairos-core-debian-13"
KAIROS_VERSION="v0.0.0-edge-build-miniature"
KAIROS_ARCH="amd64"
KAIROS_TARGETARCH="amd64"
KAIROS_FLAVOR="debian"
KAIROS_FLAVOR_RELEASE="13"
KAIROS_FAMILY="debian"
KAIROS_MODEL="generic"
KAIROS_VARIANT="core"
RELEASE
mkdir -p "$root/system/oem" "$root/oem" "$root/etc/cos"
cat > "$root/etc/systemd/network/20-dhcp.network" <<'NETWORK'
[Match]
Name=en*

[Network]
DHCP=yes

[DHCPv4]
ClientIdentifier=mac
NETWORK
chroot "$root" systemctl --quiet enable systemd-networkd.service systemd-resolved.service ssh.service
: > "$root/etc/machine-id"
rm -f "$root/etc/hostname" "$root/var/lib/dbus/machine-id"
rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/*.bin "$root"/var/log/*.log "$root/var/log/apt"
