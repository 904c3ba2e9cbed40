"""Runs with files and commands below a root of the test's own."""

from __future__ import annotations

import email
import json
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from overlay_runtime.notices import told
from overlay_runtime.paths import Paths, find_paths
from overlay_runtime.stages.host import LiveHost
from overlay_runtime.stages.limits import Limits
from overlay_runtime.stages.prepare import prepare
from overlay_runtime.stages.process import Done, run_process
from overlay_runtime.stages.runner import Result, run_stage
from overlay_runtime.stages.telling import report
from overlay_runtime.stages.tree import Tree


class Unowned(Tree):
    """Files without owners: who runs unit tests need not be root."""

    def chown(self, path: str, owner: int, group: int) -> None:  # noqa: ARG002
        self.real(path).stat()

    def chown_open(self, descriptor: int, owner: int, group: int) -> None:  # noqa: ARG002
        os.fstat(descriptor)


class Host(LiveHost):
    """Commands run on this machine (a root without a shell has no other), below /tmp alone."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.tree = Unowned(root)

    def run(
        self, words: Sequence[str], limit: float, environment: Mapping[str, str] | None = None
    ) -> Done:
        return run_process(words, limit, {"ROOT": str(self.tree.root), **(environment or {})})


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("oem", "run/edge-overlay/volume", "usr/lib/edge-overlay", "etc"):
        (tmp_path / name).mkdir(parents=True)
    return tmp_path


def paths(root: Path) -> Paths:
    return find_paths(str(root), str(root / "run/edge-overlay"), str(root / "var"))


def write(root: Path, text: str, name: str = "oem/10.yaml") -> None:
    place = root / name
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text)


def run(root: Path, stage: str = "boot", limits: Limits | None = None) -> Result:
    return run_stage(stage, paths(root), Host(root), limits or Limits(5, 10))


def log(root: Path) -> list[str]:
    place = root / "log"
    return place.read_text().split() if place.exists() else []


def steps(*rows: str) -> str:
    return "#cloud-config\nstages:\n  boot:\n" + "".join(f"    - {row}\n" for row in rows)


def say(word: str, name: str = "") -> str:
    called = f"name: {name}, " if name else ""
    return f"{{{called}commands: ['echo {word} >> $ROOT/log']}}"


EMBEDDED, VOLUME = "usr/lib/edge-overlay/user-data", "run/edge-overlay/volume/user-data"


def test_equal_steps_of_image_and_volume_run_once(root: Path) -> None:
    write(root, steps(say("same"), say("mine")), EMBEDDED)
    write(root, steps(say("same"), say("theirs")), VOLUME)
    result = run(root)
    assert log(root) == ["mine", "same", "theirs"]
    assert "the volume's user-data has it too" in result.notes[0]


def test_the_volumes_step_of_the_same_name_wins(root: Path) -> None:
    write(root, steps(say("old", "x"), say("other", "y")), EMBEDDED)
    write(root, steps(say("new", "x")), VOLUME)
    run(root)
    assert log(root) == ["other", "new"]


def test_equal_steps_of_one_file_both_run(root: Path) -> None:
    write(root, steps(say("a"), say("a")), VOLUME)
    run(root)
    assert log(root) == ["a", "a"]


def test_the_volume_alone(root: Path) -> None:
    write(root, steps(say("a")), VOLUME)
    run(root)
    assert log(root) == ["a"]


def test_a_stages_time_ends(root: Path) -> None:
    write(root, steps("{commands: [sleep 60]}", say("late")))
    write(root, "stages: {boot.after: [{commands: ['echo after >> $ROOT/log']}]}", "oem/20.yaml")
    result = run(root, limits=Limits(60, 1))
    assert log(root) == []
    said = result.sentences()
    assert any("command 1 was ended after 1 s" in text for text in said), said
    assert any("its time of 1 s is over" in text for text in said), said
    assert [one.state for one in result.outcomes] == ["failed", "not run"]


@pytest.mark.timeout(10)
def test_a_regular_expression_takes_no_time(root: Path) -> None:
    """As Go's: Python's would take years for this one."""
    write(root, "ID=x\nPRETTY_NAME=" + "a" * 60 + "b\n", "etc/os-release")
    write(root, steps("{only_os: '^(a+)+$', commands: [x]}", "{only_os: '(?P<x>a)\\z|\\pL', "
                      "commands: ['echo unicode >> $ROOT/log']}"))  # fmt: skip
    assert [one.state for one in run(root).outcomes] == ["skipped", "done"]
    assert log(root) == ["unicode"]


def test_what_no_clock_stops_is_stopped(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("overlay_runtime.stages.runner._SLACK_S", 0.0)
    monkeypatch.setattr("overlay_runtime.stages.runner.holds", lambda *_: time.sleep(30))
    write(root, steps("{commands: [x]}"))
    result = run(root, limits=Limits(1, 1))
    assert any("its time of 1 s is over" in text for text in result.sentences())


def test_problems_are_in_the_notice_without_contents(root: Path) -> None:
    write(
        root, steps("{name: x, commands: ['false geheim'], files: [{path: /etc, content: geheim}]}")
    )
    write(root, "stages: [", "oem/20.yaml")
    console = root / "console"
    console.touch()
    report(run(root), paths(root).notices, console)
    notices = {one.subject: one for one in told(paths(root).notices)}
    [first, second] = notices["stage-boot"].problems
    assert first.startswith("stage boot: step `x` of /oem/10.yaml:4:7: file 1 can't be written")
    assert second.endswith("command 1 failed with exit code 1")
    assert notices["stages"].problems[0].startswith("stages: /oem/20.yaml:1:10: this is not YAML")
    assert "geheim" not in json.dumps([dict(one.details) for one in notices.values()])
    assert console.read_text().strip() == f"edge-overlay: {first} (2 more: edge-overlay status)"


def test_a_fault_of_ours_is_told_by_its_place(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fault(*_: object) -> None:
        raise RuntimeError("geheim")

    monkeypatch.setattr(Tree, "write", fault)
    write(root, steps("{files: [{path: /x}]}", say("next")))
    said = run(root).sentences()
    assert "a fault of edge-overlay itself: RuntimeError" in said[0]
    assert "geheim" not in said[0]
    assert log(root) == ["next"]


def test_early_stages_are_like_a_chroot(root: Path) -> None:
    write(root, "stages:\n  initramfs: [{commands: ['echo [$SYSTEMD_OFFLINE] >> $ROOT/log']}]\n"
          "  boot: [{commands: ['echo [$SYSTEMD_OFFLINE] >> $ROOT/log']}]\n")  # fmt: skip
    run(root, "initramfs")
    run(root, "boot")
    assert log(root) == ["[1]", "[]"]


def test_no_path_leads_out_of_the_root(
    root: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside")
    (root / "abs").symlink_to(outside)
    (root / "up").symlink_to("../" * 20 + str(outside).lstrip("/"))
    (root / str(outside).lstrip("/")).mkdir(parents=True)
    rows = [f"{{path: {path}, content: x, permissions: 0644}}"
            for path in ("/abs/a", "/up/b", f"/../../..{outside}/c", "up/d")]  # fmt: skip
    write(root, steps("{files: [" + ", ".join(rows) + "]}"))
    assert run(root).sentences() == []
    assert list(outside.iterdir()) == []
    assert (root / str(outside).lstrip("/") / "a").read_text() == "x"


def test_gather_names_the_stages_and_gives_cloud_init_its_keys(root: Path) -> None:
    seed = root / "var/lib/cloud/seed/nocloud"
    seed.mkdir(parents=True)
    write(root, "stages: {boot.before: [{}], network: []}\nusers: [{name: not-cloud-config}]\n")
    write(root, "#cloud-config\nusers: [{name: a}]\nruncmd: [x]\n", "oem/20.yaml")
    write(root, "# a\n#cloud-config\nusers: [{name: b, uid: '0777'}]\nhostname: h\nnope: 1\n",
          "oem/30.yaml")  # fmt: skip
    write(root, "#cloud-config\nusers: [{name: mine}]\nstages: {fs: [{}]}\n", EMBEDDED)
    prepare(str(root), paths(root))
    assert sorted(path.name for path in paths(root).stages.iterdir()) == ["boot", "fs"]
    head, body = (seed / "vendor-data").read_text().split("\n", 1)
    assert head == "#cloud-config"
    assert json.loads(body) == {
        "users": [{"name": "a"}, {"name": "b", "uid": "0777"}], "runcmd": ["x"], "hostname": "h",
    }  # fmt: skip


def test_other_keys_are_another_instance(root: Path) -> None:
    """Without a seed one is made."""
    seed = root / "var/lib/cloud/seed/nocloud"
    write(root, "#cloud-config\nruncmd: [one]\n")
    prepare(str(root), paths(root), "this")
    assert (seed / "user-data").read_text() == "#cloud-config\n{}\n"
    first = json.loads((seed / "meta-data").read_text())["instance-id"]
    write(root, "#cloud-config\nruncmd: [two]\n")
    prepare(str(root), paths(root), "this")
    second = json.loads((seed / "meta-data").read_text())["instance-id"]
    assert second.startswith(f"{first}-")
    assert (seed / "meta-data").stat().st_mode & 0o777 == 0o600


def test_the_volumes_own_vendor_data_stays(root: Path) -> None:
    seed = root / "var/lib/cloud/seed/nocloud"
    seed.mkdir(parents=True)
    (seed / "vendor-data").write_text("#cloud-config\nruncmd: [theirs]\n")
    write(root, "#cloud-config\nruncmd: [ours]\n")
    prepare(str(root), paths(root))
    message = email.message_from_bytes((seed / "vendor-data").read_bytes())
    parts = [part.get_payload(decode=True) for part in message.walk() if not part.is_multipart()]
    assert [b"ours" in bytes(part or b"") for part in parts] == [True, False]
    assert [part.get_content_type() for part in message.walk()][1:] == ["text/cloud-config"] * 2


def test_a_file_of_the_command_line_comes_last(root: Path) -> None:
    write(root, "boot=live cos.setup=/etc/more.yaml quiet", "proc/cmdline")
    write(root, "stages: {boot: [" + say("more") + "]}", "etc/more.yaml")
    write(root, steps(say("first")))
    assert run(root).sentences() == []
    assert log(root) == ["first", "more"]
    prepare(str(root), paths(root))
    assert "network" in {path.name for path in paths(root).stages.iterdir()}


def test_a_file_of_the_command_line_that_is_missing_is_told(root: Path) -> None:
    write(root, "boot=live kairos.config_url=/etc/nix.yaml", "proc/cmdline")
    write(root, steps(say("first")))
    result = run(root)
    assert log(root) == ["first"]
    assert result.files == [
        "the configuration that the kernel's command line names can't be read: No such file or "
        "directory"
    ]


def test_skip_copy_steps_are_for_the_live_boot(root: Path) -> None:
    write(root, steps(say("live", "skip-copy-x"), say("both")))
    write(root, "boot=live", "proc/cmdline")
    run(root)
    write(root, "root=LABEL=x", "proc/cmdline")
    run(root)
    assert log(root) == ["live", "both", "both"]


def test_the_host_name_goes_to_cloud_init_too(root: Path) -> None:
    seed = root / "var/lib/cloud/seed/nocloud"
    seed.mkdir(parents=True)
    (seed / "meta-data").write_text('{"instance-id": "i", "local-hostname": "edge-1"}\n')
    write(root, "stages: {initramfs: [{hostname: shop-17}]}")

    class Quiet(Host):
        def set_name(self, name: str) -> None:
            """Not this machine's."""

    run_stage("initramfs", paths(root), Quiet(root), Limits(5, 10))
    assert json.loads((seed / "meta-data").read_text()) == {
        "instance-id": "i", "local-hostname": "shop-17",
    }  # fmt: skip


