"""A network-config file → the same document, with the place of each device."""

from __future__ import annotations

from typing import Any

from overlay_runtime.config.document import Value
from overlay_runtime.errors import ConfigError, Problem
from overlay_runtime.network.describe import KINDS, Document
from overlay_runtime.userdata.finding import Finding
from overlay_runtime.userdata.lookup import child, entries, text
from overlay_runtime.userdata.netconfig import (
    body,
    check_network_config,
    read_devices,
    wrong_version,
)


def is_disabled(top: Value) -> bool:
    """Whether it says nothing, or `config: disabled`, as cloud-init has it."""
    network = body(top)
    if network.data is not None and not isinstance(network.data, dict):
        return False  # a script, perhaps: it says something, and nothing that is understood
    return not entries(network) or text(child(network, "config")) == "disabled"


def read_v2(top: Value) -> tuple[Document, list[Finding]]:
    """Return the document and what is wrong about it. Raises ConfigError for another version."""
    network = body(top)
    if not isinstance(network.data, dict):
        raise ConfigError([Problem(network.position, f"found {network.kind()}", "a mapping", "")])
    wrong = wrong_version(network)
    if wrong is not None:
        raise ConfigError([wrong.problem])
    made = Document()
    for device in read_devices(network):
        definition = _plain(device.block)
        made.add(device.kind, device.name, definition if isinstance(definition, dict) else {},
                 device.entry.key)  # fmt: skip
    return made, list(check_network_config(top))


def not_acted_on(top: Value) -> list[str]:
    """Return a sentence for each section of netplan's that cloud-init does not know: `wifis`."""
    return [
        f"{entry.key}: `{name[:40]}`: nothing is done with it; expected one of {', '.join(KINDS)}"
        for name, entry in entries(body(top)).items()
        if name not in (*KINDS, "version", "renderer", "config")
        and isinstance(entry.value.data, dict)
    ]


def _plain(value: Value) -> Any:
    """Return a value as netplan would read it: of scalars the text, since YAML's own numbers would
    make one of a MAC address (52:54:00:12:34:56 is sexagesimal)."""
    if isinstance(value.data, dict):
        return {name: _plain(entry.value) for name, entry in value.data.items()}
    if isinstance(value.data, tuple):
        return [_plain(item) for item in value.data]
    return None if value.data is None else value.written
