"""Proxies of the network block: the environment of services and of those who log in."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from overlay_runtime.address import IPNetwork
from overlay_runtime.config.document import Value
from overlay_runtime.userdata.lookup import child, text
from overlay_runtime.userdata.network import covers, is_proxy

VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
ALL_VARIABLES = (*VARIABLES, *(name.lower() for name in VARIABLES))
"""Programs differ in which case they look at."""

_NEVER = ("localhost", "127.0.0.0/8", "::1", "169.254.0.0/16", "fe80::/10")
"""What no proxy can reach for us."""


@dataclass(frozen=True)
class Proxies:
    """The variables, upper and lower case; empty without a proxy."""

    environment: Mapping[str, str] | None = None

    def __repr__(self) -> str:
        return "Proxies(…)"  # a URL may hold a password


def read_proxies(network: Value, cidr: IPNetwork | None) -> tuple[Proxies, list[str]]:
    """Return the proxies of a network block, and what is wrong about them.

    NO_PROXY is extended by `cidr`, the overlay's range, and by what never goes through a proxy.
    """
    problems, made = [], {}
    for key, name in (("httpProxy", "HTTP_PROXY"), ("httpsProxy", "HTTPS_PROXY")):
        value = child(network, key)
        url = text(value)
        if value is None or not url:
            continue
        if not is_proxy(url) or re.search(r"[\s\x00-\x1f\x7f]", url):
            problems.append(f"{value.position}: `{key}` is no URL of a proxy (not shown); it is "
                            "not used; expected such as http://proxy.example.org:3128")  # fmt: skip
            continue
        made[name] = url
    if not made:
        return Proxies(), problems
    words = [word for word in re.split(r"[,\s]+", text(child(network, "noProxy"))) if word]
    words += [word for word in _NEVER if word not in words]
    if cidr is not None and not any(covers(word, cidr) for word in words):
        words.append(str(cidr))
    made["NO_PROXY"] = ",".join(words)
    return Proxies({**made, **{name.lower(): value for name, value in made.items()}}), problems


def for_logins(environment: Mapping[str, str]) -> str:
    """Return lines for a shell that exports the variables."""
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in environment.items())


def for_user_services(environment: Mapping[str, str]) -> str:
    """Return lines of environment.d(5)."""
    escaped = {name: re.sub(r'([\\"$])', r"\\\1", value) for name, value in environment.items()}
    return "".join(f'{name}="{value}"\n' for name, value in escaped.items())


def has_password(environment: Mapping[str, str]) -> bool:
    """Whether a proxy's URL holds one."""
    return any(urlsplit(url).password for name, url in environment.items() if "NO_" not in name)
