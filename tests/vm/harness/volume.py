"""`cidata` volumes: user-data beside the image, as hypervisors hand it over."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from tests.vm.harness.process import run

FileSystem = Literal["iso9660", "vfat"]
_VFAT_KIB = 2048
_SUFFIX = {"iso9660": "iso", "vfat": "img"}


def cidata(
    directory: Path,
    kind: FileSystem,
    user_data: str,
    meta_data: str = "",
    network_config: str | None = None,
) -> Path:
    """Make a volume labelled `cidata` with these files; returns the image's path.

    https://docs.cloud-init.io/en/latest/reference/datasources/nocloud.html
    """
    content = directory / f"cidata-{kind}"
    content.mkdir(parents=True, exist_ok=True)
    files = {"user-data": user_data, "meta-data": meta_data}
    if network_config is not None:
        files["network-config"] = network_config
    for name, text in files.items():
        (content / name).write_text(text)
    image = directory / f"cidata.{_SUFFIX[kind]}"
    image.unlink(missing_ok=True)
    if kind == "iso9660":
        words = ["xorriso", "-as", "mkisofs", "-quiet", "-volid", "cidata", "-joliet"]
        run([*words, "-rational-rock", "-output", image, content])
        return image
    # mkfs.vfat, not mformat: that one writes a partition table too, and the label appears twice
    run(["mkfs.vfat", "-C", "-n", "CIDATA", image, str(_VFAT_KIB)])
    run(["mcopy", "-i", image, *[content / name for name in files], "::/"])
    return image
