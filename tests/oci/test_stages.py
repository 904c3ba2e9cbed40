"""A host whose stages come from all places, some of them wrong: it boots, does them once and in
order, and says what failed."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterator
from contextlib import suppress

import docker
import docker.errors
import pytest

from tests.oci.conftest import OciImage
from tests.oci.host import Host, host
from tests.site import Site
from tests.vm.harness.waiting import wait_until

pytestmark = [pytest.mark.oci, pytest.mark.timeout(300, func_only=True)]

_SECRET = "TheSecretOfACommand"

_SYSTEM = """\
stages:
  rootfs: [{commands: [echo rootfs system >> /var/log/order]}]
  initramfs: [{commands: [echo initramfs system >> /var/log/order]}]
  boot: [{commands: [echo boot system >> /var/log/order]}]
"""

_OEM = f"""\
#cloud-config
users: [default, {{name: carol, gecos: Carol}}]
write_files: [{{path: /etc/from-cloud-init, content: once, append: true}}]
runcmd: [echo runcmd >> /var/log/runcmd]
stages:
  initramfs:
    - name: names
      hostname: stage-host
      commands: [echo initramfs oem >> /var/log/order]
    - name: a unit, enabled before the boot
      files:
        - path: /etc/systemd/system/made-by-stage.service
          permissions: 0644
          content: |
            [Service]
            Type=oneshot
            RemainAfterExit=yes
            ExecStart=/bin/touch /run/made-by-stage
            [Install]
            WantedBy=multi-user.target
      users: {{dora: {{passwd: plain, groups: [audio]}}}}
      systemctl: {{enable: [made-by-stage.service], start: [made-by-stage.service]}}
  boot:
    - name: hangs
      commands: [": {_SECRET}; sleep 1000", echo boot oem >> /var/log/order]
    - name: fails
      commands: ["echo what went wrong >&2; exit 7"]
    - name: wrong type
      files: {{path: /x}}
    - name: leaves a child
      commands: ["sleep 987654 &"]
    - name: waits for nobody
      after: [{{name: nobody}}]
      commands: [echo never >> /var/log/order]
"""

_BROKEN = "stages: {boot: [\n"

_USER_DATA = """\
stages:
  fs: [{commands: [echo fs user-data >> /var/log/order]}]
  initramfs:
    - commands: [echo initramfs user-data >> /var/log/order]
    - name: netplan, as in Palette's documentation
      files:
        - path: /etc/netplan/99_config.yaml
          permissions: 0600
          content: "network: {version: 2, ethernets: {stage0: {addresses: [192.0.2.77/24]}}}"
  boot: [{commands: [echo boot user-data >> /var/log/order]}]
  boot.after: [{commands: [echo boot.after user-data >> /var/log/order]}]
  network:
    - commands: ["ip -4 route show default >> /var/log/route; echo network user-data >> /var/log/order"]
  reconcile: [{commands: [echo reconcile >> /var/log/reconcile]}]
"""  # noqa: E501

_SHORT = """\
[Service]
ExecStart=
ExecStart=-/usr/bin/edge-overlay run-stage --command-limit 5 boot
"""

_ORDER = [
    "rootfs system", "initramfs system", "initramfs oem", "initramfs user-data", "fs user-data",
    "boot system", "boot oem", "boot user-data", "boot.after user-data", "network user-data",
]  # fmt: skip


def _with_kai(user_data: str) -> str:
    """Another user, as Kairos's documentation has one."""
    return user_data.replace("users: [", 'users: [{"name": "kai", "passwd": "kairos"}, ', 1)


def _archive(files: dict[str, str]) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for path, text in files.items():
            about = tarfile.TarInfo(path)
            about.size, about.mode = len(text.encode()), 0o644
            archive.addfile(about, io.BytesIO(text.encode()))
    return made.getvalue()


@pytest.fixture(scope="module")
def staged(daemon: docker.DockerClient, oci_image: OciImage, site: Site) -> Iterator[Host]:
    """A container of the image with these files in it, booted."""
    tag = f"edge-build-test-stages:{os.getpid()}"
    user_data = _with_kai(site.user_data()) + _USER_DATA
    made = daemon.containers.create(oci_image.tag, command="/sbin/init")
    try:
        made.put_archive("/", _archive({
            "system/oem/20.yaml": _SYSTEM, "oem/10.yaml": _OEM, "oem/20.yaml": _BROKEN,
            "usr/lib/edge-overlay/user-data": user_data,
            "etc/systemd/system/edge-stage-boot.service.d/10-short.conf": _SHORT,
        }))  # fmt: skip
        repository, _, version = tag.partition(":")
        made.commit(repository=repository, tag=version)
    finally:
        made.remove()
    network = daemon.networks.create(f"edge-test-stages-{os.getpid()}", driver="bridge")
    try:
        with host(f"edge-test-stages-{os.getpid()}", tag, network) as running:
            yield running
    finally:
        network.remove()
        with suppress(docker.errors.ImageNotFound):
            daemon.images.remove(tag, force=True)


def test_it_boots(staged: Host) -> None:
    state = staged.try_run("systemctl is-system-running")[1].strip()
    assert state == "running", staged.run("systemctl --failed --no-legend")


