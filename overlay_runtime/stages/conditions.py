"""Whether a step is to run, asked in yip's order (`pkg/plugins/if*.go`, `network.go`)."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from typing import Any

from overlay_runtime.stages.context import Context

_MACHINES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "armv6l": "arm",
             "i686": "386", "riscv64": "riscv64", "ppc64le": "ppc64le"}  # fmt: skip


def holds(context: Context, step: Mapping[str, Any]) -> str:
    """Return why a step is not to run; nothing if it is."""
    for condition in _CONDITIONS:
        why = condition(context, step)
        if why:
            return why
    return ""


def _node(context: Context, step: Mapping[str, Any]) -> str:
    name = str(context.system("node", "hostname"))
    return _regex(context, "node", step, "the host's name", name)


def _if(context: Context, step: Mapping[str, Any]) -> str:
    if not step["if"]:
        return ""
    done = context.shell(context.rendered(step["if"], "if"))
    if done.good:
        return ""
    if done.code is None or done.code < 0:
        context.failed(f"the command of `if` {done.failure()}")
    return "its `if` does not hold"


def _os(context: Context, step: Mapping[str, Any]) -> str:
    return _regex(context, "only_os", step, "the system's name", str(context.system("os", "name")))


def _version(context: Context, step: Mapping[str, Any]) -> str:
    version = str(context.system("os", "version"))
    return _regex(context, "only_os_version", step, "the system's version", version)


def _arch(context: Context, step: Mapping[str, Any]) -> str:
    machine = platform.machine()
    return _regex(context, "only_arch", step, "the architecture", _MACHINES.get(machine, machine))


def _manager(context: Context, step: Mapping[str, Any]) -> str:
    wanted = step["only_service_manager"].lower()
    if not wanted:
        return ""
    there = {
        name
        for name, program in (("systemd", "systemctl"), ("openrc", "openrc"))
        for where in ("/sbin", "/bin", "/usr/sbin", "/usr/bin")
        if context.tree.exists(f"{where}/{program}")
    }
    if there == {wanted}:
        return ""
    return "another service manager is here"


def _files(context: Context, step: Mapping[str, Any]) -> str:
    for kind, files in step["if_files"].items():
        there = [context.tree.exists(path) for path in files]
        if kind == "all" and not all(there):
            return "a file of `if_files` is missing"
        if kind == "any" and files and not any(there):
            return "no file of `if_files` is there"
        if kind == "none" and any(there):
            return "a file of `if_files` is there"
        if kind not in ("all", "any", "none"):
            context.failed("`if_files` has a key other than `any`, `all` and `none`")
            return "its `if_files` can't be understood"
    return ""


def _regex(context: Context, key: str, step: Mapping[str, Any], what: str, value: str) -> str:
    wanted = step[key]
    if not wanted:
        return ""
    # Imported where it is needed: most steps have no such condition.
    from overlay_runtime.gotemplate.regexp import compiled
    from overlay_runtime.gotemplate.values import GoError

    try:
        found = compiled(wanted).search(value) is not None
    except GoError:
        context.failed(f"`{key}` is no regular expression")
        return f"`{key}` can't be read"
    return "" if found and (value or key == "node") else f"{what} does not match `{key}`"


_CONDITIONS: tuple[Callable[[Context, Mapping[str, Any]], str], ...] = (
    _node, _if, _os, _version, _arch, _manager, _files,
)  # fmt: skip
