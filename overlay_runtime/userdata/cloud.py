"""cloud-init's keys (25.1 in Debian trixie; `schema-cloud-config-v1.json`).

Typed are those that are written often; what the others may hold is for cloud-init to say. The types
are cloud-init's: it takes no number for text.
"""

from __future__ import annotations

from overlay_runtime.config import checks
from overlay_runtime.userdata.kinds import (
    ANY_BLOCK,
    ANY_LIST,
    ANYTHING,
    FLAG,
    PATH,
    WORD,
    WORDS,
    block,
    either,
)
from overlay_runtime.userdata.model import (
    Boolean,
    By,
    Checked,
    Choice,
    FileMode,
    Key,
    ListOf,
    MapOf,
    Number,
    Text,
)

_WHO = By.CLOUD_INIT
_SECRET = Text("text", secret=True, strict=True)

HOST_NAME = Checked(
    checks.host_name, "a host name (RFC 1123)", {"type": "string", "maxLength": 253}
)
NAMESERVERS = Checked(checks.nameservers, "IP addresses, comma or space between them")

USER = block(
    _WHO, "a user",
    ("name", WORD, "Login name."),
    ("gecos", WORD, "Full name."),
    ("homedir", PATH, "Home directory."),
    ("shell", WORD, "Login shell."),
    ("primary_group", WORD, "Primary group."),
    ("groups", either(WORD, WORDS, ANY_BLOCK), "Further groups: a list, or text with commas. "
     "Kairos takes the list alone."),
    ("sudo", either(WORD, WORDS, Boolean()), "Rules for sudoers(5)."),
    ("doas", WORDS, "Rules for doas."),
    ("ssh_authorized_keys", WORDS, "Public keys."),
    ("ssh_import_id", WORDS, "IDs such as gh:NAME, whose keys are fetched."),
    ("ssh_redirect_user", FLAG, "To refuse logins, and to name the default user.", False),
    ("lock_passwd", FLAG, "No login by password. Default: false beside `passwd`, else true."),
    ("passwd", _SECRET, "Password, hashed or plain, as on Kairos."),
    ("hashed_passwd", _SECRET, "Password, hashed."),
    ("plain_text_passwd", _SECRET, "Password."),
    ("expiredate", WORD, "The day on which the account ends."),
    ("inactive", WORD, "Days until an expired password locks the account."),
    ("no_create_home", FLAG, "Not to make the home directory.", False),
    ("no_user_group", FLAG, "Not to make a group of the user's name.", False),
    ("no_log_init", FLAG, "Not to add it to lastlog.", False),
    ("create_groups", FLAG, "To make the groups that are missing.", True),
    ("selinux_user", WORD, "SELinux user."),
    ("snapuser", WORD, "Snap user."),
    ("system", FLAG, "A system user.", False),
    ("uid", either(Number(), WORD), "User ID."),
)  # fmt: skip

_WRITE_FILE = block(
    _WHO, "a file",
    ("path", PATH, "Where to write; missing parents are made."),
    ("content", WORD, "What to write.", ""),
    ("encoding", Choice(("gz", "gzip", "gz+base64", "gzip+base64", "gz+b64", "gzip+b64", "b64",
                         "base64", "text/plain")), "How `content` is encoded.", "text/plain"),
    ("permissions", either(FileMode(), Text("permissions in octal, such as '0644'",
                                            r"0?[0-7]{3,4}", strict=True)),
     "Permissions in octal.", "0644"),
    ("owner", WORD, "`user:group`.", "root:root"),
    ("append", FLAG, "To append.", False),
    ("defer", FLAG, "To write after users and packages are there.", False),
    ("source", ANY_BLOCK, "Where to fetch it from: `uri`, `headers`."),
)  # fmt: skip

_COMMANDS = ListOf(either(WORD, WORDS))

NTP = block(
    _WHO, "the key `ntp`",
    ("enabled", FLAG, "Whether to do anything.", True),
    ("servers", WORDS, "Time servers."),
    ("pools", WORDS, "Pools of time servers."),
    ("peers", WORDS, "Peers, of daemons that know such."),
    ("allow", WORDS, "Networks that may ask, for chrony."),
    ("ntp_client", WORD, "chrony, ntp, systemd-timesyncd and so on.", "auto"),
    ("config", ANY_BLOCK, "A client that cloud-init does not know."),
)  # fmt: skip

