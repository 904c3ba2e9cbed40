"""The lease of a host that is gone: when it is given up, when not, and what goes wrong."""

from __future__ import annotations

import json
import logging
import socket
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
import yaml

from overlay_runtime.config.cluster import KubeVip
from overlay_runtime.kubernetes.lease import hosts as lease_hosts
from overlay_runtime.kubernetes.lease import settings as lease_settings
from overlay_runtime.kubernetes.lease import watch as lease_watch
from overlay_runtime.kubernetes.lease.apiserver import (
    ApiServer,
    NoKubeconfig,
    Refused,
    credentials,
)
from overlay_runtime.kubernetes.lease.hosts import answers
from overlay_runtime.kubernetes.lease.settings import Settings, patience, read
from overlay_runtime.kubernetes.lease.tracker import Record, Silence, Tracker
from overlay_runtime.kubernetes.lease.watch import Watch, released, run
from overlay_runtime.notices import Notice, tell, told
from tests.unit.cluster.apiserver import LEASES, FakeApi, make_certificates, write_kubeconfig
from tests.unit.cluster.host import CIDR, K3S, OWN, Host

RANGE = ip_network(CIDR)
CP, SERVICES = lease_settings.LEASES
WATCH = "run/edge-overlay/kubernetes/vip.yaml"


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """An address is asked for anew at once: no test waits for that."""
    monkeypatch.setattr(lease_hosts, "_LEARN_S", 0.2)


def record(version: str = "1", holder: str = "one", duration: int = 6) -> Record:
    return Record.of({"metadata": {"resourceVersion": version},
                      "spec": {"holderIdentity": holder, "leaseTransitions": 3,
                               "leaseDurationSeconds": duration}})  # fmt: skip


def test_how_long_it_is_waited() -> None:
    """A holder has given up by then; who looks every 2.2 periods takes it, and announces it each
    half a second: within the lease and a second, by default and where the lease is long enough."""
    assert patience(KubeVip()) == 4.0
    assert patience(KubeVip(lease_duration=32, renew_deadline=20, retry_period=4)) == 24.0
    for retry in (1, 2):
        for renew in range(2 * retry, 30):
            timings = KubeVip(lease_duration=renew + 3 * retry, renew_deadline=renew,
                              retry_period=retry)  # fmt: skip
            assert patience(timings) + 2.2 * retry + 0.5 <= timings.lease + 1
    for name, lease in (("kubeadm", 6), ("k3s", 15), ("rke2", 15)):
        default = KubeVip().on(name)
        assert default.lease == lease >= default.renew_deadline + 3 * default.retry_period
        assert KubeVip(lease_duration=9).on(name).lease == 9


@pytest.mark.parametrize(("units", "block", "kubeconfig"), [
    ((K3S,), "", "/etc/rancher/k3s/k3s.yaml"),
    (("rke2-server.service",), "", "/etc/rancher/rke2/rke2.yaml"),
    (("kubelet.service",), "distribution: kubeadm, role: init", "/etc/kubernetes/super-admin.conf"),
    (("kubelet.service",), "distribution: kubeadm, role: init, kube-vip: {mode: daemonset}",
     "/etc/kubernetes/super-admin.conf"),
    ((K3S,), "kube-vip: {fast-failover: false}", None),
    ((K3S,), "kube-vip: {enabled: false}", None),
    (("k3s-agent.service",), "", None),
])  # fmt: skip
def test_what_the_program_is_told(
    tmp_path: Path, units: tuple[str, ...], block: str, kubeconfig: str | None
) -> None:
    host = Host(tmp_path, block)
    for unit in units:
        host.unit(unit)
    host.apply()
    if kubeconfig is None:
        assert read(tmp_path / WATCH) is None
        return
    lease = 6 if "kubeadm" in block else 15
    assert read(tmp_path / WATCH) == Settings(OWN, 6443, Path(kubeconfig), RANGE, lease, 4.0, 1.0)


@pytest.mark.parametrize("text", ["[]", "address: x", "a: [", "address: a\nport: x\n"])
def test_settings_that_are_not_ours(tmp_path: Path, text: str) -> None:
    path = tmp_path / "vip.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"vip\.yaml"):
        read(path)


def test_a_lease_is_overdue_and_then_due() -> None:
    tracker = Tracker(lease=6, patience=4.0, retry=1.0)
    tracker.seen(record(), 10.0)
    assert tracker.overdue() == record()
    assert tracker.until_overdue(10.5) == pytest.approx(0.75)
    assert tracker.until_overdue(12.0) == 0.0
    assert tracker.until_due(12.0) == pytest.approx(2.0)
    tracker.seen(record(), 12.0)  # the same: a watch that began anew
    assert tracker.until_due(14.1) == 0.0
    tracker.seen(record("2"), 15.0)
    assert tracker.until_due(15.0) == pytest.approx(4.0)


