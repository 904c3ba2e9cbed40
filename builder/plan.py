"""What a build will do, decided and checked before any work, for `build.py` to carry out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder.base.archive import Source
from builder.base.debian import DebianBase
from builder.errors import InputError
from builder.output.iso_template import IsoOptions
from builder.userdata import load_user_data

DAY_S = 86_400.0


@dataclass(frozen=True, kw_only=True)
class ImagePlan:
    """What every `edge-build image` decides, whatever its base.

    `user_data` is the text to embed, None for an image without any.
    """

    user_data: str | None
    formats: tuple[str, ...]
    output: Path
    name: str
    iso: IsoOptions
    tag: str
    load: bool
    cache_dir: Path
    warnings: tuple[str, ...]

    @property
    def iso_path(self) -> Path:
        """Where the ISO goes."""
        return self.output / f"{self.name}.iso"

    @property
    def oci_path(self) -> Path:
        """Where the OCI archive goes."""
        return self.output / f"{self.name}.oci.tar"

    @property
    def log_path(self) -> Path:
        """Where all output of all tools goes; of the last build only."""
        return self.output / f"{self.name}.log"


@dataclass(frozen=True, kw_only=True)
class Plan(ImagePlan):
    """One `edge-build image` from Debian, all decisions made.

    `archive_max_age_s`: how long an answer of the Debian mirror stays good, in seconds.
    """

    base: DebianBase
    archive_max_age_s: float


def make_plan(settings: dict[str, Any], cache_dir: str, archive_max_age_s: float) -> Plan:
    """Settings (every key of `config.KEYS`) → plan; raises InputError or MissingFileError."""
    text, warnings = read_user_data(settings)
    if text is None:
        warnings = ("no --user-data: the hosts take all of it from a `cidata` volume",)
    if settings["oci.push"]:
        raise InputError("--push is for a Kairos base (--base IMAGE)", "or: --load, docker push")
    load = settings["oci.load"]
    formats = tuple(dict.fromkeys([*settings["formats"], *(["oci"] if load else [])]))
    return Plan(
        base=DebianBase(_sources(settings), settings["base.packages"]),
        user_data=text,
        formats=formats,
        output=Path(settings["output"]).resolve(),
        name=settings["name"],
        iso=IsoOptions(
            kernel_arguments=settings["iso.kernel-arguments"],
            timeout_s=settings["iso.menu-timeout"],
        ),
        tag=with_version(settings["oci.tag"]),
        load=load,
        cache_dir=Path(cache_dir).resolve(),
        archive_max_age_s=archive_max_age_s,
        warnings=warnings,
    )


def read_user_data(
    settings: Mapping[str, Any], *, kairos: bool = False
) -> tuple[str | None, tuple[str, ...]]:
    """The user-data to embed, None without a file, and what the user should know about it."""
    if settings["user-data"] is not None:
        path = Path(settings["user-data"])
        embedded = load_user_data(path, settings["cidr"], settings["hostname"], kairos=kairos)
        return embedded.text, embedded.warnings
    if settings["cidr"] is not None or settings["hostname"] is not None:
        raise InputError("--cidr and --hostname need a user-data file", "add --user-data FILE")
    return None, ()


def with_version(reference: str) -> str:
    """`docker load` wants `NAME:TAG`; a colon before a slash is a registry's port."""
    return reference if ":" in reference.rpartition("/")[2] else f"{reference}:latest"


def _sources(settings: dict[str, Any]) -> tuple[Source, ...]:
    suite, components = settings["base.suite"], settings["base.components"]
    mirror, security = settings["base.mirror"], settings["base.security-mirror"]
    return (
        Source(mirror, suite, components),
        Source(mirror, f"{suite}-updates", components),
        Source(security, f"{suite}-security", components),
    )
