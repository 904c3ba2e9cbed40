"""The metrics' file and server."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import pytest

from overlay_runtime import exporter
from overlay_runtime.config.schema import parse_user_data
from overlay_runtime.errors import ConfigError
from overlay_runtime.exporter import MetricsFile, MetricsServer


async def _ask(port: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        return await asyncio.wait_for(reader.read(), 5)
    except ConnectionError:
        return b""
    finally:
        writer.close()


def _answers(*requests: bytes, text: str = "m 1\n") -> list[bytes]:
    async def run() -> list[bytes]:
        server = MetricsServer("127.0.0.1:0", lambda: text)
        await server.start()
        assert server._server
        port = server._server.sockets[0].getsockname()[1]
        try:
            return list(await asyncio.gather(*(_ask(port, request) for request in requests)))
        finally:
            server.close()

    return asyncio.run(run())


def test_only_get_metrics_is_answered() -> None:
    get, head, other, post = _answers(
        b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", b"HEAD /metrics HTTP/1.1\r\n\r\n",
        b"GET /etc/passwd HTTP/1.1\r\n\r\n", b"POST /metrics HTTP/1.1\r\n\r\n",
    )  # fmt: skip
    assert get.startswith(b"HTTP/1.1 200 OK\r\n") and get.endswith(b"\r\n\r\nm 1\n")
    assert b"Content-Length: 4\r\n" in head and head.endswith(b"\r\n\r\n")
    assert other.startswith(b"HTTP/1.1 404 ") and b"m 1" not in other
    assert post.startswith(b"HTTP/1.1 405 ")


def test_a_request_without_end_and_a_silent_one_cost_little(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(exporter, "_REQUEST_SECONDS", 0.3)
    assert _answers(b"GET /" + b"x" * 100_000, b"GET /metrics") == [b"", b""]


def test_many_connections_at_once_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporter, "_MOST_CONNECTIONS", 2)
    request = b"GET /metrics HTTP/1.1\r\n\r\n"

    async def run() -> tuple[bytes, bytes]:
        server = MetricsServer("127.0.0.1:0", lambda: "m 1\n")
        await server.start()
        assert server._server
        port = server._server.sockets[0].getsockname()[1]
        idle = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
        async with asyncio.timeout(5):
            while server._open < 2:
                await asyncio.sleep(0.01)
            refused = await _ask(port, request)
            for _, writer in idle:
                writer.close()
            while server._open:
                await asyncio.sleep(0.01)
            answered = await _ask(port, request)
        server.close()
        return refused, answered

    refused, answered = asyncio.run(run())
    assert refused == b""
    assert answered.startswith(b"HTTP/1.1 200 OK")


def test_the_file_is_whole_and_its_failure_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    MetricsFile(tmp_path / "metrics.prom").write("m 1\n")
    assert (tmp_path / "metrics.prom").read_text() == "m 1\n"
    assert (tmp_path / "metrics.prom").stat().st_mode & 0o777 == 0o644
    nowhere = MetricsFile(tmp_path / "no/metrics.prom")
    nowhere.write("m 1\n")
    nowhere.write("m 1\n")
    assert len(caplog.records) == 1


def _block(line: str) -> str:
    return f"#cloud-config\noverlay:\n  insecure: true\n  {line}\n"


def test_the_keys() -> None:
    for line in ("metrics-listen: '127.0.0.1:9797'", "metrics-listen: '[::1]:9797'"):
        overlay = parse_user_data(_block(line), "f").overlay
        assert overlay and overlay.metrics_listen and overlay.metrics_listen in line
    overlay = parse_user_data(_block("metrics-file: /var/lib/x/edge.prom"), "f").overlay
    assert overlay and overlay.metrics_file == "/var/lib/x/edge.prom"


@pytest.mark.parametrize(
    "line",
    ["metrics-listen: 9797", "metrics-listen: ':9797'", "metrics-listen: '::1:9797'",
     "metrics-listen: '127.0.0.1:0'", "metrics-listen: '127.0.0.1:99999'",
     "metrics-listen: 'localhost:9797'", "metrics-file: edge.prom", "metrics-file: /x/edge",
     "metrics-file: /x/../y.prom", "metrics_file: /x/y.prom"],
)  # fmt: skip
def test_wrong_values_of_the_keys(line: str) -> None:
    with pytest.raises(ConfigError, match=r"f:4:"):
        parse_user_data(_block(line), "f")


def test_an_answer_that_nobody_reads_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporter, "_REQUEST_SECONDS", 0.3)
    monkeypatch.setattr(exporter, "_MOST_CONNECTIONS", 2)
    long = "m 1\n" * 5_000_000  # more than any socket buffers

    async def run() -> bytes:
        server = MetricsServer("127.0.0.1:0", lambda: long)
        await server.start()
        assert server._server
        port = server._server.sockets[0].getsockname()[1]
        lazy = [await asyncio.open_connection("127.0.0.1", port, limit=1024) for _ in range(2)]
        for _, writer in lazy:
            writer.write(b"GET /metrics HTTP/1.1\r\n\r\n")
        async with asyncio.timeout(5):
            while server._open < 2:
                await asyncio.sleep(0.01)
            while server._open:
                await asyncio.sleep(0.01)
            rest = 0
            with contextlib.suppress(ConnectionError):  # the server has let go of it
                while data := await lazy[0][0].read(1 << 20):
                    rest += len(data)
            assert rest < len(long)
            monkeypatch.setattr(server, "_text", lambda: "m 2\n")
            answered = await _ask(port, b"GET /metrics HTTP/1.1\r\n\r\n")
        server.close()
        return answered

    assert asyncio.run(run()).endswith(b"\r\n\r\nm 2\n")
