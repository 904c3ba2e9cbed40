"""What a unit of Kubernetes' waits for, for how long, and what it says meanwhile."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from overlay_runtime.files import write_atomic
from overlay_runtime.kubernetes import wait as module
from overlay_runtime.kubernetes.wait import GO, STAY, hears_nobody_yet, wait
from overlay_runtime.status import boottime
from tests.unit.cluster.host import AGENT, DROP_IN, K3S, USER_DATA, Host


@pytest.fixture(autouse=True)
def address_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine has no overlay; in the tests of containers the kernel is asked."""
    monkeypatch.setattr(module, "has_address", lambda _at: True)


def ask(host: Host, unit: str = K3S, limit: float = 0.0) -> tuple[int, str]:
    said: list[str] = []
    code = wait(host.paths, unit, limit, said.append)
    return code, "\n".join(said)


def test_it_goes_on_when_all_is_written(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.unit(K3S, enabled=False)
    host.unit(AGENT, enabled=False)
    assert ask(host) == (GO, "")
    assert "advertise-address" in host.read(DROP_IN), "the unit tells that this is a server"


def test_it_ends_in_time_and_says_why(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.unit(K3S)
    host.up(None, problems=["no NIC has an address"])
    began = time.monotonic()
    code, said = ask(host, limit=0.6)
    assert (code, 0.5 < time.monotonic() - began < 3.0) == (STAY, True)
    waits, ends = said.splitlines()
    assert waits.startswith("k3s.service waits for the overlay address (another 1 s): no NIC has")
    assert ends.startswith("k3s.service does not start without the overlay: no NIC has")
    assert not (tmp_path / DROP_IN).exists()


def test_it_goes_on_when_the_overlay_comes_up(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.unit(K3S)
    host.up(None)
    timer = threading.Timer(0.7, host.up)
    timer.start()
    assert ask(host, limit=20.0)[0] == GO
    timer.join()
    assert (tmp_path / DROP_IN).exists()


def test_others_are_waited_for_after_a_boot_but_not_for_long() -> None:
    lost, heard = [{"state": "lost"}], [{"state": "lost"}, {"state": "up"}]
    assert hears_nobody_yet({"started": 100.0, "peers": lost}, 104.9)
    assert not hears_nobody_yet({"started": 100.0, "peers": heard}, 100.1)
    assert not hears_nobody_yet({"started": 100.0, "peers": []}, 105.1)


def test_it_goes_on_when_another_host_is_heard(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.unit(K3S)
    host.up(started=boottime())
    code, said = ask(host)
    assert (code, "no other host is heard yet" in said) == (STAY, True)
    peer = {"name": "two", "address": "100.64.192.6", "physical": [], "transport": "ipv4",
            "last_seen": 0.0, "since": 0.0, "state": "up"}  # fmt: skip
    host.up(started=boottime(), peers=[peer])
    assert ask(host) == (GO, "")


def test_an_agent_that_is_gone_is_waited_for(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.unit(K3S)
    host.up(written=0.0)
    code, said = ask(host)
    assert code == STAY
    assert "edge-overlay.service is not running" in said


@pytest.mark.parametrize(
    "user_data",
    ["#cloud-config\nhostname: x\n", USER_DATA + "  kubernetes: {distribution: none}\n"],
)
def test_without_an_overlay_nothing_is_held_back(tmp_path: Path, user_data: str) -> None:
    host = Host(tmp_path)
    host.unit(K3S)
    host.up(None)
    host.write("run/edge-overlay/user-data", user_data)
    assert ask(host, limit=60.0) == (GO, "")


def test_what_was_written_is_gone_before_it_starts_without_the_overlay(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.unit(K3S)
    host.apply()
    host.user_data("distribution: none")
    assert ask(host, limit=60.0) == (GO, "")
    assert not (tmp_path / DROP_IN).exists()


def test_no_user_data_at_all(tmp_path: Path) -> None:
    host = Host(tmp_path)
    (tmp_path / "run/edge-overlay/user-data").unlink()
    assert ask(host, limit=60.0) == (GO, "")


def test_another_distribution_than_named_is_not_held_back(tmp_path: Path) -> None:
    host = Host(tmp_path, "distribution: rke2")
    host.up(None)
    code, said = ask(host, limit=60.0)
    assert (code, "`kubernetes.distribution` is rke2" in said) == (GO, True)


@pytest.mark.parametrize("trouble", ["waiting", "wrong block"])
def test_a_cluster_of_before_is_never_held_back(tmp_path: Path, trouble: str) -> None:
    """The agent was installed on a host with a running k3s."""
    host = Host(tmp_path)
    host.unit(K3S)
    host.write("var/lib/rancher/k3s/server/db/state.db", "")
    host.up(None)
    if trouble == "wrong block":
        host.write("run/edge-overlay/user-data", USER_DATA + "  vni: x\n")
    code, said = ask(host, limit=60.0)
    assert code == GO
    assert "was set up on this host before" in said


def test_a_wrong_block_holds_a_new_cluster_back(tmp_path: Path) -> None:
    """Else it would be set up on the physical address, for ever."""
    host = Host(tmp_path)
    host.unit(K3S)
    host.write("run/edge-overlay/user-data", USER_DATA + "  vni: x\n")
    code, said = ask(host)
    assert code == STAY
    assert "`vni`: found 'x'" in said


@pytest.mark.parametrize("set_up", [True, False])
def test_a_fault_of_ours_keeps_no_cluster_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, set_up: bool
) -> None:
    host = Host(tmp_path)
    host.unit(K3S)
    if set_up:
        host.write("var/lib/rancher/k3s/server/db/state.db", "")

    def broken(_paths: object) -> None:
        raise KeyError("x")

    monkeypatch.setattr(module, "gather", broken)
    code, said = ask(host)
    assert code == (GO if set_up else STAY)
    assert "a fault of edge-overlay itself: KeyError" in said


def test_what_contradicts_is_said_where_people_look(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.unit(K3S)
    host.write("etc/rancher/k3s/config.yaml", "node-ip: 192.0.2.7\n")
    code, said = ask(host)
    assert (code, "node-ip: 192.0.2.7; expected 100.64.192.5" in said) == (GO, True)


def test_an_unknown_unit(tmp_path: Path) -> None:
    code, said = ask(Host(tmp_path), "nginx.service", 60.0)
    assert (code, "is no unit of Kubernetes" in said) == (GO, True)


def refuse_rancher(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where /etc is read-only: root may write everywhere, so the disk's refusal is made up."""

    def write(path: Path, data: bytes, mode: int, *, sync: bool = True) -> None:
        if "etc/rancher" in str(path):
            raise OSError(30, "Read-only file system")
        write_atomic(path, data, mode, sync=sync)

    monkeypatch.setattr("overlay_runtime.kubernetes.apply.write_atomic", write)


def test_a_cluster_that_is_set_up_starts_with_what_was_written_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = Host(tmp_path)
    host.unit(K3S)
    host.apply()
    host.write("var/lib/rancher/k3s/server/db/state.db", "")
    older = host.write(DROP_IN, host.read(DROP_IN) + "# of an older version\n")
    refuse_rancher(monkeypatch)
    code, said = ask(host)
    assert (code, "Read-only file system" in said) == (GO, True)
    older.unlink()
    assert ask(host)[0] == STAY, "without any node-ip it would register another address"


def test_a_new_cluster_waits_for_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host(tmp_path)
    host.unit(K3S)
    refuse_rancher(monkeypatch)
    code, said = ask(host)
    assert (code, "Read-only file system" in said) == (STAY, True)


def test_a_file_that_says_nothing_holds_nobody_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whose read-only image has all of it in config.yaml."""
    host = Host(tmp_path)
    host.unit(AGENT)
    host.write("etc/rancher/k3s/config.yaml", "node-ip: 100.64.192.5\nflannel-iface: scbr-100\n")
    refuse_rancher(monkeypatch)
    assert ask(host, AGENT)[0] == GO


def test_a_file_of_ours_that_somebody_changed_holds_nobody_back(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.unit(K3S)
    host.apply()
    manifest = "var/lib/rancher/k3s/agent/pod-manifests/edge-overlay-kube-vip.yaml"
    host.write(manifest, host.read(manifest) + "# mine\n")
    host.user_data("kube-vip: {enabled: false}")
    code, said = ask(host)
    assert (code, "was changed by somebody: it is left there" in said) == (GO, True)
    assert host.read(manifest).endswith("# mine\n")
