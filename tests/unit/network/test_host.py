"""What is written on a host, kept of it, and asked of its NICs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from overlay_runtime.network.bundle import Bundle, Device, read_bundle
from overlay_runtime.network.nics import Nic, matching
from overlay_runtime.network.place import place, tell_running
from overlay_runtime.network.store import (
    Asked,
    Mode,
    load_asked,
    load_good,
    save_asked,
    save_good,
)
from tests.unit.network.samples import paths_in

NAME = "systemd/network/zz-10-edge-eth0.network"
BUNDLE = Bundle(
    "a file",
    (Device("eth0", "a file:1:1", static=True),),
    {NAME: "[Match]\nName=eth0\n", f"{NAME}.d/50-edge.conf": "[Network]\n"},
    {"HTTP_PROXY": "http://u:p@proxy:1", "http_proxy": "http://u:p@proxy:1"},
)


def test_placed_and_gone_again(tmp_path: Path) -> None:
    directory = tmp_path / "run/systemd/network"
    directory.mkdir(parents=True)
    kept = ("10-netplan-eth0.network", "50-mine.network", "99-mine.link")
    for name in kept:
        (directory / name).write_text("")
    assert place(BUNDLE, tmp_path)
    assert not place(BUNDLE, tmp_path), "nothing is another one"
    assert (tmp_path / "run" / NAME).read_text() == "[Match]\nName=eth0\n"
    login = tmp_path / "run/edge-overlay/proxy.sh"
    assert login.stat().st_mode & 0o777 == 0o640, "it holds a password"
    assert "export HTTP_PROXY=http://u:p@proxy:1\n" in login.read_text()
    assert place(None, tmp_path)
    assert {path.name for path in directory.iterdir() if path.is_file()} == set(kept)
    assert not login.exists()


def test_what_the_command_line_says_comes_after_the_description(tmp_path: Path) -> None:
    directory = tmp_path / "run/systemd/network"
    directory.mkdir(parents=True)
    (directory / "71-default.network").write_text("[Match]\nKind=!*\n")
    place(None, tmp_path)
    assert (directory / "71-default.network").exists()
    place(BUNDLE, tmp_path)
    order = sorted(path.name for path in directory.glob("*.network"))
    assert order == ["zz-10-edge-eth0.network", "zz-15-edge-71-default.network"]


def test_what_works_is_kept_and_read_again(tmp_path: Path) -> None:
    paths = paths_in(tmp_path)
    assert load_good(paths) is None
    save_good(paths, BUNDLE)
    assert load_good(paths) == BUNDLE
    stored = tmp_path / "state/network/last-good.json"
    assert stored.stat().st_mode & 0o777 == 0o600
    for torn in (b"", b"{", b"[]", b'{"files": {"/etc/passwd": ""}}', stored.read_bytes()[:-9]):
        stored.write_bytes(torn)
        assert load_good(paths) is None
    asked = Asked(BUNDLE, Mode.BESIDES, problems=("one",), returns=2, hold_until=9.5)
    save_asked(paths, asked)
    assert load_asked(paths) == asked
    save_asked(paths, None)
    assert load_asked(paths) is None


@pytest.mark.parametrize("path", [
    "/etc/passwd", "systemd/../../etc/passwd", "edge/x", "systemd/system/x.service",
    "systemd/network/zz-10-edge-../../x", "systemd/network/50-mine.network",
])  # fmt: skip
def test_a_stored_path_never_leads_elsewhere(path: str) -> None:
    stored = json.loads(json.dumps(BUNDLE.as_dict()))
    stored["files"] = {path: ""}
    with pytest.raises(ValueError, match="none of ours"):
        read_bundle(stored)


def test_no_secret_in_a_repr() -> None:
    assert "u:p" not in repr(BUNDLE) + repr(Asked(BUNDLE))


def test_a_proxys_password_is_no_argument_of_a_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every user can read those in /proc. The program is a stand-in; tests/oci has the real one."""
    program = tmp_path / "systemctl"
    program.write_text('#!/bin/sh\necho "$@; $HTTP_PROXY" >> "$SEEN"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("SEEN", str(tmp_path / "seen"))
    tell_running(BUNDLE)
    seen = [line.split("; ") for line in (tmp_path / "seen").read_text().splitlines()]
    assert ["import-environment HTTP_PROXY http_proxy", "http://u:p@proxy:1"] in seen
    assert not [words for words, _ in seen if "u:p" in words]


NICS = {
    "ens192": Nic("ens192", "52:54:00:12:34:56", "vmxnet3", True, "", False, False),
    "ens224": Nic("ens224", "52:54:00:12:34:57", "vmxnet3", True, "", False, False),
    "eth0": Nic("eth0", "52:54:00:12:34:58", "virtio_net", True, "", False, False),
}


@pytest.mark.parametrize(("match", "names"), [
    ("Name=ens*", ["ens192", "ens224"]),
    ("Driver=vmxnet3", ["ens192", "ens224"]),
    ("Driver=vmxnet3\nName=ens224", ["ens224"]),
    ("PermanentMACAddress=52:54:00:12:34:58", ["eth0"]),
    ("Name=eth1", []),
    ("", []),
])  # fmt: skip
def test_the_nics_that_are_meant(match: str, names: list[str]) -> None:
    text = f"[Match]\n{match}\n\n[Network]\nDHCP=yes\nName=eth0\n"
    assert [nic.name for nic in matching(text, NICS)] == names
