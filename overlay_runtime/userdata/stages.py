"""The stages, and the keys of their steps (mudler/yip v1.24, `pkg/schema/schema.go`).

Keys stand in the order in which a step's parts are carried out; conditions come first.
"""

from __future__ import annotations

from overlay_runtime.userdata.kinds import (
    FLAG,
    NUMBER,
    PAIRS,
    PATH,
    REGEX,
    SECRET,
    TEMPLATE,
    TEXT,
    TEXTS,
    URL,
    block,
)
from overlay_runtime.userdata.model import Block, By, Choice, FileMode, Key, ListOf, MapOf

_BOOT = ("rootfs", "initramfs", "fs", "boot", "network", "reconcile")
_WORK = ("install", "upgrade", "reset")

BOOT_STAGES: tuple[str, ...] = tuple(
    f"{name}{part}" for name in _BOOT for part in (".before", "", ".after")
)
"""The stages of a boot, in their order; `reconcile` comes again every hour."""

STAGES: tuple[str, ...] = (
    *BOOT_STAGES,
    *(
        f"{when}-{work}{chroot}{part}"
        for work in _WORK
        for when in ("before", "after")
        for chroot in (("",) if when == "before" else ("-chroot", ""))
        for part in (".before", "", ".after")
    ),
    "kairos-install.pre.before", "kairos-install.pre", "kairos-install.pre.after",
    "kairos-install.after.before", "kairos-install.after", "kairos-install.after.after",
    "kairos-uki-install.pre", "kairos-uki-install.after",
    "kairos-uki-upgrade.pre", "kairos-uki-upgrade.after",
    "kairos-uki-reset.pre", "kairos-uki-reset.after",
    "provider-install.before", "provider-install.after",
)  # fmt: skip
"""Every stage that Kairos's own programs or ours run."""

BEFORE_NETWORK = frozenset(
    f"{name}{part}" for name in _BOOT[:4] for part in (".before", "", ".after")
)
"""Stages in which no NIC has an address for certain."""

_OWNER = (
    ("owner", NUMBER, "The owner's user ID.", 0),
    ("group", NUMBER, "The group's ID.", 0),
    ("ownerstring", TEXT, "Owner by name: `user` or `user:group`; wins over the two IDs."),
)
_MODE = "Permissions in octal. Without them Kairos makes a file that nobody but root can use: 0000."

FILE = block(
    By.EDGE, "a file",
    ("path", PATH, "Where to write; missing parents are made."),
    ("permissions", FileMode(), _MODE),
    *_OWNER,
    ("content", TEMPLATE, "What to write, a Go template."),
    ("encoding", Choice(("", "b64", "base64", "gz", "gzip", "gz+base64", "gzip+base64", "gz+b64",
                         "gzip+b64")), "How `content` is encoded."),
)  # fmt: skip

DIRECTORY = block(
    By.EDGE, "a directory",
    ("path", PATH, "Where to make it, with its parents."),
    ("permissions", FileMode(), _MODE),
    *_OWNER[:2],
)  # fmt: skip

DOWNLOAD = block(
    By.EDGE, "a download",
    ("path", PATH, "Where to write; a name that ends with / is a directory."),
    ("url", URL, "What to fetch."),
    ("permissions", FileMode(), _MODE),
    *_OWNER,
    ("timeout", NUMBER, "Seconds; 0: none.", 0),
)  # fmt: skip

_AUTH = block(
    By.EDGE, "the key `auth`",
    ("username", TEXT, "User name for HTTP, or for SSH instead of `git`."),
    ("password", SECRET, "Password for HTTP."),
    ("private_key", SECRET, "Private key for SSH, as text."),
    ("public_key", TEXT, "The server's key for SSH."),
    ("insecure", FLAG, "Not to check the server's certificate or key.", False),
)  # fmt: skip

