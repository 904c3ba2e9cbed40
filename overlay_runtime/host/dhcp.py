"""The DHCP clients that others started: which run, and as whom they ask their server."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from overlay_runtime.host.settings import ClientIdentity

_PROGRAMS = ("dhclient", "dhcpcd", "udhcpc")
_LEASES = "var/lib/dhcp"


@dataclass(frozen=True)
class Client:
    """A process: `name` of the program, `words` of its command line."""

    process: int
    name: str
    words: tuple[str, ...]


def clients_of(nic: str) -> list[Client]:
    """Return the DHCP clients that run for a NIC. dhcpcd renames itself: `dhcpcd: eth0 [ip4]`."""
    named = re.compile(rf"(^|[\s.]){re.escape(nic)}(\s|$)")
    return [one for one in _running() if named.search(" ".join(one.words))]


def client_identity(root: Path, nic: str, mac: str) -> ClientIdentity:
    """Return as whom the client that runs for a NIC asks.

    Debian's ifupdown starts dhclient with -i: IAID and DUID as RFC 4361 has them, the IAID being
    the last four bytes of the MAC. dhcpcd does the same where its configuration says `duid`.
    Without them a server goes by the MAC, and finds that lease for a client that sends the MAC as
    its identifier, too.
    """
    duid = ""
    for client in clients_of(nic):
        if client.name == "dhclient" and {"-i", "-D"} & set(client.words):
            duid = _duid_of_dhclient(root, nic)
        elif client.name == "dhcpcd":
            duid = duid or _duid_of_dhcpcd(root)
    if not re.fullmatch(r"([0-9a-f]{2}){4,}", duid):
        return ClientIdentity()
    return ClientIdentity(duid, int(mac.replace(":", "")[-8:], 16))


def leased_servers(root: Path, names: Iterable[str]) -> set[str]:
    """Return the name servers in dhclient's lease files (dhclient.leases(5)) of these NICs."""
    found: set[str] = set()
    for name in names:
        for text in _lease_files(root, name):
            for line in re.findall(r"domain-name-servers ([^;]+);", text):
                found.update(word.strip() for word in line.split(","))
    return found


def _running() -> Iterator[Client]:
    for path in Path("/proc").glob("[0-9]*"):
        try:
            name = (path / "comm").read_text().strip()
            if name in _PROGRAMS:
                text = (path / "cmdline").read_bytes().decode(errors="replace")
                words = tuple(text.replace("\0", " ").split())
                yield Client(int(path.name), name, words)
        except OSError:
            continue  # it has ended meanwhile


def _lease_files(root: Path, nic: str) -> Iterator[str]:
    names = (f"dhclient.{nic}.leases", f"dhclient-{nic}.leases", "dhclient.leases")
    for name in names:
        path = root / _LEASES / name
        if path.exists():
            yield path.read_text(errors="replace")


def _duid_of_dhclient(root: Path, nic: str) -> str:
    for text in _lease_files(root, nic):
        if found := re.search(r'^default-duid "((?:[^"\\]|\\.)*)";', text, re.MULTILINE):
            return _unescaped(found[1]).hex()
    return ""


def _unescaped(text: str) -> bytes:
    """dhclient writes bytes as characters, and what can't be printed as \\ and three octal
    digits."""
    parts = re.findall(r"\\([0-7]{3})|\\(.)|(.)", text, re.DOTALL)
    return bytes(int(octal, 8) if octal else ord(escaped or plain) & 0xFF
                 for octal, escaped, plain in parts)  # fmt: skip


def _duid_of_dhcpcd(root: Path) -> str:
    try:
        text = (root / "etc/dhcpcd.conf").read_text()
        duid = (root / "var/lib/dhcpcd/duid").read_text()
    except OSError:
        return ""
    own = re.search(r"^\s*clientid", text, re.MULTILINE)
    said = re.search(r"^\s*duid", text, re.MULTILINE)
    return duid.strip().replace(":", "") if said and not own else ""
