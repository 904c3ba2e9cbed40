"""Which description counts, and what is told about it."""

from __future__ import annotations

from pathlib import Path

import pytest

from overlay_runtime.config.sources import gather
from overlay_runtime.network.wanted import find_wanted
from tests.unit.network.samples import HEAD, block, paths_in, wanted_of

NIC = "{type: static, ipAddress: 10.0.10.%d/24}"
V2 = "version: 2\nethernets: {eth0: {addresses: [10.0.10.7/24]}}\n"


def _address(tmp_path: Path, **given: str) -> tuple[str, object]:
    wanted = wanted_of(paths_in(tmp_path), **given)
    [definition] = wanted.document.definitions.values()
    return wanted.origin, definition.get("addresses")


def test_the_order(tmp_path: Path) -> None:
    image, volume = block(f"eth0: {NIC % 5}"), block(f"eth0: {NIC % 6}")
    assert _address(tmp_path, user_data=image)[1] == ["10.0.10.5/24"]
    found = _address(tmp_path, user_data=image, volume=volume)
    assert found == ("cidata:/user-data", ["10.0.10.6/24"])
    found = _address(tmp_path, user_data=image, volume=volume, v2=V2)
    assert found == ("cidata:/network-config", ["10.0.10.7/24"])


def test_a_volume_without_a_block_leaves_the_images(tmp_path: Path) -> None:
    found = _address(tmp_path, user_data=block(f"eth0: {NIC % 5}"), volume=HEAD)
    assert found == (str(tmp_path / "user-data"), ["10.0.10.5/24"])


@pytest.mark.parametrize("text", ["", "# nothing\n", "network: {config: disabled}\n"])
def test_a_network_config_that_says_nothing(tmp_path: Path, text: str) -> None:
    paths = paths_in(tmp_path)
    (paths.run_dir / "volume").mkdir()
    (paths.volume / "network-config").write_text(text)
    assert find_wanted(paths) is None


def test_nobody_describes_the_network(tmp_path: Path) -> None:
    paths = paths_in(tmp_path)
    assert find_wanted(paths) is None
    paths.embedded.write_text(HEAD)
    assert find_wanted(paths) is None


def test_version_1(tmp_path: Path) -> None:
    wanted = wanted_of(paths_in(tmp_path), v2="version: 1\nconfig: []\n")
    assert wanted.unreadable
    [problem] = wanted.problems
    assert problem.startswith("cidata:/network-config:1:10: ") and "expected version 2" in problem


@pytest.mark.parametrize("text", ["ip address add 10.0.10.5/24 dev eth0\n", "- eth0\n"])
def test_a_network_config_of_another_kind(tmp_path: Path, text: str) -> None:
    """It is said, and not passed over for the description that would come after it."""
    wanted = wanted_of(paths_in(tmp_path), v2=text, user_data=block(f"eth0: {NIC % 5}"))
    assert wanted.unreadable
    [problem] = wanted.problems
    assert problem.startswith("cidata:/network-config:1:1: found ") and "a mapping" in problem


def test_what_cloud_init_has_no_section_for_is_a_problem(tmp_path: Path) -> None:
    wanted = wanted_of(paths_in(tmp_path), v2=V2 + "wifis: {wlan0: {dhcp4: true}}\nethernet: {}\n")
    [first, second] = sorted(wanted.problems)
    assert first.startswith("cidata:/network-config:3:1: `wifis`: nothing is done with it")
    assert "did you mean `ethernets`" in second
    assert list(wanted.document.definitions) == ["eth0"] and not wanted.wrong


def test_proxies_of_a_block_hold_beside_a_network_config(tmp_path: Path) -> None:
    wanted = wanted_of(paths_in(tmp_path), v2=V2, user_data=block(
        "eth0: {}", site="httpsProxy: http://p.example:3128"))  # fmt: skip
    environment = wanted.proxies.environment
    assert environment is not None
    assert environment["https_proxy"] == environment["HTTPS_PROXY"] == "http://p.example:3128"
    assert "100.64.0.0/23" in environment["NO_PROXY"].split(",")
    assert any("network-config counts" in note for note in wanted.notes)


def test_a_proxys_password_is_in_no_message(tmp_path: Path) -> None:
    secret = "hunter2secret"
    wanted = wanted_of(paths_in(tmp_path), user_data=block(
        "eth0: {}", site=f"httpProxy: 'ftp://u:{secret}@p.example'"))  # fmt: skip
    assert wanted.proxies.environment is None
    assert len([p for p in wanted.problems if "no URL of a proxy" in p]) == 1
    assert secret not in repr(wanted)


def test_an_unknown_key_is_told_and_the_rest_counts(tmp_path: Path) -> None:
    wanted = wanted_of(paths_in(tmp_path), user_data=block(f"eth0: {NIC[:-1] % 5}, gatway: x}}"))
    assert wanted.wrong == set()
    assert any("did you mean `gateway`" in problem for problem in wanted.problems)


@pytest.mark.parametrize(("text", "mark"), [
    (HEAD, False),
    (HEAD + "# the overlay network of stylus\n", False),
    (block("eth0: {}"), True),
    (HEAD + "stylus: {site: {'network': {httpProxy: 'http://p:1'}}}\n", True),
    (HEAD + "x: &x {site: {network: {httpProxy: 'http://p:1'}}}\nstylus: *x\n", True),
    (HEAD + "x: '" + "stylus " * 140_000 + "'\n", False),
])  # fmt: skip
def test_gather_leaves_a_mark_if_there_is_something_to_do(
    tmp_path: Path, text: str, mark: bool
) -> None:
    paths = paths_in(tmp_path)
    paths.embedded.write_text(text)
    gather(str(tmp_path), paths, "a host")
    assert paths.network_mark.exists() == mark
