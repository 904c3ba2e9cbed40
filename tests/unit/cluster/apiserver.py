"""An API server that knows leases and nodes, by HTTPS with certificates of both sides.

The real one is in tests/kubernetes; this one fails when it is told to.
"""

from __future__ import annotations

import base64
import json
import queue
import ssl
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases"


def openssl(directory: Path, *words: str) -> None:
    subprocess.run(["openssl", *words], cwd=directory, check=True, capture_output=True, timeout=60)


def make_certificates(directory: Path) -> None:
    """Make ca, server (for the name `kubernetes` alone, as far as we care) and admin."""
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl(directory, "req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.crt", "-days", "2",
            "-subj", "/CN=kubernetes-ca")  # fmt: skip
    for name, extra in (("server", "subjectAltName=DNS:kubernetes"),
                        ("admin", "extendedKeyUsage=clientAuth")):  # fmt: skip
        openssl(directory, "req", *key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj",
                f"/CN={name}")  # fmt: skip
        (directory / f"{name}.ext").write_text(extra)
        openssl(directory, "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey",
                "ca.key", "-CAcreateserial", "-out", f"{name}.crt", "-days", "2", "-extfile",
                f"{name}.ext")  # fmt: skip


def write_kubeconfig(directory: Path, path: Path) -> Path:
    """Write a kubeconfig as kubeadm does: its server is the VIP, which leads nowhere."""

    def data(name: str) -> str:
        return base64.b64encode((directory / name).read_bytes()).decode()

    path.write_text(yaml.safe_dump({
        "apiVersion": "v1", "kind": "Config", "current-context": "admin@kubernetes",
        "clusters": [{"name": "kubernetes", "cluster": {
            "server": "https://192.0.2.1:6443", "certificate-authority-data": data("ca.crt")}}],
        "contexts": [{"name": "admin@kubernetes",
                      "context": {"cluster": "kubernetes", "user": "admin"}}],
        "users": [{"name": "admin", "user": {"client-certificate-data": data("admin.crt"),
                                             "client-key-data": data("admin.key")}}],
    }))  # fmt: skip
    return path


class FakeApi:
    """Use it as a context manager. `refuse`: what is said to writes; None: they are taken."""

    def __init__(self, directory: Path) -> None:
        self.leases: dict[str, dict[str, Any]] = {}
        self.nodes: dict[str, str] = {}
        self.refuse: tuple[int, str] | None = None
        self.writes: list[dict[str, Any]] = []
        self.asked: list[str] = []
        self._watchers: list[tuple[str, queue.SimpleQueue[bytes | None]]] = []
        self._lock = threading.RLock()
        self._version = 0
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                owner.asked.append(self.path)
                if "?watch=1" in self.path:
                    owner._watch(self)
                else:
                    owner._node(self)

            def do_PUT(self) -> None:
                owner.asked.append(self.path)
                owner._put(self)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(directory / "server.crt", directory / "server.key")
        context.load_verify_locations(directory / "ca.crt")
        context.verify_mode = ssl.CERT_REQUIRED
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.port = int(self._server.server_address[1])

    def __enter__(self) -> FakeApi:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end_watches()
        self._server.shutdown()
        self._server.server_close()

    def write(self, name: str, holder: str) -> None:
        """Write a lease, as its holder does to renew it."""
        with self._lock:
            self._store(
                name,
                {
                    "spec": {
                        "holderIdentity": holder,
                        "leaseDurationSeconds": 5,
                        "leaseTransitions": 3,
                    },
                    "metadata": {"name": name},
                },
            )

    def end_watches(self, last: bytes | None = None) -> None:
        """End all watches, with a last line if one is given."""
        with self._lock:
            for _, lines in self._watchers:
                if last is not None:
                    lines.put(last)
                lines.put(None)
            self._watchers.clear()

    def _store(self, name: str, document: dict[str, Any]) -> None:
        self._version += 1
        document["metadata"]["resourceVersion"] = str(self._version)
        self.leases[name] = document
        for watched, lines in self._watchers:
            if watched == name:
                lines.put(_line("MODIFIED", document))

    def _watch(self, request: BaseHTTPRequestHandler) -> None:
        name = request.path.rpartition("metadata.name%3D")[2]
        lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        with self._lock:
            if name in self.leases:
                lines.put(_line("ADDED", self.leases[name]))
            self._watchers.append((name, lines))
        request.send_response(200)
        request.send_header("Transfer-Encoding", "chunked")
        request.end_headers()
        while (line := lines.get()) is not None:
            request.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
        request.wfile.write(b"0\r\n\r\n")

    def _node(self, request: BaseHTTPRequestHandler) -> None:
        name = request.path.rpartition("/")[2]
        if name not in self.nodes:
            _answer(request, 404, {"message": f'nodes "{name}" not found'})
            return
        addresses = [
            {"type": "Hostname", "address": name},
            {"type": "InternalIP", "address": self.nodes[name]},
        ]
        _answer(request, 200, {"status": {"addresses": addresses}})

    def _put(self, request: BaseHTTPRequestHandler) -> None:
        document = json.loads(request.rfile.read(int(request.headers["Content-Length"])))
        name = request.path.rpartition("/")[2]
        with self._lock:
            self.writes.append(document)
            if self.refuse:
                _answer(request, self.refuse[0], {"message": self.refuse[1]})
            elif document["metadata"]["resourceVersion"] != str(
                self.leases[name]["metadata"]["resourceVersion"]
            ):
                _answer(request, 409, {"message": "the object has been modified"})
            else:
                self._store(name, document)
                _answer(request, 200, document)


def _line(kind: str, document: dict[str, Any]) -> bytes:
    return json.dumps({"type": kind, "object": document}).encode() + b"\n"


def _answer(request: BaseHTTPRequestHandler, status: int, document: dict[str, Any]) -> None:
    data = json.dumps(document).encode()
    request.send_response(status)
    request.send_header("Content-Length", str(len(data)))
    request.end_headers()
    request.wfile.write(data)