GIT = block(
    By.EDGE, "the key `git`",
    ("url", TEXT, "The repository; it is cloned, or updated if it is there."),
    ("path", PATH, "Where to."),
    ("branch", TEXT, "A branch, or when updating a commit.", "master"),
    ("branch_only", FLAG, "To fetch that branch alone.", False),
    ("auth", _AUTH, "How to log in."),
)  # fmt: skip

_ENTITY = block(
    By.EDGE, "an entity",
    ("path", PATH, "The file: /etc/passwd, /etc/shadow, /etc/group or /etc/gshadow."),
    ("entity", TEMPLATE, "The entry as YAML: `kind: user`, `username: …`."),
)  # fmt: skip

STEP_USER = block(
    By.EDGE, "a user",
    ("name", TEXT, "Not used: the key is the user's name."),
    ("passwd", SECRET, "Password, hashed (crypt(5)) or plain."),
    ("ssh_authorized_keys", TEXTS, "Public keys, or github:NAME, gitlab:NAME, or a URL of such."),
    ("gecos", TEXT, "Full name."),
    ("homedir", PATH, "Home directory.", "/home/NAME"),
    ("no_create_home", FLAG, "Not to make the home directory.", False),
    ("primary_group", TEXT, "Primary group, which must be there; else one of the user's name."),
    ("groups", TEXTS, "Further groups, which must be there."),
    ("no_user_group", FLAG, "Accepted, does nothing (as in Kairos).", False),
    ("system", FLAG, "Accepted, does nothing (as in Kairos).", False),
    ("no_log_init", FLAG, "Accepted, does nothing (as in Kairos).", False),
    ("shell", TEXT, "Login shell; else that of /etc/default/useradd, else /bin/sh."),
    ("lock_passwd", FLAG, "No login by password.", False),
    ("uid", TEXT, "User ID; else the next that is free."),
)  # fmt: skip

_OVERRIDE = block(
    By.EDGE, "an override",
    ("service", TEXT, "The unit; `.service` is added where it is missing."),
    ("name", TEXT, "The drop-in's name.", "override-yip.conf"),
    ("content", TEXT, "The drop-in."),
)  # fmt: skip

SYSTEMCTL = block(
    By.EDGE, "the key `systemctl`",
    ("enable", TEXTS, "Units to enable."),
    ("disable", TEXTS, "Units to disable."),
    ("mask", TEXTS, "Units to mask."),
    ("start", TEXTS, "Units to start."),
    ("overrides", ListOf(_OVERRIDE), "Drop-ins under /etc/systemd/system."),
)  # fmt: skip

DNS = block(
    By.EDGE, "the key `dns`",
    ("nameservers", TEXTS, "Name servers. Without any the key does nothing."),
    ("search", TEXTS, "Search domains."),
    ("options", TEXTS, "Options of resolv.conf(5)."),
    ("path", PATH, "The file to write.", "/etc/resolv.conf"),
)  # fmt: skip

DATASOURCE = block(
    By.KAIROS, "the key `datasource`",
    ("providers", TEXTS, "Clouds, or `cdrom`, `file`."),
    ("path", PATH, "The file of the provider `file`."),
    ("userdata_name", TEXT, "The name to store it by."),
)  # fmt: skip

_PARTITION = block(
    By.KAIROS, "a partition",
    ("fsLabel", TEXT, "Label of the file system."),
    ("size", NUMBER, "MiB; 0: all that is free.", 0),
    ("pLabel", TEXT, "Label of the partition."),
    ("filesystem", TEXT, "ext4 and so on."),
    ("bootable", FLAG, "Whether it is bootable.", False),
)  # fmt: skip

LAYOUT = block(
    By.KAIROS, "the key `layout`",
    ("device", block(
        By.KAIROS, "the key `device`",
        ("init_disk", FLAG, "To make a new partition table.", False),
        ("disk_name", TEXT, "Name of the new table."),
        ("label", TEXT, "The disk by a file system's label."),
        ("path", TEXT, "The disk by its device, or script://…"),
    ), "The disk."),
    ("expand_partition", block(
        By.KAIROS, "the key `expand_partition`", ("size", NUMBER, "MiB; 0: all.", 0),
    ), "Grow the last partition."),
    ("add_partitions", ListOf(_PARTITION), "Partitions to add."),
)  # fmt: skip

