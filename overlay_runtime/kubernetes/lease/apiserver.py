"""The API server of this host, asked as the administrator whose kubeconfig lies here.

It is asked at the host's own overlay address, whatever the kubeconfig says: that of kubeadm names
the VIP, which is what is away when this is needed. As kube-vip does, it is known by the name
`kubernetes`, which all three distributions put into its certificate.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

_NAME = "kubernetes"
_WATCH_S = 60
"""How long the API server keeps a watch open; then it is asked anew."""

_JSON = {"Accept": "application/json", "Content-Type": "application/json"}
_LONGEST = 1 << 20
"""Bytes of one answer, or of one event of a watch: a lease has less than a thousand."""


class NoKubeconfig(OSError):
    """There is no kubeconfig: Kubernetes makes it when it is set up."""


class Refused(OSError):
    """The API server answers, but not with success; `status` is HTTP's."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"the API server says {status}: {message}")
        self.status = status


@dataclass(frozen=True)
class Credentials:
    """Of a kubeconfig: certificates and key as PEM."""

    authority: str
    certificate: bytes
    key: bytes


def credentials(kubeconfig: Path) -> Credentials:
    """Read a kubeconfig's current context.

    Raises NoKubeconfig, other OSErrors, and ValueError if it has no certificates.
    """
    try:
        text = kubeconfig.read_text()
    except FileNotFoundError as error:
        raise NoKubeconfig(f"{kubeconfig} is not there yet") from error
    try:
        found = yaml.safe_load(text)
        contexts = {one["name"]: one["context"] for one in found["contexts"]}
        context = contexts[found["current-context"]]
        clusters = {one["name"]: one["cluster"] for one in found["clusters"]}
        users = {one["name"]: one["user"] for one in found["users"]}
        cluster, user = clusters[context["cluster"]], users[context["user"]]
        return Credentials(
            _part(kubeconfig, cluster, "certificate-authority").decode("ascii"),
            _part(kubeconfig, user, "client-certificate"),
            _part(kubeconfig, user, "client-key"),
        )
    except (yaml.YAMLError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{kubeconfig} has no certificate of a user: {error!r}") from error


def _part(kubeconfig: Path, block: dict[str, str], name: str) -> bytes:
    """The value itself, or the file that is named instead."""
    inline = block.get(f"{name}-data")
    return base64.b64decode(inline) if inline else (kubeconfig.parent / block[name]).read_bytes()


class ApiServer:
    """Each request has a connection of its own: there are few, and one that is kept is closed by
    the API server after 90 idle seconds, to be found dead when it counts."""

    def __init__(self, address: str, port: int, given: Credentials, timeout: float) -> None:
        """`timeout` in seconds. Raises ssl.SSLError (an OSError) for what are no certificates."""
        self._at = address, port
        self._timeout = timeout
        self._tls = _context(given)

    def get(self, path: str) -> dict[str, Any]:
        """Return an object. Raises OSError, Refused among them."""
        return self._ask("GET", path, None)

    def put(self, path: str, document: dict[str, Any]) -> dict[str, Any]:
        """Write an object, if nobody has since it was read: else Refused with 409 (Conflict)."""
        return self._ask("PUT", path, json.dumps(document).encode())

    def watch(self, path: str, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """Return what happens to one object below `path`: first that it is there ("ADDED"), if it
        is. Ends when the API server ends it. Raises OSError, Refused among them, now and later."""
        query = f"{path}?watch=1&timeoutSeconds={_WATCH_S}&fieldSelector=metadata.name%3D{name}"
        connection, answer = self._request("GET", query, None)
        connection.wait_for(_WATCH_S + self._timeout)
        return _events(connection, answer)

    def _ask(self, method: str, path: str, body: bytes | None) -> dict[str, Any]:
        connection, answer = self._request(method, path, body)
        try:
            found = json.loads(answer.read(_LONGEST))
        except (http.client.HTTPException, ValueError) as error:
            raise _unreadable(error) from error
        finally:
            connection.close()
        if not isinstance(found, dict):
            raise OSError("the API server's answer is no object")
        return found

    def _request(
        self, method: str, path: str, body: bytes | None
    ) -> tuple[_Connection, http.client.HTTPResponse]:
        connection = _Connection(*self._at, self._timeout, self._tls)
        try:
            connection.request(method, path, body, _JSON)
            answer = connection.getresponse()
            if answer.status not in (http.client.OK, http.client.CREATED):
                raise _refused(answer)
        except http.client.HTTPException as error:
            connection.close()
            raise _unreadable(error) from error
        except OSError:
            connection.close()
            raise
        return connection, answer


class _Connection(http.client.HTTPConnection):
    """Connects to an address, and expects the certificate of a name."""

    def __init__(self, address: str, port: int, timeout: float, tls: ssl.SSLContext) -> None:
        super().__init__(address, port, timeout=timeout)
        self._tls = tls

    def connect(self) -> None:
        super().connect()
        self.sock = self._tls.wrap_socket(self.sock, server_hostname=_NAME)

    def wait_for(self, seconds: float) -> None:
        """Wait longer from now on."""
        if self.sock is not None:
            self.sock.settimeout(seconds)


def _events(
    connection: _Connection, answer: http.client.HTTPResponse
) -> Iterator[tuple[str, dict[str, Any]]]:
    """A line of JSON each, as they happen."""
    try:
        while line := answer.readline(_LONGEST):
            event = json.loads(line)
            yield str(event["type"]), event["object"]
    except (http.client.HTTPException, ValueError, KeyError, TypeError) as error:
        raise _unreadable(error) from error
    finally:
        connection.close()


def _unreadable(error: Exception) -> OSError:
    return OSError(f"the API server's answer can't be read: {error!r}")


def _refused(answer: http.client.HTTPResponse) -> Refused:
    try:
        said = str(json.loads(answer.read(_LONGEST))["message"])
    except (http.client.HTTPException, ValueError, KeyError, TypeError):
        said = answer.reason
    return Refused(answer.status, said[:200])


def _context(given: Credentials) -> ssl.SSLContext:
    """The key goes through memory alone: `load_cert_chain` takes nothing but a file."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=given.authority)
    descriptor = os.memfd_create("client")
    try:
        with open(descriptor, "wb", closefd=False) as file:
            file.write(given.certificate + b"\n" + given.key)
        context.load_cert_chain(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)
    return context
