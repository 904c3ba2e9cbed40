"""User-data by the hundred thousand: `python -m tests.fuzz.documents [RUNS] [SEED]`.

Good files are mutated by line, word and character; no finding, no report of it, and no run of its
stages may fail or take long.
"""

from __future__ import annotations

import random
import resource
import sys
import time
from pathlib import Path

from builder.validate.report import FORMATS, render
from overlay_runtime.userdata import netconfig
from overlay_runtime.userdata.check import findings
from tests.fuzz import stages

_ROOT = Path(__file__).parents[2]
_LONGEST_S = 2.0

_WHOLE = """\
#cloud-config
overlay:
  cidr: 100.64.192.0/23
  secret: "sixteen characters"
  peers: [192.0.2.9, gate.example.org]
  metrics-listen: 127.0.0.1:9797
  kubernetes-ranges: [10.42.0.0/16, 10.43.0.0/16]
  kubernetes:
    distribution: k3s
    role: server
    external-names: [edge.example.com, 198.51.100.7, '2001:db8::7']
    cni: calico
    kube-vip: {enabled: true, mode: daemonset, services-interface: eth0,
      lease-duration: 5, renew-deadline: 3, retry-period: 1, image: r.example.org/kv:v1.0.0}
name: site
hostname: node-{{ trunc 4 .MachineID }}
users:
  - name: edge
    ssh_authorized_keys: [github:somebody]
write_files:
  - {path: /etc/x, permissions: '0644', content: x}
runcmd: [reboot]
install: {device: auto, partitions.oem.size: 60}
stylus:
  site:
    edgeHostToken: token
    network:
      httpProxy: http://proxy.example.org:3128
      noProxy: 100.64.0.0/10
      nameserver: 192.0.2.53, 2001:db8::53
      interfaces:
        eth0:
          type: static
          ipAddress: 192.0.2.10
          mask: 255.255.255.0
          gateway: 192.0.2.1
        bond0: {bond: {interfaces: [eth1, eth2], mode: 802.3ad}, addresses: ['fd00::5/64']}
        lan: {match: {macAddress: 52:54:00:12:34:56}, mtu: 9000}
stages:
  initramfs:
    - &step
      name: first
      if: '[ -e /etc/x ]'
      only_os: debian|ubuntu
      files:
        - path: /etc/y
          permissions: 0o644
          content: |
            {{- range $i, $v := .Values.network }}
            {{ $v.name | upper | printf "%s-%d" (index $.Values "node") }}
            {{ else }}none{{ end -}}
      sysctl: {net.ipv4.ip_forward: 1}
  network:
    - <<: *step
      after: [{name: site.1}]
    - commands:
        - curl http://192.0.2.1/{{ if eq .Values.node.hostname "a" }}a{{ else if true }}b{{ end }}
"""

_NETWORK_CONFIG = """\
network:
  version: 2
  ethernets:
    lan: {match: {macaddress: 52:54:00:12:34:56}, set-name: lan0, gateway4: 10.0.10.1,
      addresses: [10.0.10.25/24, {10.0.10.26/24: {lifetime: 0}}], link-local: [ipv6]}
    eth1: {dhcp4: true, dhcp4-overrides: {use-dns: false}}
  bonds:
    bond0: {interfaces: [eth1], parameters: {mode: 802.3ad}}
  vlans:
    till: {id: 17, link: bond0, routes: [{to: default, via: 10.17.0.1, metric: 5}]}
"""

_WORDS = (
    "{{ {{- }} -}} {{end}} {{if .}} {{range}} $x := | ( ) \"a` 'a .Values nil 0x1g 1e999 /* */ * & "
    "&a *a <<: ? : - [ ] { } , # ! !!int !!binary !!float | > >- --- ... %YAML ~ null .inf .nan "
    '0644 0o644 0888 644 1_0 52:54:00 2024-99-99 true yes \'\' "\\x" "\\ud800" /33 /0 0.0.0.0/0 '
    "::/0 fe80::1%eth0 1.2.3.4.5 99999999999999999999 -1 after name commands static dhcp"
).split(" ")


def mutated(chance: random.Random, seeds: list[str]) -> str:
    """Return a file that has been through a few accidents."""
    lines = chance.choice(seeds).splitlines()
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        if not lines:
            break
        at = chance.randrange(len(lines))
        kind = chance.choice((0, 1, 2, 3, 3, 3, 5, 6, 6, 6, 7))
        if kind == 0:
            del lines[at]
        elif kind == 1:
            lines.insert(chance.randrange(len(lines)), lines[at])
        elif kind == 2:
            lines[at] = " " * chance.randrange(12) + lines[at].lstrip()
        elif kind == 3:
            words = lines[at].split(" ")
            words[chance.randrange(len(words))] = chance.choice(_WORDS)
            lines[at] = " ".join(words)
        elif kind == 5:
            cut = chance.randrange(len(lines[at]) + 1)
            lines[at] = lines[at][:cut] + chr(chance.randrange(0x500)) + lines[at][cut + 1 :]
        elif kind == 6:
            lines[at] = lines[at].partition(":")[0] + ": " + chance.choice(_WORDS)
        else:
            lines[at] += chance.choice(_WORDS) * chance.choice((1, 1, 1, 50))
    return "\n".join(lines) + chance.choice(("\n", "", "\r\n"))


def main(runs: int, seed: int) -> None:
    """Run; an exception ends the process, with the file that caused it."""
    with stages.stages() as host:
        _run(runs, seed, host)


def _run(runs: int, seed: int, host: stages.Stages) -> None:
    chance = random.Random(seed)
    seeds = [
        _WHOLE,
        _NETWORK_CONFIG,
        stages.SEED,
        *(path.read_text() for path in (_ROOT / "examples").glob("user-data*.yaml")),
    ]
    began, slowest, count, said = time.monotonic(), 0.0, 0, 0
    for count in range(1, runs + 1):
        text = mutated(chance, seeds)
        started = time.process_time()
        try:
            found = findings(text, "user-data") + netconfig.findings(text, "network-config")
            for form in FORMATS:
                render(found, form)
            host.run(text)
            took = time.process_time() - started
            assert took < _LONGEST_S, f"{took:.1f} s"
        except BaseException:
            Path("build").mkdir(exist_ok=True)
            Path("build/failing-user-data.yaml").write_text(text, errors="surrogatepass")
            print("failed with build/failing-user-data.yaml", file=sys.stderr)
            raise
        slowest, said = max(slowest, took), said + len(found)
        if count % max(1, runs // 5) == 0:
            # What is in use now: the most that ever was (ru_maxrss) grows without any leak.
            memory = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
            print(f"documents: {count} in {time.monotonic() - began:.0f} s, {said} findings, "
                  f"slowest {slowest * 1000:.0f} ms, {host.steps} steps, {host.commands} commands, "
                  f"RSS {memory >> 10} KiB", flush=True)  # fmt: skip


if __name__ == "__main__":
    main(int((sys.argv[1:] or ["200000"])[0]), int((sys.argv[2:] or ["1"])[0]))
