"""What can't be carried over is said before anything is changed; undo doesn't run over people."""

from __future__ import annotations

from tests.host.conftest import Make, copy
from tests.host.lab import Machine
from tests.host.managers import MANAGERS

IFUPDOWN = MANAGERS[6]
_DRY = "edge-overlay host prepare --dry-run 2>&1 </dev/null"
_NETWORK = (
    "ip address | sed '/valid_lft/d; s/ tentative//'; ip route; ip -6 route; cat /etc/resolv.conf"
)
_UNITS = (
    "systemctl list-units --state=active --type=service --plain --no-legend | cut -d' ' -f1; "
    "systemctl list-unit-files --type=service,socket --no-legend"
)
_OURS = "find / -xdev -path /proc -prune -o -path /root -prune -o -path '*edge-overlay*' -print"
_PURGE = "dpkg --purge --force-depends edge-overlay"
_LO = "auto lo\niface lo inet loopback\n"
_NIC = "auto eth0\niface eth0 inet static\n    address 10.77.0.20/24\n"


def _refused(host: Machine, *words: str) -> None:
    tree = host.tree()
    code, said = host.try_run(_DRY)
    assert code == 69, said
    assert "Traceback" not in said
    for word in words:
        assert word in said
    assert host.tree() == tree
    assert host.state() == {}


def test_what_cant_be_carried_over(make: Make) -> None:
    host = make(IFUPDOWN)
    interfaces = "/etc/network/interfaces"
    for text, word in (
        (f"{_NIC}    post-up iptables -A INPUT -j ACCEPT\n", "post-up iptables"),
        (f"{_NIC}    wpa-ssid shop\n", "wpa-ssid"),
        ("auto eth0\niface eth0 inet ppp\n    provider dsl\n", "ppp"),
        ("auto eth0\niface eth0 inet dhcp\n    bridge_ports none\n", "bridge-ports"),
        (f"mapping eth0\n    script /bin/x\n{_NIC}", "mapping"),
    ):
        host.write(interfaces, _LO + text)
        _refused(host, interfaces, word)
    host.write(interfaces, f"{_LO}{_NIC}    post-up ip route add 10.99.0.0/16 via 10.77.0.2\n")
    assert host.try_run(_DRY.replace("--dry-run", "--dry-run --ignore-commands"))[0] == 0
    _refused(host, "--ignore-commands")


def test_what_is_missing_or_wrong(make: Make) -> None:
    host = make(IFUPDOWN)
    code, said = host.try_run(_DRY + " --target 10.99.99.99")
    assert code == 69 and "10.99.99.99" in said
    code, said = host.try_run("edge-overlay host prepare </dev/null 2>&1")
    assert code == 69 and "--yes" in said
    host.run("touch /root/r; mount --bind /root/r /etc/resolv.conf")
    _refused(host, "/etc/resolv.conf is a mount")
    host.run("umount /etc/resolv.conf")
    unit = "/usr/lib/systemd/system/systemd-resolved.service"
    host.run(f"mv {unit} {unit}.away; systemctl daemon-reload")
    _refused(host, "systemd-resolved", "apt install")


def test_undo_minds_what_others_changed(make: Make) -> None:
    host = make(IFUPDOWN)
    tree = host.tree()
    host.run("edge-overlay host prepare --yes --no-confirm --lost-after 20 </dev/null 2>&1")
    path = "/etc/systemd/network/10-edge-host-eth0.network"
    host.run(f"echo '# mine' >>{path}")
    code, said = host.try_run("edge-overlay host undo --yes </dev/null 2>&1")
    assert code == 69 and path in said and "--force" in said
    assert host.try_run("edge-overlay host prepare --yes </dev/null 2>&1")[0] == 69
    host.run("edge-overlay host undo --yes --force </dev/null 2>&1")
    assert host.tree() == tree
    assert "# mine" in host.run("cat /var/lib/edge-overlay/host/kept/*")
    for _ in range(2):
        assert "Nothing is to be taken back" in host.run("edge-overlay host undo --yes")


def test_installing_and_removing_changes_no_network(make: Make) -> None:
    host = make(IFUPDOWN, package=False)
    tree, network = host.tree(), host.run(_NETWORK)
    units = host.run(_UNITS)
    make.install(host)
    assert host.run(_NETWORK) == network
    new = set(host.run(_UNITS).splitlines()) ^ set(units.splitlines())
    assert not [line for line in new if "edge-overlay" not in line]
    assert not [line for line in host.tree() if line not in tree and "edge-overlay" not in line
                and not line.startswith("/etc/systemd/system")]  # fmt: skip
    code, said = host.try_run("edge-overlay host check")
    assert code == 1 and "ifupdown would set NICs up" in said and "host prepare" in said
    host.run("man -w edge-overlay || test -f /usr/share/man/man8/edge-overlay.8.gz")

    host.run("edge-overlay host prepare --yes --no-confirm --lost-after 20 </dev/null 2>&1")
    prepared, network = host.tree(), host.run(_NETWORK)
    said = host.run(f"{_PURGE} 2>&1")
    assert "stays with systemd-networkd" in said
    assert host.run(_NETWORK) == network
    gone = set(prepared) - set(host.tree())
    assert not [line for line in gone if "edge-overlay" not in line
                and not line.startswith("/etc/systemd/system ")]  # fmt: skip
    left = host.run(f"{_OURS} | grep -v ^/var/lib/edge-overlay/host/ || true").split()
    assert left == ["/var/lib/edge-overlay", "/var/lib/edge-overlay/host"]

    make.install(host)  # and what was kept is enough
    host.run("edge-overlay host undo --yes </dev/null 2>&1")
    host.run(f"{_PURGE} 2>&1")
    assert host.tree() == tree


def test_the_tarball(make: Make) -> None:
    host = make(IFUPDOWN, package=False)
    copy(make.lab.agent / "edge-overlay.tar.gz", host, "/root/agent.tar.gz")
    host.run("tar -C /root -xzf /root/agent.tar.gz")
    before = host.run("find /usr /etc | sort")
    host.run("/root/edge-overlay-agent-*/install.sh 2>&1")
    assert "edge-overlay-host" in host.run("systemctl list-unit-files 'edge-*'")
    host.run("edge-overlay host prepare --yes --no-confirm --lost-after 20 </dev/null 2>&1")
    assert host.ready()
    host.run("edge-overlay host undo --yes </dev/null 2>&1")
    host.run("/root/edge-overlay-agent-*/install.sh 2>&1")  # again is no harm
    host.run("/usr/lib/edge-overlay/uninstall.sh 2>&1")
    ours = {"/etc/edge-overlay"}
    assert set(host.run("find /usr /etc | sort").split()) - set(before.split()) <= ours


def test_an_old_python_is_refused(make: Make) -> None:
    host = make(None, package=False)
    copy(make.lab.agent / "edge-overlay.deb", host, "/root/edge-overlay.deb")
    host.run("mv /usr/bin/python3 /usr/bin/python3.away")
    host.write("/usr/bin/python3", "#!/bin/sh\nexit 1\n", 0o755)
    code, said = host.try_run("dpkg --force-depends -i /root/edge-overlay.deb 2>&1")
    assert code != 0 and "older than 3.11" in said
    assert host.try_run("test -e /usr/bin/edge-overlay")[0] != 0
