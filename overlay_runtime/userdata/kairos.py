"""Keys that Kairos's own agent acts on (Kairos's configuration reference, kairos-sdk's schema)."""

from __future__ import annotations

from dataclasses import replace

from overlay_runtime.userdata.kinds import (
    ANY_BLOCK,
    ANY_LIST,
    ANYTHING,
    FLAG,
    NUMBER,
    PAIRS,
    SECRET,
    TEXT,
    TEXTS,
    block,
    either,
)
from overlay_runtime.userdata.model import Block, By, Choice, Key, Kind, ListOf, MapOf

_WHO = By.KAIROS
_Row = tuple[str, Kind, str] | tuple[str, Kind, str, object]


def _open(what: str, *rows: _Row) -> Block:
    return replace(block(_WHO, what, *rows), open=True)


_PARTITION = _open(
    "a partition",
    ("name", TEXT, "Its name."),
    ("size", NUMBER, "MiB; 0: all that is left, for one of them.", 0),
    ("fs", TEXT, "Its file system; without it, it is not formatted."),
    ("label", TEXT, "The file system's label."),
)  # fmt: skip

_IMAGE = _open(
    "an image",
    ("size", NUMBER, "MiB."),
    ("source", TEXT, "Where it comes from."),
    ("uri", TEXT, "The same."),
)

_END: tuple[_Row, ...] = (
    ("reboot", FLAG, "To reboot afterwards.", False),
    ("poweroff", FLAG, "To power off afterwards.", False),
    ("grub-entry-name", TEXT, "Name of the boot entry.", "Kairos"),
    ("extra-dirs-rootfs", TEXTS, "Directories to make in the root file system."),
)  # fmt: skip

GRUB = _open(
    "the key `grub_options`",
    ("extra_cmdline", TEXT, "Further words for the kernel's command line."),
    ("extra_active_cmdline", TEXT, "The same, for the active image."),
    ("extra_passive_cmdline", TEXT, "The same, for the passive image."),
    ("extra_recovery_cmdline", TEXT, "The same, for the recovery image."),
    ("default_fallback", TEXT, "Entries to try one after the other."),
    ("default_menu_entry", TEXT, "Name of the boot entry."),
    ("next_entry", TEXT, "The entry of the next boot."),
    ("saved_entry", TEXT, "The entry that is booted."),
)  # fmt: skip

INSTALL = _open(
    "the key `install`",
    ("device", TEXT, "The disk, or `auto`.", "auto"),
    ("auto", FLAG, "To install without asking.", False),
    *_END,
    ("bind_mounts", TEXTS, "Directories that persist."),
    ("ephemeral_mounts", TEXTS, "Directories that can be written to and don't persist."),
    ("extra-partitions", ListOf(_PARTITION), "Further partitions."),
    ("partitions", MapOf(_PARTITION, "oem, recovery, state or persistent"), "Sizes and file "
     "systems of Kairos's own partitions."),
    ("grub_options", GRUB, "GRUB's variables."),
    ("env", either(TEXTS, PAIRS), "Environment of the installer."),
    ("bundles", ANY_LIST, "Bundles to install."),
    ("image", TEXT, "Another image to install."),
    ("source", TEXT, "Another image to install."),
    ("encrypted_partitions", TEXTS, "Partitions to encrypt."),
    ("eject-cd", FLAG, "To eject the medium.", False),
    ("no-format", FLAG, "Not to format.", False),
    ("force", FLAG, "To install over another one with `no-format`.", False),
    ("part-table", Choice(("gpt", "msdos")), "The partition table.", "gpt"),
    ("firmware", Choice(("efi", "bios")), "What to install for; found out without it."),
    ("nousers", FLAG, "To install although no user could log in as administrator.", False),
    ("system", _IMAGE, "The active image."),
    ("recovery-system", _IMAGE, "The recovery image."),
    ("passive", _IMAGE, "The passive image."),
    ("cloud-init", either(TEXT, TEXTS), "Further configuration."),
    ("skip_copy_kcrypt_plugin", FLAG, "Not to copy kcrypt's plugins.", False),
)  # fmt: skip

_K3S = _open(
    "a Kubernetes distribution",
    ("enabled", FLAG, "Whether it runs.", False),
    ("args", TEXTS, "Further arguments."),
    ("env", PAIRS, "Its environment."),
    ("replace_args", FLAG, "`args` instead of Kairos's own.", False),
    ("replace_env", FLAG, "`env` instead of Kairos's own.", False),
    ("embedded_registry", FLAG, "k3s's registry mirror.", False),
)  # fmt: skip