def test_what_is_never_overdue() -> None:
    tracker = Tracker(lease=6, patience=4.0, retry=1.0)
    assert tracker.overdue() is None, "nothing was seen"
    tracker.seen(record(holder=""), 0.0)
    assert tracker.overdue() is None, "nobody has it"
    tracker.seen(record("2", duration=15), 0.0)
    assert tracker.overdue() is None, "its holder has other timings, and goes on for longer"
    tracker.seen(record("3"), 0.0)
    tracker.over = True
    assert tracker.overdue() is None, "it was dealt with"
    tracker.seen(record("4"), 100.0)
    assert tracker.overdue() is not None
    tracker.seen(None, 200.0)
    assert tracker.overdue() is None, "it is no more"


def test_one_packet_may_be_lost_and_who_lives_is_asked_ever_more_rarely() -> None:
    silence = Silence(1.0)
    silence.asked(0.0, 0.4, answered=False)
    assert not silence.is_sure(5.0)
    silence.asked(0.6, 1.0, answered=False)
    assert not silence.is_sure(1.9)
    assert silence.is_sure(2.0)
    silence.asked(1.2, 1.2, answered=True)
    assert not silence.is_sure(9.0)
    waits = []
    for _ in range(8):
        silence.asked(0.0, 0.0, answered=True)
        waits.append(silence.next)
    assert waits == [2.0, 4.0, 8.0, 10.0, 10.0, 10.0, 10.0, 10.0]


def test_a_release_is_what_client_go_writes() -> None:
    before = record("7")
    after = released(before, datetime(2026, 11, 28, 17, 2, 3, 45, UTC))
    assert after == {
        "metadata": {"resourceVersion": "7"},
        "spec": {"holderIdentity": "", "leaseDurationSeconds": 1, "leaseTransitions": 3,
                 "acquireTime": "2026-11-28T17:02:03.000045Z",
                 "renewTime": "2026-11-28T17:02:03.000045Z"},
    }  # fmt: skip
    assert before.document["spec"]["holderIdentity"] == "one"


class Site:
    """An API server, and a watch over it whose hosts answer as they are told to."""

    def __init__(self, directory: Path, api: FakeApi) -> None:
        kubeconfig = write_kubeconfig(directory, directory / "admin.conf")
        self.api = api
        self.silent: set[str] = set()
        self.asked: list[str] = []
        self.reports: list[tuple[str, ...]] = []
        settings = Settings("127.0.0.1", api.port, kubeconfig, RANGE, 5, patience=0.6, retry=0.2)
        self.watch = Watch(settings, self.reports.append, ask=self._ask)
        api.nodes = {"one": "100.64.192.11", "two": "100.64.192.12"}

    def until(self, what: Callable[[], Any], seconds: float = 10.0) -> None:
        ends = time.monotonic() + seconds
        while not what():
            assert time.monotonic() < ends, (self.api.asked, self.asked)
            self.watch.step()

    def pass_time(self, seconds: float) -> int:
        """Return in how many steps."""
        ends, steps = time.monotonic() + seconds, 0
        while time.monotonic() < ends:
            self.watch.step()
            steps += 1
        return steps

    def _ask(self, address: str, _port: int, limit: float) -> bool:
        self.asked.append(address)
        if address not in self.silent:
            return True
        time.sleep(limit)
        return False


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("pki")
    make_certificates(directory)
    return directory


