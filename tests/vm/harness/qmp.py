"""QEMU's control socket (QMP): power cut, cable, screenshots."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

_LIMIT_S = 20.0


class Qmp:
    """One connection to a guest's control socket. https://www.qemu.org/docs/master/interop/qmp-spec.html"""

    def __init__(self, path: Path) -> None:
        """Connect and negotiate; raises OSError while QEMU doesn't listen yet."""
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(_LIMIT_S)
        try:
            self._socket.connect(str(path))
            self._lines = self._socket.makefile("r", encoding="utf-8")
            self._lines.readline()  # greeting
            self.execute("qmp_capabilities")
        except BaseException:
            self._socket.close()
            raise

    def execute(self, command: str, **arguments: Any) -> Any:
        """Execute a command, return what it returns; AssertionError if QEMU refuses it."""
        message = {"execute": command, "arguments": arguments}
        self._socket.sendall(json.dumps(message).encode() + b"\n")
        for line in self._lines:
            answer = json.loads(line)
            if "return" in answer:
                return answer["return"]
            assert "error" not in answer, f"QMP {command}: {answer['error']}"
        raise ConnectionError(f"QEMU closed its control socket during {command}")

    def close(self) -> None:
        """Close the connection; the guest goes on."""
        self._lines.close()
        self._socket.close()
