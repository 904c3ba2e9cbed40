"""What Kairos's agent would refuse, before it does so on site."""

from __future__ import annotations

import pytest

from builder.kairos.admins import refusal

AUTO = "#cloud-config\ninstall: {auto: true}\n"


@pytest.mark.parametrize(
    "text",
    [
        AUTO + "users: [{name: edge, groups: [admin, docker]}]\n",
        AUTO + "users: [{name: edge, primary_group: admin}]\n",
        AUTO + "stages: {initramfs: [{users: {edge: {groups: [admin]}}}]}\n",
        "#cloud-config\ninstall: {auto: true, nousers: true}\n",
        "#cloud-config\ninstall: {auto: false}\nusers: [{name: edge}]\n",
        "#cloud-config\n",
    ],
)
def test_kairos_would_install(text: str) -> None:
    assert refusal(text) is None


@pytest.mark.parametrize(
    "users",
    ["", "users: []\n", "users: [edge, {name: edge, groups: [sudo]}]\n", "stages: {boot: []}\n"],
)
def test_kairos_would_refuse(users: str) -> None:
    assert "groups: [admin]" in str(refusal(AUTO + users))