def test_systemd_likes_the_units(staged: Host) -> None:
    """No ordering cycle, no line that it doesn't know."""
    names = staged.run("cd /usr/lib/systemd/system && ls -d edge-*").split()
    assert len(names) >= 9
    assert staged.run(f"systemd-analyze verify {' '.join(names)} 2>&1") == ""
    assert "ordering cycle" not in staged.run("journalctl --no-pager -b")


def test_the_order(staged: Host) -> None:
    wait_until("the stage network", lambda: "network" in staged.run("cat /var/log/order"), 60,
               evidence=staged.evidence)  # fmt: skip
    assert staged.run("cat /var/log/order").splitlines() == _ORDER
    assert "default via" in staged.run("cat /var/log/route")


def test_status_names_what_failed(staged: Host) -> None:
    problems = staged.overlay()["problems"]
    for words in (
        "stage boot: step `hangs` of /oem/10.yaml:24:7: command 1 was ended after 5 s",
        "stage boot: step `fails` of /oem/10.yaml:26:7: command 1 failed with exit code 7: "
        "what went wrong",
        "stage boot: /oem/10.yaml:29:14: `files` is a mapping",
        "stage boot: step `waits for nobody` of /oem/10.yaml:32:7: not run",
        "stages: /oem/20.yaml:2:1: this is not YAML",
    ):
        assert any(words in problem for problem in problems), (words, problems)
    assert _SECRET not in staged.run("cat /run/edge-overlay/notices/*")


def test_the_journal_and_the_console_say_it_too(staged: Host) -> None:
    said = staged.run("journalctl --no-pager -u edge-stage-boot")
    assert "step `fails` of /oem/10.yaml:26:7: command 1 failed with exit code 7" in said
    assert _SECRET not in said
    console = staged.container.logs().decode(errors="replace")
    assert "edge-overlay: stage boot: step `hangs`" in console, console[-2000:]
    assert _SECRET not in console


def test_background_children_live(staged: Host) -> None:
    staged.run("grep -l 987654 /proc/[0-9]*/cmdline")


def test_units_of_the_initramfs_stage_start_in_the_same_boot(staged: Host) -> None:
    wait_until("the unit", lambda: staged.try_run("test -e /run/made-by-stage")[0] == 0, 30,
               evidence=staged.evidence)  # fmt: skip


def test_netplans_files_of_the_initramfs_stage_count_in_the_same_boot(staged: Host) -> None:
    made = staged.run("cat /run/systemd/network/10-netplan-stage0.network")
    assert "Address=192.0.2.77/24" in made


def test_a_user_of_a_stage(staged: Host) -> None:
    assert staged.run("id -un dora && id -nG dora").split() == ["dora", "dora", "audio"]
    assert staged.run("grep ^dora /etc/shadow").startswith("dora:$6$")


def test_the_host_name_is_the_stages(staged: Host) -> None:
    assert staged.run("cat /proc/sys/kernel/hostname").strip() == "stage-host"


def test_cloud_inits_keys_act_once(staged: Host) -> None:
    staged.run("cloud-init status --wait >/dev/null || true")
    assert staged.run("cat /var/log/runcmd").splitlines() == ["runcmd"]
    assert staged.run("cat /etc/from-cloud-init").strip() == "once"
    assert "never" not in staged.run("cat /var/log/order")


def test_a_plain_password_works_as_on_kairos(staged: Host) -> None:
    """cloud-init by itself would take it for a hash, and lock it."""
    staged.run("cloud-init status --wait >/dev/null || true")
    [entry] = staged.run("grep ^kai: /etc/shadow").splitlines()
    hashed = entry.split(":")[1]
    again = staged.run(f"perl -e 'print crypt(q(kairos), $ARGV[0])' '{hashed}'")
    assert hashed.startswith("$") and again == hashed
    assert "NOPASSWD" in staged.run("cat /etc/sudoers.d/*cloud-init*"), "the others are as before"


def test_the_timer_is_armed(staged: Host) -> None:
    assert staged.run("systemctl is-active edge-stage-reconcile.timer").strip() == "active"
    assert "edge-stage-reconcile" in staged.run("systemctl list-timers --no-legend")
    assert staged.try_run("test -e /var/log/reconcile")[0] == 1
    for times in (1, 2):
        staged.run("systemctl start edge-stage-reconcile.service")
        assert staged.run("cat /var/log/reconcile").splitlines() == ["reconcile"] * times


def test_nothing_starts_without_a_stage(staged: Host) -> None:
    """A stage that has no steps costs no process."""
    staged.run("rm /run/edge-overlay/stages/reconcile")
    staged.run("systemctl start edge-stage-reconcile.service")
    assert len(staged.run("cat /var/log/reconcile").splitlines()) == 2


def test_user_data_is_checked(staged: Host) -> None:
    wait_until("the check", lambda: "user-data" in staged.overlay()["notices"], 60,
               evidence=staged.evidence)  # fmt: skip
    assert not [p for p in staged.overlay()["problems"] if p.startswith("user-data")]
