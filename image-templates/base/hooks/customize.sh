#!/bin/sh
# Runs when all packages are there: $1 is the root file system. What it puts into /boot/edge
# leaves the root file system again and becomes the boot files of ISO and disk images.
set -eu
root=$1

rm "$root/usr/sbin/update-initramfs"
chroot "$root" dpkg-divert --quiet --local --rename --remove /usr/sbin/update-initramfs
chroot "$root" update-initramfs -c -k all

mkdir -p "$root/boot/edge"
mv "$root"/boot/vmlinuz-* "$root/boot/edge/vmlinuz"
mv "$root"/boot/initrd.img-* "$root/boot/edge/initrd.img"

# BIOS: El Torito image and MBR code of the same GRUB that the base has.
cat > "$root/boot/edge/early.cfg" <<'CFG'
search --no-floppy --set=root --file /.disk/info
set prefix=($root)/boot/grub
CFG
chroot "$root" grub-mkimage -O i386-pc-eltorito -p /boot/grub -c /boot/edge/early.cfg \
    -o /boot/edge/eltorito.img \
    biosdisk iso9660 part_gpt part_msdos fat ext2 search search_fs_file search_label \
    normal configfile linux echo test sleep serial terminal all_video gzio zstd reboot halt minicmd ls cat
rm "$root/boot/edge/early.cfg"
cp "$root/usr/lib/grub/i386-pc/boot_hybrid.img" "$root/boot/edge/"
# UEFI: Debian's signed chain, shim -> GRUB -> kernel.
cp "$root/usr/lib/shim/shimx64.efi.signed" "$root/boot/edge/bootx64.efi"
cp "$root/usr/lib/shim/mmx64.efi.signed" "$root/boot/edge/mmx64.efi"
cp "$root/usr/lib/grub/x86_64-efi-signed/gcdx64.efi.signed" "$root/boot/edge/grubx64.efi"
chroot "$root" dpkg-query -W -f '${Package}\t${Version}\t${Architecture}\n' > "$root/boot/edge/packages.tsv"

chroot "$root" systemctl --quiet enable systemd-networkd.service systemd-resolved.service ssh.service

# Every host makes its own identity and keys at its first boot.
: > "$root/etc/machine-id"
rm -f "$root"/etc/ssh/ssh_host_*_key* "$root/var/lib/dbus/machine-id" "$root/etc/hostname" \
    "$root/var/lib/systemd/random-seed"

# No use on the host, or a leak of the building machine.
rm -rf "$root"/var/cache/apt/*.bin "$root"/var/lib/apt/lists/* "$root"/var/cache/debconf/*-old \
    "$root"/var/lib/dpkg/*-old "$root"/var/log/*.log "$root"/var/log/apt "$root"/etc/resolv.conf
