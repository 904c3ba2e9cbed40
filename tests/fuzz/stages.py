"""The stage runner over hostile documents: real files below a root on tmpfs, recorded commands.

Nothing may be written outside the root, though links and paths try; nothing may be raised, and no
fault of the program itself may be reported.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from overlay_runtime.paths import Paths, find_paths
from overlay_runtime.stages.fetch import Fetched
from overlay_runtime.stages.limits import Limits
from overlay_runtime.stages.prepare import prepare
from overlay_runtime.stages.process import Done
from overlay_runtime.stages.runner import planned, run_stage
from overlay_runtime.stages.sources import Documents, find_sources, names_with_parts
from overlay_runtime.stages.tree import Tree

SEED = """\
#cloud-config
name: hostile
users: [{name: a}]
stages:
  boot:
    - name: files
      directories:
        - {path: /up/d, permissions: 0755}
        - {path: /a/b/c, permissions: 01777, owner: 1, group: 2}
      files:
        - {path: /up/f, content: x, permissions: 0644}
        - {path: /abs/f, content: x, permissions: 0644}
        - {path: ../../../x, content: "{{ .Values.node.hostname | upper }}", permissions: 0600}
        - {path: /loop/x, content: eA==, encoding: base64, ownerstring: a:b}
        - {path: /etc/pipe, content: x}
      downloads: [{url: "http://127.0.0.1:9/x", path: /up/, permissions: 0600}]
    - name: accounts
      ensure_entities:
        - {path: /up/passwd, entity: "kind: user\\nusername: a\\nuid: -1"}
        - {path: /etc/group, entity: "kind: group\\ngroup_name: g\\ngid: -1\\nusers: a,b"}
        - {path: /etc/gshadow, entity: "kind: gshadow\\nname: g"}
      delete_entities: [{path: /etc/group, entity: "kind: group\\ngroup_name: g"}]
      users:
        bob: {passwd: "$6$x", groups: [audio], uid: 12, homedir: /up/bob}
        eve: {lock_passwd: true, ssh_authorized_keys: ["ssh-ed25519 A", "github:eve"]}
      authorized_keys: {bob: [ssh-rsa B]}
    - after: [{name: hostile.files}]
      if: test -e /x
      node: "^n"
      only_os: "(?i)debian"
      only_arch: amd64
      only_service_manager: systemd
      if_files: {any: [/etc/passwd], all: [/up/etc], none: [/abs]}
      commands: [reboot, "echo {{ .Values.os.name }}"]
      dns: {nameservers: [192.0.2.1], search: [a.b], path: /up/resolv.conf}
      git: {url: "http://127.0.0.1:9/x", path: /up/git, auth: {username: u, password: p}}
      hostname: n-{{ .UUID }}
      sysctl: {net.ipv4.ip_forward: 1, "..x": 2}
      modules: [dummy a=1]
      timesyncd: {NTP: a}
      systemctl:
        enable: [a]
        overrides: [{service: ../../up/x, name: y, content: "[Unit]"}]
      environment: {A: "x$y", B: 1}
      environment_file: /abs/env
      systemd_firstboot: {locale: C}
      package_pins: {a: "1"}
      packages: {install: [x], refresh: true}
  boot.after:
    - {layout: {}, unpack_images: [], datasource: {}}
"""

_FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\na:x:1:1::/up:/bin/sh\n",
    "etc/group": "root:x:0:\naudio:x:29:\nb:x:2:\n",
    "etc/shadow": "root:*:1::::::\n",
    "etc/os-release": 'ID=debian\nPRETTY_NAME="Debian"\n',
    "etc/hosts": "127.0.0.1 localhost\n",
    "proc/sys/net/ipv4/ip_forward": "0",
    "proc/sys/kernel/hostname": "n1\n",
}
_EVERY = 100
"""Documents after which the root is made anew."""


class RecordingHost:
    """A host whose files are real, below a root of its own, and whose commands are only counted."""

    def __init__(self, root: Path) -> None:
        self.tree = Tree(root)
        self.ran = 0

    def run(
        self, words: Sequence[str], limit: float, environment: Mapping[str, str] | None = None
    ) -> Done:
        """Count it; every third fails."""
        assert limit > 0
        for word in (*words, *(environment or {}).values()):
            assert "\0" not in word
            os.fsencode(word)
        self.ran += 1
        return Done(self.ran % 3 // 2, "said\n")

    def set_name(self, name: str) -> None:
        """Encode it, as the kernel would want."""
        os.fsencode(name)

    def fetch(self, url: str, limit: float) -> Fetched:
        """Bring something for a URL, nothing for others."""
        assert limit > 0
        if not url.startswith(("http://", "https://")):
            raise ValueError(url)
        return Fetched(b"fetched\n", "name")

    def fetch_into(self, url: str, limit: float, file: BinaryIO) -> str:
        """The same, into a file."""
        found = self.fetch(url, limit)
        file.write(found.data)
        return found.name

    def wait(self, seconds: float) -> None:
        """Not here."""

    @property
    def clock(self) -> Callable[[], float]:
        """The real one."""
        return time.monotonic


class Stages:
    """Runs documents."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.steps = self.count = self.commands = 0
        self._outside = top / "outside"
        self._outside.mkdir()
        self._make()
        self._before = self._state()

    def run(self, text: str) -> None:
        """Run every stage of a document. AssertionError for what may not be."""
        self.count += 1
        if self.count % _EVERY == 0:
            self._remake()
        oem = self.root / "oem"
        if not oem.is_dir() or oem.is_symlink():
            self._remake()
        data = text.encode(errors="surrogatepass")
        (oem / "10.yaml").write_bytes(data)
        seed = self.root / "var/lib/cloud/seed/nocloud/vendor-data"
        if seed.parent.is_dir():
            seed.unlink(missing_ok=True)  # gather makes the seed anew at each boot
        prepare(str(self.root), self.paths)
        host = RecordingHost(self.root)
        documents = Documents(find_sources(self.paths, host.tree))
        for name in [*names_with_parts(documents.stages())][:8] or ["boot"]:
            planned(name, self.paths, host)
            result = run_stage(name, self.paths, host, Limits(5, 20))
            for said in result.sentences():
                assert "fault of edge-overlay" not in said, said
            self.steps += len(result.outcomes)
        self.commands += host.ran
        assert self._state() == self._before, "something was written outside the root"

    def _remake(self) -> None:
        shutil.rmtree(self.root)
        self._make()

    @property
    def root(self) -> Path:
        """The host's root."""
        return self.top / "root"

    @property
    def paths(self) -> Paths:
        """The runtime's directories: outside the host's, so that a document can't break them."""
        return find_paths(str(self.root), str(self.top / "run"), str(self.top / "state"))

    def _make(self) -> None:
        for path, content in _FILES.items():
            place = self.root / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(content)
        for name in ("oem", "run", "tmp", "home", "var/lib/cloud/seed/nocloud"):
            (self.root / name).mkdir(parents=True)
        (self.root / "up").symlink_to("../../outside")
        (self.root / "abs").symlink_to(self._outside)
        (self.root / "loop").symlink_to("/loop")
        os.mkfifo(self.root / "etc/pipe")

    def _state(self) -> tuple[object, ...]:
        about = self._outside.stat()
        names = sorted(path.name for path in self.top.iterdir() if path.name not in ("run",))
        return (about.st_mtime_ns, about.st_ctime_ns, *sorted(self._outside.iterdir()), *names)


@contextmanager
def stages() -> Iterator[Stages]:
    """A root on tmpfs."""
    where = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(prefix="edge-fuzz-", dir=where) as directory:
        yield Stages(Path(directory))
