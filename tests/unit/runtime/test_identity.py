"""Identity from hardware, with all that makers write into DMI."""

from __future__ import annotations

from pathlib import Path

import pytest

from overlay_runtime.errors import OverlayError
from overlay_runtime.identity import IDENTITY_ENV, Identity, find_identity

MACHINE_ID = "0123456789abcdef0123456789abcdef"


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (IDENTITY_ENV, "container"):
        monkeypatch.delenv(name, raising=False)


def _host(root: Path, **files: str) -> Path:
    names = {
        "uuid": "sys/class/dmi/id/product_uuid", "serial": "sys/class/dmi/id/product_serial",
        "board": "sys/class/dmi/id/board_serial", "machine_id": "etc/machine-id",
        "container": "run/systemd/container", "eth0": "sys/class/net/eth0/address",
    }  # fmt: skip
    for name, text in files.items():
        path = root / names[name]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    return root


def test_the_uuid_comes_first(tmp_path: Path) -> None:
    uuid = "4C4C4544-0042-3510-8052-B4C04F4A4E31"
    found = find_identity(_host(tmp_path, uuid=uuid, serial="ABC123", machine_id=MACHINE_ID))
    assert found.text == f"uuid:{uuid.lower()}"


@pytest.mark.parametrize(
    "uuid",
    ["00000000-0000-0000-0000-000000000000", "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF",
     "03000200-0400-0500-0006-000700080009", "Not Settable", ""],
)  # fmt: skip
def test_placeholders_are_no_identity(tmp_path: Path, uuid: str) -> None:
    root = _host(tmp_path, uuid=uuid, serial="To Be Filled By O.E.M.", board="B1234")
    assert find_identity(root).text == "serial::B1234"


def test_the_lowest_permanent_mac(tmp_path: Path) -> None:
    for name, mac, kind, device in (
        ("eth0", "52:54:00:00:00:02", "0", True), ("eth1", "52:54:00:00:00:01", "0", True),
        ("veth", "02:00:00:00:00:00", "0", False), ("rand", "02:00:00:00:00:01", "1", True),
    ):  # fmt: skip
        link = tmp_path / "sys/class/net" / name
        (link / "device").mkdir(parents=True) if device else link.mkdir(parents=True)
        (link / "address").write_text(mac)
        (link / "addr_assign_type").write_text(kind)
    assert find_identity(tmp_path).text == "mac:52:54:00:00:00:01"


def test_in_a_container_dmi_is_the_hosts(tmp_path: Path) -> None:
    root = _host(tmp_path, uuid="4C4C4544-0042-3510-8052-B4C04F4A4E31", container="docker",
                 machine_id=MACHINE_ID)  # fmt: skip
    assert find_identity(root).text == f"machine-id:{MACHINE_ID}"
    (root / "etc/machine-id").write_text("uninitialized\n")
    _host(root, eth0="02:42:ac:11:00:02")
    assert find_identity(root).text == "mac:02:42:ac:11:00:02"


def test_none_at_all(tmp_path: Path) -> None:
    with pytest.raises(OverlayError, match=IDENTITY_ENV):
        find_identity(tmp_path)
    assert find_identity(tmp_path, "me").source == "given"


def test_ids_and_macs_are_stable_and_well_formed() -> None:
    one = Identity("uuid:1", "")
    assert one.host_id == Identity("uuid:1", "other").host_id
    assert len(one.host_id) == 16
    macs = {Identity(f"uuid:{n}", "").mac("scbr-100") for n in range(300)}
    assert len(macs) == 300
    for mac in macs:
        assert int(mac[:2], 16) & 3 == 2  # locally administered, unicast
    assert one.mac("scbr-100") != one.mac("edge-vx4")