GROWPART = block(
    _WHO, "the key `growpart`",
    ("mode", either(WORD, Boolean()), "auto, growpart, gpart, off.", "auto"),
    ("devices", WORDS, "What to grow, mount points or devices."),
    ("ignore_growroot_disabled", FLAG, "Also if /etc/growroot-disabled is there.", False),
)  # fmt: skip

_TYPED = (
    ("hostname", HOST_NAME, "The host's name."),
    ("fqdn", HOST_NAME, "The host's name with its domain."),
    ("prefer_fqdn_over_hostname", FLAG, "To set `fqdn` as the host's name.", False),
    ("preserve_hostname", FLAG, "To leave the host's name alone.", False),
    ("users", either(ListOf(either(WORD, USER, ANY_LIST)), MapOf(ANYTHING), WORD),
     "Users to make. `default`: the distribution's own."),
    ("user", either(WORD, USER), "Changes to the default user."),
    ("groups", either(ANY_LIST, ANY_BLOCK, WORD), "Groups to make."),
    ("ssh_authorized_keys", WORDS, "Public keys for the default user."),
    ("ssh_pwauth", either(Boolean(), WORD), "Whether SSH takes passwords."),
    ("disable_root", FLAG, "No login as root by SSH.", True),
    ("chpasswd", block(_WHO, "the key `chpasswd`",
                       ("expire", FLAG, "Must be changed at the next login.", True),
                       ("users", ANY_LIST, "`name`, `password`, `type`."),
                       ("list", either(_SECRET, ListOf(_SECRET)), "Lines user:password (old).")),
     "Passwords to set."),
    ("password", _SECRET, "Password of the default user."),
    ("write_files", ListOf(_WRITE_FILE), "Files to write."),
    ("runcmd", _COMMANDS, "Commands of the first boot, late. Kairos takes text alone, no lists, "
     "and runs them at each boot."),
    ("bootcmd", _COMMANDS, "Commands of each boot, early."),
    ("ntp", NTP, "Time servers."),
    ("growpart", GROWPART, "Partitions to grow."),
    ("resize_rootfs", either(Boolean(), WORD), "Whether to grow the root file system.", True),
    ("timezone", WORD, "Time zone, such as Europe/Berlin."),
    ("locale", either(WORD, Boolean()), "Locale, such as en_US.UTF-8."),
    ("packages", ANY_LIST, "Debian packages to install, which needs a mirror."),
    ("package_update", FLAG, "To update package lists first.", False),
    ("package_upgrade", FLAG, "To upgrade packages.", False),
    ("mounts", ANY_LIST, "Lines of fstab(5)."),
    ("swap", ANY_BLOCK, "A swap file."),
    ("ca_certs", ANY_BLOCK, "Further certificate authorities."),
    ("manage_etc_hosts", either(Boolean(), WORD), "Whether to write /etc/hosts.", False),
    ("final_message", WORD, "Printed at the end of the boot."),
    ("power_state", ANY_BLOCK, "To power off or reboot when done."),
    ("phone_home", ANY_BLOCK, "To post to a URL when done."),
)  # fmt: skip

_OTHERS = """
allow_public_ssh_keys ansible apk_repos apt apt_pipelining apt_reboot_if_required apt_update
apt_upgrade authkey_hash autoinstall byobu_by_default ca-certs chef cloud_config_modules
cloud_final_modules cloud_init_modules create_hostname_file device_aliases disable_ec2_metadata
disable_root_opts disk_setup drivers fan fs_setup grub-dpkg grub_dpkg keyboard landscape
launch-index locale_configfile lxd manage_resolv_conf mcollective merge_how merge_type migrate
mount_default_fields no_ssh_fingerprints output package_reboot_if_required puppet random_seed
reporting resolv_conf rh_subscription rsyslog salt_minion snap spacewalk ssh ssh_deletekeys
ssh_fp_console_blacklist ssh_genkeytypes ssh_import_id ssh_key_console_blacklist ssh_keys
ssh_publish_hostkeys ssh_quiet_keygen system_info ubuntu_advantage ubuntu_pro updates vendor_data
version wireguard yum_repo_dir yum_repos zypper
""".split()

KEYS = (
    *block(_WHO, "", *_TYPED).keys,
    *(Key(name, ANYTHING, "See cloud-init's reference.", by=_WHO) for name in _OTHERS),
)
"""Every top-level key of cloud-init."""
