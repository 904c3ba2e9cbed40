"""sprig's URLs, as net/url takes them to pieces and puts them together."""

from __future__ import annotations

import ipaddress
import re
import string
from typing import Any

from overlay_runtime.gotemplate.functions.model import table
from overlay_runtime.gotemplate.text import quoted
from overlay_runtime.gotemplate.values import GoError, cooked, kind_of, raw

_UNRESERVED = string.ascii_letters + string.digits + "-_.~"
_SAFE = {
    "host": _UNRESERVED + "!$&'()*+,;=:[]<>\"",
    "zone": _UNRESERVED + "!$&'()*+,;=:[]<>\"",
    "path": _UNRESERVED + "$&+,/:;=@",
    "user": _UNRESERVED + "$&+,;=",
    "fragment": _UNRESERVED + "$&+,/:;=?@!()*",
}
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):", re.ASCII)
_USERINFO = re.compile(r"[A-Za-z0-9._:~!$&'()*+,;=%@-]*", re.ASCII)
_PORT = re.compile(r"(?::[0-9]*)?", re.ASCII)


def _escaped(text: str, mode: str) -> str:
    safe = _SAFE[mode]
    return "".join(
        chr(byte) if byte < 0x80 and chr(byte) in safe else f"%{byte:02X}" for byte in raw(text)
    )


def _unescaped(text: str, mode: str) -> str:
    """url.unescape. Raises GoError."""
    data, out, at = raw(text), bytearray(), 0
    while at < len(data):
        byte = data[at]
        if byte == 0x25:
            code = data[at + 1 : at + 3]
            if not re.fullmatch(rb"[0-9a-fA-F]{2}", code):
                raise GoError(f"invalid URL escape {quoted(cooked(data[at : at + 3]))}")
            value = int(code, 16)
            in_host = mode == "host" and value < 0x80 and code != b"25"
            in_zone = mode == "zone" and code != b"25" and value != 0x20 and (
                value >= 0x80 or chr(value) not in _SAFE["host"])  # fmt: skip
            if in_host or in_zone:
                raise GoError(f"invalid URL escape {quoted(cooked(data[at : at + 3]))}")
            out.append(value)
            at += 3
            continue
        if mode in ("host", "zone") and byte < 0x80 and chr(byte) not in _SAFE[mode]:
            raise GoError(f"invalid character {quoted(chr(byte))} in host name")
        out.append(byte)
        at += 1
    return cooked(bytes(out))


def _parse(text: str) -> dict[str, Any]:
    """url.Parse. Raises GoError."""
    body, _, fragment = text.partition("#")
    try:
        parts = _body(body)
        parts["fragment"] = _unescaped(fragment, "fragment")
    except GoError as error:
        raise GoError(f"unable to parse url: parse {quoted(text)}: {error}") from None
    return parts


def _body(text: str) -> dict[str, Any]:
    parts: dict[str, Any] = dict.fromkeys(
        ("scheme", "host", "hostname", "path", "query", "opaque", "fragment", "userinfo"), ""
    )
    if any(byte < 0x20 or byte == 0x7F for byte in raw(text)):
        raise GoError("net/url: invalid control character in URL")
    if text == "*":
        return parts | {"path": "*"}
    rest = text
    found = _SCHEME.match(text)
    if found:
        parts["scheme"], rest = found[1].lower(), text[found.end() :]
    elif text.startswith(":"):
        raise GoError("missing protocol scheme")
    rest, _, parts["query"] = rest.partition("?")
    if not rest.startswith("/"):
        if parts["scheme"]:
            return parts | {"opaque": rest}
        if ":" in rest.partition("/")[0]:
            raise GoError("first path segment in URL cannot contain colon")
    if rest.startswith("//") and (parts["scheme"] or not rest.startswith("///")):
        authority, slash, rest = rest[2:].partition("/")
        rest = slash + rest
        _authority(parts, authority)
    parts["path"] = _unescaped(rest, "path")
    return parts


def _authority(parts: dict[str, Any], authority: str) -> None:
    user, at, host = authority.rpartition("@")
    parts["host"] = _host(parts["scheme"], host)
    parts["hostname"] = _hostname(parts["host"])
    if at:
        if not _USERINFO.fullmatch(user):
            raise GoError("net/url: invalid userinfo")
        parts["userinfo"] = _user(user)


def _user(written: str) -> str:
    """A user and password as Userinfo.String writes them."""
    name, colon, password = written.partition(":")
    made = [_escaped(_unescaped(one, "user"), "user") for one in (name, password)]
    return colon.join(made) if colon else made[0]


def _host(scheme: str, host: str) -> str:
    bracket = host.rfind("[")
    if bracket > 0:
        raise GoError("invalid IP-literal")
    if bracket == 0:
        return _literal(host)
    if ":" in host:
        at = host.find(":") if scheme in ("http", "https") else host.rfind(":")
        if not _PORT.fullmatch(host[at:]):
            raise GoError(f"invalid port {quoted(host[at:])} after host")
    return _unescaped(host, "host")


def _literal(host: str) -> str:
    end = host.rfind("]")
    if end < 0:
        raise GoError("missing ']' in host")
    port = host[end + 1 :]
    if not _PORT.fullmatch(port):
        raise GoError(f"invalid port {quoted(port)} after host")
    name, percent, zone = host[1:end].partition("%25")
    made = _unescaped(name, "host") + (_unescaped(percent + zone, "zone") if percent else "")
    address = made.partition("%")
    try:
        version = ipaddress.ip_address(address[0]).version
    except ValueError:
        raise GoError(f"invalid host: ParseAddr({quoted(made)}): unable to parse IP") from None
    if version == 4 or (address[1] and not address[2]):
        raise GoError("invalid IP-literal")
    return f"[{made}]{port}"


def _hostname(host: str) -> str:
    at = host.rfind(":")
    if at >= 0 and _PORT.fullmatch(host[at:]):
        host = host[:at]
    return host[1:-1] if host.startswith("[") and host.endswith("]") else host


def _join(there: dict[str, Any]) -> str:
    """url.URL's String of the parts."""
    for key in ("scheme", "host", "path", "query", "opaque", "fragment", "userinfo"):
        value = there.get(key, "")
        if value is None:
            raise GoError("runtime error: invalid memory address or nil pointer dereference")
        if not isinstance(value, str):
            raise GoError(
                f"unable to parse {key} key, must be of type string, but {kind_of(value)} found"
            )
    get = {key: str(value) for key, value in there.items() if isinstance(value, str)}
    user = get.get("userinfo", "")
    if user:
        try:
            user = _body(f"proto://{user}@host")["userinfo"]
        except GoError as error:
            raise GoError(f"unable to parse userinfo in dict: {error}") from None
    scheme, host, path = get.get("scheme", ""), get.get("host", ""), get.get("path", "")
    out = f"{scheme}:" if scheme else ""
    if get.get("opaque"):
        out += get["opaque"]
    else:
        has_user = bool(get.get("userinfo"))
        if (scheme or host or has_user) and (host or path or has_user):
            out += "//" + (f"{user}@" if has_user else "") + _escaped(host, "host")
        shown = "*" if path == "*" else _escaped(path, "path")
        if shown and not shown.startswith("/") and host:
            out += "/"
        if not out and ":" in shown.partition("/")[0]:
            out += "./"
        out += shown
    if get.get("query"):
        out += "?" + get["query"]
    if get.get("fragment"):
        out += "#" + _escaped(get["fragment"], "fragment")
    return out


TABLE = table({"urlJoin": ("map", _join), "urlParse": ("string", _parse)})