@pytest.fixture
def site(certificates: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setattr(lease_watch, "_CHECK_S", 0.3)
    monkeypatch.setattr(lease_watch, "_AGAIN_S", 0.1)
    with FakeApi(certificates) as api:
        made = Site(certificates, api)
        yield made
        made.watch.stop()


def holder(api: FakeApi, name: str) -> str:
    return str(api.leases[name]["spec"]["holderIdentity"])


def test_a_host_that_is_gone_loses_its_leases(site: Site) -> None:
    for name in (CP, SERVICES):
        site.api.write(name, "one")
    site.silent.add("100.64.192.11")
    site.watch.start()
    began = time.monotonic()
    site.until(lambda: not holder(site.api, CP) and not holder(site.api, SERVICES))
    assert time.monotonic() - began >= 0.6
    assert [one["spec"]["leaseTransitions"] for one in site.api.writes] == [3, 3]
    site.pass_time(1.0)
    assert len(site.api.writes) == 2, "once is enough"


def test_another_ones_lease_is_left_alone(site: Site) -> None:
    site.api.write(CP, "one")
    site.api.write(SERVICES, "two")
    site.silent.add("100.64.192.11")
    site.watch.start()
    site.until(lambda: not holder(site.api, CP))
    site.pass_time(1.0)
    assert holder(site.api, SERVICES) == "two"


def test_a_host_that_answers_keeps_what_it_does_not_renew(site: Site) -> None:
    """Its API server may be slow, and its kube-vip dead: that is for kube-vip's own time."""
    site.api.write(CP, "one")
    site.watch.start()
    site.until(lambda: site.asked)
    site.pass_time(2.0)
    assert site.api.writes == []
    assert len(site.asked) < 6


def test_a_silent_host_that_renews_keeps_it(site: Site) -> None:
    """Others may reach it where this host does not."""
    site.api.write(CP, "one")
    site.silent.add("100.64.192.11")
    site.watch.start()
    for _ in range(6):
        site.pass_time(0.1)
        site.api.write(CP, "one")
    assert holder(site.api, CP) == "one"


def test_a_watch_that_begins_anew_is_no_sign_of_life(site: Site) -> None:
    site.api.write(CP, "one")
    site.silent.add("100.64.192.11")
    site.watch.start()
    began = time.monotonic()
    while holder(site.api, CP):
        site.pass_time(0.2)
        site.api.end_watches()
        assert time.monotonic() - began < 10


@pytest.mark.parametrize("change", [{}, {"three": "10.0.0.3"}, {"three": "no address"}])
def test_a_host_without_a_known_address_keeps_it(site: Site, change: dict[str, str]) -> None:
    site.api.nodes = change
    site.api.write(CP, "three")
    site.silent |= {"10.0.0.3", "no address"}
    site.watch.start()
    site.until(lambda: "/api/v1/nodes/three" in site.api.asked)
    steps = site.pass_time(1.5)
    assert site.api.writes == [] and site.asked == []
    assert steps < 40, "it waits, and does not ask and ask"


def test_who_renews_at_the_last_moment_keeps_it(site: Site) -> None:
    """What was written since is not seen here yet: the API server refuses."""
    site.api.write(CP, "one")
    site.silent.add("100.64.192.11")
    site.watch.start()
    site.until(lambda: site.asked)
    site.api.leases[CP]["metadata"]["resourceVersion"] = "99"
    site.until(lambda: site.api.writes)
    site.pass_time(1.0)
    assert holder(site.api, CP) == "one"
    assert len(site.api.writes) == 1


def test_without_the_right_it_is_tried_once(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    site.api.refuse = (403, "leases is forbidden")
    site.api.write(CP, "one")
    site.silent.add("100.64.192.11")
    site.watch.start()
    site.until(lambda: site.api.writes)
    site.pass_time(1.5)
    assert len(site.api.writes) == 1
    assert "is not given up: the API server says 403: leases is forbidden" in caplog.text


def test_while_etcd_has_no_leader_it_is_tried_again(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    site.api.refuse = (503, "etcdserver: no leader")
    site.api.write(CP, "one")
    site.silent.add("100.64.192.11")
    site.watch.start()
    site.until(lambda: len(site.api.writes) >= 3)
    site.api.refuse = None
    site.until(lambda: not holder(site.api, CP))
    assert caplog.text.count("etcdserver: no leader") == 1, "the log is not flooded"


@pytest.mark.parametrize("last", [
    None, b"no JSON\n", b'{"type": "MODIFIED"}\n', b'{"type": "MODIFIED", "object": {}}\n',
    b'{"type": "ERROR", "object": {"message": "too old resource version"}}\n',
])  # fmt: skip
def test_a_watch_that_ends_begins_anew(site: Site, last: bytes | None) -> None:
    site.api.write(CP, "one")
    site.watch.start()
    site.until(lambda: "/api/v1/nodes/one" in site.api.asked)
    count = len(site.api.asked)
    site.api.end_watches(last)
    site.until(lambda: any(CP in path for path in site.api.asked[count:]))
    site.silent.add("100.64.192.11")
    site.until(lambda: not holder(site.api, CP))


def test_a_lease_that_is_deleted(site: Site) -> None:
    site.api.write(CP, "one")
    site.silent.add("100.64.192.11")
    site.watch.start()
    site.until(lambda: "/api/v1/nodes/one" in site.api.asked)
    line = json.dumps({"type": "DELETED", "object": site.api.leases.pop(CP)}).encode() + b"\n"
    site.api.end_watches(line)
    site.pass_time(1.5)
    assert site.api.writes == []


def test_trouble_that_lasts_is_told_and_taken_back(
    site: Site, certificates: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease_watch, "_GRAVE_S", 0.5)
    path = certificates / "admin.conf"
    right = path.read_text()
    path.write_text(right.replace("current-context: admin", "current-context: nobody"))
    site.watch.start()
    site.until(lambda: site.reports)
    [told_] = site.reports[0]
    assert told_.startswith("Kubernetes: kube-vip's lease can't be watched")
    assert "admin.conf has no certificate of a user" in told_
    path.write_text(right)
    site.until(lambda: site.reports[-1] == ())


def test_before_kubernetes_is_set_up_there_is_no_trouble(
    site: Site, certificates: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease_watch, "_GRAVE_S", 0.0)
    (certificates / "admin.conf").unlink()
    site.watch.start()
    site.pass_time(1.0)
    assert site.reports == []
    write_kubeconfig(certificates, certificates / "admin.conf")
    site.api.write(CP, "one")
    site.until(lambda: "/api/v1/nodes/one" in site.api.asked)


def test_it_ends_with_its_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease_watch, "_CHECK_S", 0.1)
    path, notices = tmp_path / "vip.yaml", tmp_path / "notices"
    assert run(path, notices) == 0
    path.write_text(lease_settings.written(KubeVip(), ip_address(OWN), RANGE, 6443,
                                           tmp_path / "none"))  # fmt: skip
    once = iter([read(path), read(path), None])
    monkeypatch.setattr(lease_watch, "read", lambda _path: next(once))
    assert run(path, notices) == 0
    assert [one.problems for one in told(notices)] == [()]


def test_what_one_that_ran_before_has_left_in_status_is_gone(tmp_path: Path) -> None:
    tell(tmp_path / "notices", Notice("vip", ("can't be watched",)))
    assert run(tmp_path / "vip.yaml", tmp_path / "notices") == 0
    assert [one.problems for one in told(tmp_path / "notices")] == [()]


@pytest.mark.parametrize("text", [
    "users: [{name: admin, user: null}]", "users: null", "x", "[]", "",
    "users: [{name: admin, user: {client-certificate: none.crt, client-key: none.key}}]",
])  # fmt: skip
def test_a_kubeconfig_that_is_of_no_use_is_told(
    certificates: Path, tmp_path: Path, text: str
) -> None:
    path = write_kubeconfig(certificates, tmp_path / "k.conf")
    found = yaml.safe_load(text)
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | found)
                    if isinstance(found, dict) else text)  # fmt: skip
    with pytest.raises((ValueError, FileNotFoundError)) as caught:
        credentials(path)
    assert not isinstance(caught.value, NoKubeconfig)


