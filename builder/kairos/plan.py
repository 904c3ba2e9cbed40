"""What a build from a Kairos base will do, decided and checked before any work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder.errors import InputError
from builder.kairos.admins import refusal
from builder.kairos.reference import BaseReference, parse_base
from builder.output.iso_template import IsoOptions
from builder.plan import ImagePlan, read_user_data, with_version
from overlay_runtime.config.kairos import ignored_network

_OF_THIS_BASE = ("base.image", "base.mirror")


@dataclass(frozen=True, kw_only=True)
class KairosPlan(ImagePlan):
    """One `edge-build image --base …`, all decisions made.

    `mirror` is where a Python comes from that the base lacks.
    `load` and `push`: into the Docker daemon, and from there to the registry that `tag` names.
    """

    base: BaseReference
    push: bool
    mirror: str


def make_kairos_plan(settings: Mapping[str, Any], given: set[str], cache_dir: str) -> KairosPlan:
    """Settings (every key of `config.KEYS`) → plan; `given` are the keys that somebody set.

    Raises InputError or MissingFileError.
    """
    only_debian = sorted(
        key for key in given if key.startswith("base.") and key not in _OF_THIS_BASE
    )
    if only_debian:
        raise InputError(
            f"{', '.join(only_debian)} is for the Debian base, and --base names a Kairos image",
            "leave out one or the other; packages of a Kairos image are its Dockerfile's business",
        )
    text, warnings = read_user_data(settings, kairos=True)
    if text is None:
        warnings = ("no --user-data: the hosts take it from a `cidata` volume or from /oem",)
    else:
        said = (ignored_network(text.encode(), str(settings["user-data"])), refusal(text))
        warnings = (*warnings, *[one for one in said if one])
    load, push = settings["oci.load"], settings["oci.push"]
    formats = tuple(dict.fromkeys([*settings["formats"], *(["oci"] if load or push else [])]))
    return KairosPlan(
        base=parse_base(settings["base.image"]),
        mirror=settings["base.mirror"],
        user_data=text,
        formats=formats,
        output=Path(settings["output"]).resolve(),
        name=settings["name"],
        iso=IsoOptions(
            kernel_arguments=settings["iso.kernel-arguments"],
            timeout_s=settings["iso.menu-timeout"],
        ),
        tag=with_version(settings["oci.tag"]),
        load=load or push,
        push=push,
        cache_dir=Path(cache_dir).resolve(),
        warnings=warnings,
    )
