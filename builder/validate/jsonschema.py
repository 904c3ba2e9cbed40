"""The schema of user-data as JSON Schema 2020-12, for editors that complete and check."""

from __future__ import annotations

from typing import Any

from overlay_runtime.userdata import netplan
from overlay_runtime.userdata.model import (
    NOTE_PREFIX,
    Anything,
    Block,
    Boolean,
    Checked,
    Choice,
    Either,
    FileMode,
    Key,
    Kind,
    ListOf,
    MapOf,
    Number,
    Text,
)
from overlay_runtime.userdata.schema import TOP
from overlay_runtime.userdata.stages import STAGES

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_ANY_NUMBER = 2**63 - 1


def json_schema() -> dict[str, Any]:
    """Return the whole schema. Blocks that occur in several places are definitions."""
    writer = _Writer()
    top = writer.block(TOP)
    top["patternProperties"] = {f"^{NOTE_PREFIX}": True}
    stages = top["properties"]["stages"]["anyOf"][0]
    stages["properties"] = dict.fromkeys(STAGES, stages["additionalProperties"])
    return {
        "$schema": _DIALECT,
        "title": "user-data of edge-build, Kairos and cloud-init",
        "description": "Its first line must be #cloud-config.",
        **top,
        "$defs": writer.definitions,
    }


def network_config_schema() -> dict[str, Any]:
    """Return the schema of network-config: the network below `network:`, or as the whole file."""
    writer = _Writer()
    whole = {"anyOf": [writer.block(netplan.TOP), writer.block(netplan.V2)]}
    return {
        "$schema": _DIALECT,
        "title": "network-config of cloud-init, version 2",
        **whole,
        "$defs": writer.definitions,
    }


class _Writer:
    def __init__(self) -> None:
        self.definitions: dict[str, Any] = {}
        self._names: dict[int, str] = {}
        self._kept: list[Block] = []

    def block(self, block: Block) -> dict[str, Any]:
        return {
            "type": "object",
            "properties": {key.name: self._key(key) for key in block.keys},
            "additionalProperties": block.open,
        }

    def _key(self, key: Key) -> dict[str, Any]:
        shape: dict[str, Any] = {"anyOf": [self._kind(key.kind), {"type": "null"}]}
        shape["description"] = key.help
        if isinstance(key.default, str | int | bool):
            shape["default"] = key.default
        elif key.default is not None:
            shape["default"] = str(key.default)
        return shape

    def _kind(self, kind: Kind) -> dict[str, Any]:
        match kind:
            case Anything():
                return {}
            case Text():
                shape: dict[str, Any] = {"type": ["string", "number", "boolean"]}
                if kind.strict:
                    shape["type"] = "string"
                if kind.pattern:
                    shape["pattern"] = f"^(?:{kind.pattern})$"
                return shape
            case Number():
                high = {"maximum": kind.high} if kind.high != _ANY_NUMBER else {}
                return {"type": "integer", "minimum": kind.low, **high}
            case FileMode():
                # In YAML 1.2, which editors read, 0644 is decimal: it is judged by `validate`.
                return {"type": ["integer", "string"], "examples": ["0o644"]}
            case Boolean():
                return {"type": "boolean"}
            case Choice():
                return {"enum": list(kind.words)}
            case Checked():
                return dict(kind.shape)
            case ListOf():
                return {"type": "array", "items": self._or_null(kind.item)}
            case MapOf():
                return {"type": "object", "additionalProperties": self._or_null(kind.value)}
            case Either():
                return {"anyOf": [self._kind(one) for one in kind.kinds]}
            case Block():
                return self._defined(kind)

    def _or_null(self, kind: Kind) -> dict[str, Any]:
        shape = self._kind(kind)
        return {"anyOf": [shape, {"type": "null"}]} if shape else {}

    def _defined(self, block: Block) -> dict[str, Any]:
        name = self._names.get(id(block))
        if name is None:
            base = block.what.removeprefix("the key ").removeprefix("a ").removeprefix("an ")
            name = plain = base.replace("`", "").replace(" ", "-") or "block"
            number = 2
            while name in self.definitions:
                name, number = f"{plain}-{number}", number + 1
            self._names[id(block)] = name
            self._kept.append(block)  # an id is of use as long as its object lives
            self.definitions[name] = {}
            self.definitions[name] = self.block(block)
        return {"$ref": f"#/$defs/{name}"}
