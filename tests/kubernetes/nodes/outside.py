"""Who asks: somebody outside the cluster, and one that asks the whole time."""

from __future__ import annotations

import itertools
import socket
import subprocess
from contextlib import suppress

from tests.host.lab import Site
from tests.kubernetes.nodes.node import Node
from tests.kubernetes.services import Client
from tests.netns.namespaces import inside

_ASK = """
import select, ssl, sys, time, urllib.request
context = ssl._create_unverified_context()
while not select.select([sys.stdin], [], [], 0.05)[0]:
    try:
        urllib.request.urlopen(sys.argv[1], timeout=0.5, context=context).read()
        print(time.monotonic(), flush=True)
    except OSError:
        pass
"""


def accepts(site: Site, address: str, port: int) -> bool:
    """Whether somebody accepts a connection from the router, within two seconds."""
    with suppress(OSError), inside(site.namespace):
        socket.create_connection((address, port), 2).close()
        return True
    return False


def answers(site: Site, address: str, port: int, names: set[str]) -> bool:
    """Whether all these names are told to somebody who asks from the router, each time anew."""
    heard = set()
    for _ in range(30):
        client = Client(site.namespace, address, port, 2)
        with suppress(OSError):
            heard.add(client("/", method="GET").strip())
        client.close()
        if names <= heard:
            return True
    return False


class Watch:
    """Asks for an address of HTTPS the whole time, from a node; a context manager."""

    def __init__(self, host: Node, url: str) -> None:
        self._host, self._url = host, url
        self._said = ""

    def __enter__(self) -> Watch:
        words = ["docker", "exec", "--interactive", str(self._host.container.id), "python3", "-c",
                 _ASK, self._url]  # fmt: skip
        self._process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._said = self._process.communicate(timeout=30)[0]  # its input ends

    def gap(self) -> float:
        """The longest time between two answers, in seconds."""
        times = [float(line) for line in self._said.split()]
        return max((b - a for a, b in itertools.pairwise(times)), default=float("inf"))
