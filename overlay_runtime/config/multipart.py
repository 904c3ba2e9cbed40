"""cloud-init's MIME multi-part archive: several files in the place of one
(https://docs.cloud-init.io/en/latest/explanation/format/mime-multi-part.html)."""

from __future__ import annotations

from collections.abc import Iterable


def multipart(name: str, parts: Iterable[tuple[bytes, str]]) -> bytes:
    """Put files together. Each comes with its Merge-Type: how it is merged into those before it."""
    from email.mime.multipart import MIMEMultipart
    from email.mime.nonmultipart import MIMENonMultipart

    whole = MIMEMultipart()
    for number, (data, merge) in enumerate(parts):
        text = data.decode(errors="replace")
        kind = "cloud-config" if text.startswith("#cloud-config") else "plain"
        part = MIMENonMultipart("text", kind, charset="utf-8")
        part.set_payload(text, charset="utf-8")
        part.add_header("Content-Disposition", "attachment", filename=f"{name}-{number}")
        part.add_header("Merge-Type", merge)
        whole.attach(part)
    return whole.as_bytes()