PACKAGES = block(
    By.EDGE, "the key `packages`",
    ("install", TEXTS, "Packages to install."),
    ("remove", TEXTS, "Packages to remove."),
    ("refresh", FLAG, "To update the lists first.", False),
    ("upgrade", FLAG, "To upgrade what is installed.", False),
)  # fmt: skip

_UNPACK = block(
    By.KAIROS, "an image",
    ("source", TEXT, "The container image."),
    ("target", PATH, "Where to unpack it."),
    ("platform", TEXT, "Such as linux/amd64."),
)  # fmt: skip

CONDITIONS = block(
    By.EDGE, "a step",
    ("name", TEXT, "For the journal, and for `after`. `skip-copy-…`: not taken over by an "
     "installed host."),
    ("after", ListOf(block(By.EDGE, "an item of `after`", ("name", TEXT, "FILE.STEP, where FILE is "
     "the file's `name`, else its path."))), "Steps of the same stage that come first."),
    ("if", TEMPLATE, "A shell command, a Go template: the step runs if it succeeds."),
    ("node", REGEX, "Only where the host's name matches."),
    ("only_os", REGEX, "Only where the system's name (PRETTY_NAME) matches."),
    ("only_os_version", REGEX, "Only where the system's version matches."),
    ("only_arch", REGEX, "Only where the architecture matches: amd64, arm64."),
    ("only_service_manager", Choice(("systemd", "openrc")), "Only with this service manager."),
    ("if_files", block(
        By.EDGE, "the key `if_files`",
        ("any", TEXTS, "One of them must be there."),
        ("all", TEXTS, "All must be there."),
        ("none", TEXTS, "None may be there."),
    ), "Only if files are there, or are not."),
)  # fmt: skip

STEP = Block(
    (
        *CONDITIONS.keys,
        Key("dns", DNS, "Write resolv.conf."),
        Key("downloads", ListOf(DOWNLOAD), "Fetch files."),
        Key("git", GIT, "Clone or update a git repository."),
        Key("ensure_entities", ListOf(_ENTITY), "Add users and groups to their files."),
        Key("directories", ListOf(DIRECTORY), "Make directories."),
        Key("files", ListOf(FILE), "Write files."),
        Key("commands", ListOf(TEMPLATE), "Run shell commands, each a Go template. If one fails, "
            "the next ones run nevertheless."),
        Key("delete_entities", ListOf(_ENTITY), "Remove users and groups."),
        Key("hostname", TEMPLATE, "Set the host's name."),
        Key("sysctl", PAIRS, "Write below /proc/sys; gone after a reboot."),
        Key("users", MapOf(STEP_USER, "a user's name"), "Make users."),
        Key("authorized_keys", MapOf(TEXTS, "a user's name"), "Add SSH keys."),
        Key("modules", TEXTS, "Load kernel modules, parameters after the name."),
        Key("timesyncd", PAIRS, "The section [Time] of timesyncd.conf."),
        Key("systemctl", SYSTEMCTL, "Units to enable, disable, mask, start, override."),
        Key("environment", PAIRS, "Variables for `environment_file`; not for commands."),
        Key("environment_file", PATH, "Where they go.", "/etc/environment"),
        Key("systemd_firstboot", PAIRS, "Options of systemd-firstboot(1)."),
        Key("datasource", DATASOURCE, "Fetch user-data from a cloud.", by=By.KAIROS),
        Key("layout", LAYOUT, "Change partitions.", by=By.KAIROS),
        Key("package_pins", PAIRS, "Hold packages at versions.", by=By.EDGE),
        Key("packages", PACKAGES, "Install and remove packages."),
        Key("unpack_images", ListOf(_UNPACK), "Unpack container images.", by=By.KAIROS),
    ),
    what="a step",
)  # fmt: skip

STAGES_KIND = MapOf(ListOf(STEP), "a stage")
