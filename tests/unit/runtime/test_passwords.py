"""Passwords of `users`: as on Kairos, by cloud-init."""

from __future__ import annotations

import email
from email.message import Message
from typing import Any

import pytest
import yaml

from overlay_runtime.config.passwords import with_kairos_passwords

HEAD = "#cloud-config\n"


def parts(data: bytes) -> list[str]:
    """The parts of a multi-part archive, as text."""
    found = []
    for part in email.message_from_bytes(data).get_payload():
        assert isinstance(part, Message)
        payload = part.get_payload(decode=True)
        assert isinstance(payload, bytes)
        found.append(payload.decode())
    return found


@pytest.mark.parametrize(
    "text",
    [
        HEAD + "users: [{name: a, ssh_authorized_keys: [k]}]\n",
        HEAD + "users: [default, {name: a, passwd: $6$x, lock_passwd: false}]\n",
        HEAD + "users: [{name: a, passwd: x, lock_passwd: true}]\n",
        HEAD + "users: passwd\n",
        HEAD + "users: {a: passwd}\n",
        HEAD + "a: [\npasswd",
        "#!/bin/sh\npasswd\n",
        HEAD + "# passwd\n",
    ],
)
def test_what_works_already_stays_as_it_is(text: str) -> None:
    assert with_kairos_passwords(text.encode()) == text.encode()


def test_bytes_that_are_no_text_stay() -> None:
    assert with_kairos_passwords(b"#cloud-config\npasswd: \xff\n").endswith(b"\xff\n")


@pytest.mark.parametrize(
    ("given", "made"),
    [
        ({"passwd": "kairos"}, {"plain_text_passwd": "kairos", "lock_passwd": False}),
        ({"passwd": 1234}, {"plain_text_passwd": "1234", "lock_passwd": False}),
        ({"passwd": "$6$s$h"}, {"passwd": "$6$s$h", "lock_passwd": False}),
        ({"passwd": "*"}, {"passwd": "*", "lock_passwd": False}),
        ({"passwd": "x", "lock_passwd": False}, {"plain_text_passwd": "x", "lock_passwd": False}),
    ],
)
def test_a_password_works_as_on_kairos(given: dict[str, Any], made: dict[str, Any]) -> None:
    users = ["default", {"name": "é", "groups": ["admin"], **given}]
    text = HEAD + yaml.safe_dump({"users": users, "runcmd": ["true"]}, allow_unicode=True)
    first, second = parts(with_kairos_passwords(text.encode()))
    assert first == text
    assert second.startswith(HEAD)
    assert yaml.safe_load(second) == {
        "users": ["default", {"name": "é", "groups": ["admin"], **made}]
    }