def test_a_link_in_the_place_of_dot_ssh_is_refused(root: Path) -> None:
    write(root, "eve:x:1500:1500::/home/eve:/bin/sh\n", "etc/passwd")
    (root / "home/eve").mkdir(parents=True)
    link = root / "home/eve/.ssh"
    link.symlink_to("/etc")
    if os.geteuid() == 0:  # else it is some user's already
        os.lchown(link, 1500, 1500)
    write(root, steps("{authorized_keys: {eve: [ssh-rsa A]}}"))
    [said] = run(root).sentences()
    assert "a symbolic link" in said and "in the place of ~/.ssh" in said
    assert not (root / "etc/authorized_keys").exists()


def test_a_link_in_the_place_of_authorized_keys_is_refused(root: Path) -> None:
    write(root, "eve:x:1500:1500::/home/eve:/bin/sh\n", "etc/passwd")
    (root / "home/eve/.ssh").mkdir(parents=True)
    (root / "home/eve/.ssh/authorized_keys").symlink_to("/etc/passwd")
    write(root, steps("{authorized_keys: {eve: [ssh-rsa A]}}"))
    assert "a symbolic link" in run(root).sentences()[0]
    assert "ssh-rsa" not in (root / "etc/passwd").read_text()


def test_a_link_that_comes_while_keys_are_fetched_misleads_nobody(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(root, "eve:x:1500:1500::/home/eve:/bin/sh\n", "etc/passwd")
    (root / "home/eve").mkdir(parents=True)
    write(root, steps("{authorized_keys: {eve: [ssh-rsa A]}}"))

    def fetched(_: object, key: str) -> str:
        (root / "home/eve/.ssh").rename(root / "home/eve/away")
        (root / "home/eve/.ssh").symlink_to(root / "etc")
        return key

    monkeypatch.setattr("overlay_runtime.stages.actions.sshkeys._fetched", fetched)
    assert run(root).sentences() == []
    assert not (root / "etc/authorized_keys").exists()
    place = root / "home/eve/away/authorized_keys"
    assert (place.read_text(), place.stat().st_mode & 0o777) == ("ssh-rsa A\n", 0o600)
