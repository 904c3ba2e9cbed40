"""Programs that run in a host's namespace, and HTTP to them from inside it."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.netns.lab import Host
from tests.netns.namespaces import inside


class Service:
    """A program of a host; what it writes is in `<directory of the host>/<name>.log`."""

    def __init__(
        self,
        host: Host,
        name: str,
        command: Sequence[str | Path],
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.host = host
        self.name = name
        self._command = [str(word) for word in command]
        self._environment = dict(environment or {})
        self._process: subprocess.Popen[bytes] | None = None
        self.started = 0.0
        """When it was started last (`time.time()`)."""

    def start(self) -> None:
        """Start it, again if it ended."""
        self.started = time.time()
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                ["ip", "netns", "exec", self.host.namespace, *self._command],
                cwd=self.host.directory, env=os.environ | self._environment,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip

    def running(self) -> bool:
        """Whether it runs."""
        return self._process is not None and self._process.poll() is None

    def process_id(self) -> int | None:
        """Its process, if it runs."""
        return self._process.pid if self._process and self.running() else None

    def stop(self, number: int = signal.SIGKILL, seconds: float = 10.0) -> None:
        """End it with a signal and wait for that; nothing if it doesn't run."""
        if self._process is not None:
            if self._process.poll() is None:
                self._process.send_signal(number)
            self._process.wait(seconds)
            self._process = None

    def log(self) -> str:
        """All that it wrote."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    @property
    def _log(self) -> Path:
        return self.host.directory / f"{self.name}.log"


class Connection(http.client.HTTPConnection):
    """HTTP from inside a namespace, kept open over requests; with TLS if a context is given."""

    def __init__(
        self, namespace: str, address: str, port: int, timeout: float, tls: ssl.SSLContext | None
    ) -> None:
        super().__init__(address, port, timeout=timeout)
        self._namespace = namespace
        self._tls = tls

    def connect(self) -> None:
        """Connect; the socket stays in the namespace."""
        with inside(self._namespace):
            made = socket.create_connection((self.host, self.port), self.timeout)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = self._tls.wrap_socket(made, server_hostname=self.host) if self._tls else made


class Client:
    """JSON over HTTP from a namespace; after an error the next request connects anew."""

    def __init__(
        self,
        namespace: str,
        address: str,
        port: int,
        timeout: float = 5.0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._made = (namespace, address, port, timeout, tls)
        self._connection = Connection(*self._made)

    def __call__(self, path: str, body: Any = None, method: str = "POST", kind: str = "") -> Any:
        """Return the answer.

        Raises OSError if there is none, or one that is no success.
        """
        data = None if body is None else json.dumps(body)
        try:
            self._connection.request(
                method, path, data, {"Content-Type": kind or "application/json"}
            )
            answer = self._connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            self._connection = Connection(*self._made)
            raise OSError(f"{path}: {error!r}") from error
        if answer.status >= 300:
            raise OSError(f"{path}: {answer.status} {text[:300]!r}")
        return json.loads(text) if text.startswith((b"{", b"[")) else text.decode()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