_P2P = _open(
    "the key `p2p`",
    ("role", TEXT, "master, worker or none."),
    ("network_id", TEXT, "Which of several clusters of a network it is."),
    ("network_token", SECRET, "The secret that all nodes share."),
    ("dns", FLAG, "EdgeVPN's DNS.", False),
    ("disable_dht", FLAG, "To find nodes in the local network alone.", True),
    ("vpn", ANY_BLOCK, "EdgeVPN: `create`, `use`, `env`."),
    ("auto", ANY_BLOCK, "Roles by themselves: `enable`, `ha`."),
    ("ha", ANY_BLOCK, "High availability (old)."),
    ("minimum_nodes", NUMBER, "Nodes to wait for."),
)  # fmt: skip

KEYS: tuple[Key, ...] = block(
    _WHO, "",
    ("install", INSTALL, "How Kairos installs itself."),
    ("reset", _open(
        "the key `reset`", *_END,
        ("reset-persistent", FLAG, "To format the persistent partition.", True),
        ("reset-oem", FLAG, "To format the OEM partition.", False),
        ("system", _IMAGE, "The image."),
    ), "What a reset does."),
    ("upgrade", _open(
        "the key `upgrade`", *_END,
        ("recovery", FLAG, "To upgrade the recovery image.", False),
        ("system", _IMAGE, "The active image."),
        ("recovery-system", _IMAGE, "The recovery image."),
    ), "What an upgrade does."),
    ("k3s", _K3S, "k3s's server."),
    ("k3s-agent", _K3S, "k3s's agent."),
    ("k0s", _K3S, "k0s's controller."),
    ("k0s-worker", _K3S, "k0s's worker."),
    ("cluster", ANYTHING, "For Kairos's Kubernetes provider: token, role, `env`."),
    ("kubevip", _open(
        "the key `kubevip`",
        ("enable", FLAG, "Whether it runs.", False),
        ("eip", TEXT, "The VIP."),
        ("interface", TEXT, "The NIC of the VIP: scbr-100 with an overlay."),
        ("manifest_url", TEXT, "Another manifest."),
        ("version", TEXT, "Its version."),
        ("args", TEXTS, "Further arguments."),
        ("env", ANYTHING, "Its environment."),
        ("static_pod", FLAG, "As a static pod.", False),
    ), "kube-vip."),
    ("p2p", _P2P, "Kairos's own overlay, EdgeVPN. Not needed with this one."),
    ("vpn", ANY_BLOCK, "EdgeVPN's environment (old)."),
    ("kairos", ANY_BLOCK, "The same as `p2p` (old)."),
    ("bundles", ANY_LIST, "Bundles to run at boot."),
    ("fail_on_bundles_errors", FLAG, "A bundle that fails ends the boot's stage.", False),
    ("grub_options", GRUB, "GRUB's variables."),
    ("cloud-init-paths", TEXTS, "Further directories with stages."),
    ("config_url", TEXT, "Where more configuration is fetched from."),
    ("options", ANYTHING, "Kept for old files."),
    ("env", either(TEXTS, PAIRS), "Environment of Kairos's agent."),
    ("kcrypt", ANY_BLOCK, "Encryption: `challenger`."),
    ("logs", _open("the key `logs`", ("journal", TEXTS, "Units."), ("files", TEXTS, "Files.")),
     "What `kairos-agent logs` collects."),
    ("debug", FLAG, "More to the log.", False),
    ("strict", FLAG, "To fail on configuration that is wrong.", False),
    ("state", ANYTHING, "Kept for old files."),
    ("auto", ANYTHING, "Kept for old files."),
    ("extra-partitions", ListOf(_PARTITION), "See `install`."),
    ("extra-dirs-rootfs", TEXTS, "See `install`."),
    ("eject-cd", FLAG, "To eject the medium.", False),
    ("bind-pcrs", TEXTS, "PCRs that seal encrypted partitions."),
    ("bind-public-pcrs", TEXTS, "The same, by policies."),
    ("cosign", FLAG, "To check images' signatures.", False),
    ("cosign-key", TEXT, "The key of the signatures."),
    ("verify", FLAG, "To check images' registries.", False),
    ("arch", TEXT, "The architecture."),
    ("platform", ANYTHING, "The platform."),
    ("squash-compression", TEXTS, "Options of mksquashfs."),
    ("squash-no-compression", FLAG, "Not to compress.", False),
    ("uki-max-entries", NUMBER, "Boot entries to keep."),
    ("fullcloudconfig", TEXT, "Set by Kairos."),
).keys  # fmt: skip
"""Every top-level key of Kairos."""