def test_a_client_that_the_server_does_not_know_is_refused(
    certificates: Path, tmp_path: Path
) -> None:
    """And a server that our authority did not sign is not spoken to."""
    make_certificates(tmp_path)
    strange = credentials(write_kubeconfig(tmp_path, tmp_path / "admin.conf"))
    ours = credentials(write_kubeconfig(certificates, certificates / "admin.conf"))
    with FakeApi(certificates) as api:
        with pytest.raises(OSError, match="certificate verify failed"):
            ApiServer("127.0.0.1", api.port, strange, 2.0).get("/api/v1/nodes/one")
        with pytest.raises(Refused, match='404: nodes "one" not found'):
            ApiServer("127.0.0.1", api.port, ours, 2.0).get("/api/v1/nodes/one")
    assert api.asked == ["/api/v1/nodes/one"]


def test_a_kubeconfig_may_name_files(certificates: Path, tmp_path: Path) -> None:
    path = write_kubeconfig(certificates, tmp_path / "k.conf")
    inline = credentials(path)
    found = yaml.safe_load(path.read_text())
    user = found["users"][0]["user"]
    for key, name in (("client-certificate", "admin.crt"), ("client-key", "admin.key")):
        del user[f"{key}-data"]
        user[key] = str(certificates / name)
    path.write_text(yaml.safe_dump(found))
    assert credentials(path) == inline


def test_whether_a_host_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert answers("127.0.0.1", port, 2.0)
    assert answers("127.0.0.1", port, 2.0), "a closed port is an answer"
    began = time.monotonic()
    assert not answers("240.0.0.1", port, 0.2)
    assert time.monotonic() - began < 5


def test_where_it_asks(site: Site) -> None:
    site.api.write(CP, "one")
    site.silent.add("100.64.192.11")
    site.watch.start()
    site.until(lambda: not holder(site.api, CP))
    assert set(site.asked) == {"100.64.192.11"}
    assert {path.partition("?")[0] for path in site.api.asked} == {
        LEASES, "/api/v1/nodes/one", f"{LEASES}/{CP}",
    }  # fmt: skip
