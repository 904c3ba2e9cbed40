"""Files of ours: whole, only where they belong, taken away again; a cluster of before is left."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest

from overlay_runtime.cli import main
from overlay_runtime.kubernetes import record as records
from overlay_runtime.kubernetes.apply import changes
from overlay_runtime.kubernetes.running import stale
from tests.unit.cluster.host import AGENT, DROP_IN, K3S, OWN, USER_DATA, Host

WATCH = "run/edge-overlay/kubernetes/vip.yaml"
POD = "var/lib/rancher/k3s/agent/pod-manifests/edge-overlay-kube-vip.yaml"


def files(root: Path) -> set[str]:
    """All files but the runtime's own."""
    found = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
    return {path for path in found if not path.startswith(("run/", "var/lib/edge-overlay/"))}


def test_written_once_and_mended(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.unit(AGENT)
    assert host.apply().written == [f"/{DROP_IN}"]
    path = tmp_path / DROP_IN
    assert path.stat().st_mode & 0o777 == 0o600
    before = path.stat()
    assert host.apply().written == []
    assert path.stat().st_ino == before.st_ino, "what is right is not touched"
    path.unlink()
    assert host.apply().written == [f"/{DROP_IN}"], "who deletes it gets it back"
    path.write_text("node-ip: 192.0.2.1\n")
    assert host.apply().written == [f"/{DROP_IN}"]
    path.chmod(0o666)
    assert host.apply().written == [f"/{DROP_IN}"]
    assert path.stat().st_mode & 0o777 == 0o600


def test_without_a_block_nothing_is_there(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.unit(K3S)
    before = files(tmp_path)
    host.write("run/edge-overlay/user-data", "#cloud-config\nhostname: x\n")
    host.apply()
    assert files(tmp_path) == before


@pytest.mark.parametrize("end", ["none", "no block"])
def test_what_was_written_goes_away_with_the_overlay(tmp_path: Path, end: str) -> None:
    host = Host(tmp_path)
    host.unit(K3S)
    before = files(tmp_path)
    host.apply()
    assert files(tmp_path) == before | {DROP_IN, POD}
    if end == "none":
        host.user_data("distribution: none")
    else:
        host.write("run/edge-overlay/user-data", "#cloud-config\nhostname: x\n")
    assert set(host.apply().removed) == {f"/{DROP_IN}", f"/{POD}", f"/{WATCH}"}
    assert files(tmp_path) == before
    assert host.problems() == []


@pytest.mark.parametrize("trouble", ["wrong block", "agent gone", "no address"])
def test_what_was_written_stays_in_a_trouble(tmp_path: Path, trouble: str) -> None:
    host = Host(tmp_path)
    host.unit(K3S)
    host.apply()
    before = files(tmp_path)
    if trouble == "wrong block":
        host.write("run/edge-overlay/user-data", USER_DATA + "  vni: x\n")
    elif trouble == "agent gone":
        host.up(written=0.0)
    else:
        host.up(None)
    host.apply()
    assert files(tmp_path) == before


def test_one_that_somebody_changed_is_not_removed(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.unit(AGENT)
    host.apply()
    host.write(DROP_IN, "node-ip: 192.0.2.1\n")
    host.user_data("distribution: none")
    assert "was changed by somebody" in host.apply().failed[0]
    assert host.read(DROP_IN) == "node-ip: 192.0.2.1\n"


def test_another_distribution_takes_the_files_with_it(tmp_path: Path) -> None:
    host = Host(tmp_path, "distribution: k3s")
    host.unit(AGENT)
    host.unit("rke2-agent.service")
    host.apply()
    host.user_data("distribution: rke2")
    host.apply()
    assert DROP_IN not in files(tmp_path)
    assert DROP_IN.replace("k3s", "rke2") in files(tmp_path)


def test_several_are_told_and_nothing_is_written(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.unit(AGENT)
    host.unit("rke2-agent.service")
    assert host.apply().written == []
    assert "k3s and rke2 are both here: name one" in host.problems()[0]
    assert host.apply(AGENT).written == [f"/{DROP_IN}"], "the one that starts tells"


def test_of_several_none_takes_the_files_of_another_away(tmp_path: Path) -> None:
    """A kubelet that a package enabled, and that nobody set up, is started anew for ever."""
    host = Host(tmp_path)
    host.unit(K3S)
    host.unit("kubelet.service")
    host.apply(K3S)
    assert {DROP_IN, POD} <= files(tmp_path)
    assert host.apply("kubelet.service").removed == []
    assert {DROP_IN, POD} <= files(tmp_path)
    host.user_data("distribution: kubeadm")
    assert {f"/{DROP_IN}", f"/{POD}"} <= set(host.apply().removed), "it is named now"


def test_programs_alone_are_several_but_one_is_enabled(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.write("usr/bin/kubeadm", "")
    host.unit(AGENT)
    assert host.plan().detected.distribution == "k3s"


def test_none_is_there(tmp_path: Path) -> None:
    host = Host(tmp_path)
    assert host.apply().written == []
    assert host.problems() == []


@pytest.mark.parametrize("mark", ["server/db/state.db", "agent/kubelet.kubeconfig"])
def test_a_cluster_of_before_is_left_as_it_is(tmp_path: Path, mark: str) -> None:
    """etcd does not start when its address is another: nothing is written until somebody says."""
    host = Host(tmp_path)
    host.unit(K3S)
    host.write(f"var/lib/rancher/k3s/{mark}", "")
    before = files(tmp_path)
    assert host.apply().written == []
    assert files(tmp_path) == before
    assert "was set up on this host before" in host.problems()[0]
    assert f"/{DROP_IN}" in host.apply(adopt=True).written
    host.apply()
    assert DROP_IN in files(tmp_path)
    assert host.problems() == []


def test_a_cluster_that_was_set_up_with_ours_is_ours(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.unit(K3S)
    host.apply()
    host.write("var/lib/rancher/k3s/server/db/state.db", "")
    (tmp_path / DROP_IN).unlink()
    assert host.apply().written == [f"/{DROP_IN}"]
    (tmp_path / "var/lib/edge-overlay/kubernetes.json").unlink()
    assert host.plan().withheld == "", "the file itself tells, when the record is lost"


def test_a_cluster_that_somebody_put_on_the_overlay_by_hand(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.unit(K3S)
    host.write("var/lib/rancher/k3s/server/db/state.db", "")
    host.write("etc/rancher/k3s/config.yaml", f"node-ip: {OWN}\n")
    assert f"/{DROP_IN}" in host.apply().written
    assert "\nnode-ip:" not in host.read(DROP_IN), "it is said already"


def test_a_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host(tmp_path)
    host.unit(AGENT)

    def full(*_arguments: object, **_named: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("overlay_runtime.kubernetes.record.write_atomic", full)
    outcome = host.apply()
    assert outcome.written == []
    assert "No space left" in outcome.failed[0]
    assert not (tmp_path / DROP_IN).exists(), "nothing that is not recorded"


def test_an_odd_thing_in_the_place_of_ours(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.unit(AGENT)
    (tmp_path / DROP_IN).mkdir(parents=True)
    assert "can't be written" in host.apply().failed[0]
    (tmp_path / DROP_IN).rmdir()
    os.mkfifo(tmp_path / DROP_IN)
    assert host.apply().written == [f"/{DROP_IN}"]


def test_who_runs_with_what_was_said_before_is_told(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.unit(AGENT)
    outcome = host.apply()
    [at] = changes(host.paths).values()
    asked = {AGENT: at - 1.0, K3S: None}
    [text] = stale(outcome.plan, host.paths, asked.get)
    assert text.startswith("k3s-agent.service runs with what /etc/rancher/k3s/config.yaml.d/")
    assert "systemctl restart k3s-agent.service" in text
    assert stale(outcome.plan, host.paths, {AGENT: at + 1.0}.get) == []


def test_folders_that_hold_keys_are_closed_as_k3s_has_them(tmp_path: Path) -> None:
    host = Host(tmp_path, "kube-vip: {mode: daemonset}")
    host.unit(K3S)
    host.apply()
    folder = tmp_path / "var/lib/rancher/k3s/server"
    assert [part.stat().st_mode & 0o777 for part in (folder, folder / "manifests")] == [
        0o700, 0o755,
    ]  # fmt: skip


def test_all_is_withdrawn_though_user_data_asks_for_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the package is removed: k3s could not start on an interface that is gone."""
    host = Host(tmp_path)
    host.unit(K3S)
    before = files(tmp_path)
    host.apply()
    assert DROP_IN in files(tmp_path)
    monkeypatch.setenv("EDGE_OVERLAY_ROOT", str(tmp_path))
    assert main(["kubernetes", "--run-dir", str(host.paths.run_dir), "--state-dir",
                 str(host.paths.state_dir), "withdraw"]) == 0  # fmt: skip
    assert files(tmp_path) == before
    assert f"removed: /{DROP_IN}" in capsys.readouterr().out


def test_two_at_once_wait_for_each_other(tmp_path: Path) -> None:
    """The service knows less than the start of a unit: it must not write over what that one did."""
    host = Host(tmp_path)
    host.unit(K3S, enabled=False)
    host.unit(AGENT, enabled=False)
    host.paths.state_dir.mkdir(parents=True)
    service = threading.Thread(target=host.apply)
    with records.alone(host.paths):
        service.start()
        service.join(0.3)
        assert service.is_alive()
        records.save(host.paths, records.Record(started={"k3s": K3S}))
    service.join(10)
    assert "advertise-address" in host.read(DROP_IN), "it has read what the other one left"


def test_who_never_lets_go_holds_nobody_up_for_ever(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.paths.state_dir.mkdir(parents=True)
    with records.alone(host.paths), records.alone(host.paths, limit=0.1):
        pass


@pytest.mark.parametrize("path", [
    "var/lib/edge-overlay/kubernetes.json", "run/edge-overlay/kubernetes/changes.json",
])  # fmt: skip
@pytest.mark.parametrize("text", ["", "5", "{", "[" * 100_000, '{"files": 5, "x": {}}', "\0"])
def test_a_record_that_is_none_is_made_anew(tmp_path: Path, path: str, text: str) -> None:
    host = Host(tmp_path)
    host.unit(K3S)
    host.write(path, text)
    assert host.apply().failed == []
    assert isinstance(json.loads(host.read(path)), dict)
