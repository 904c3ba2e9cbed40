"""The table: steps, and the effect that yip's documentation and source promise.

Every case is run by our runner and by the real yip; the effects must be the same, unless `kairos`
says what Kairos does instead, and then they must differ.
"""

from __future__ import annotations

import base64
import gzip
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.yip.chroot import Entry

Want = Mapping[str, Entry | None]


@dataclass(frozen=True)
class Case:
    """One case. `PORT` in its texts is that of a web server of the tests."""

    name: str
    steps: str
    """YAML: the steps of the stage, as a list."""
    want: Want = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    """Further files that are there before."""
    stage: str = "boot"
    kairos: str = ""
    """What Kairos does instead, where that is dangerous."""
    problem: str = ""
    """What ours must say."""
    whole: str = ""
    """The file instead of steps of one stage."""

    def given(self) -> dict[str, str]:
        """All files that are there before."""
        steps = textwrap.indent(textwrap.dedent(self.steps).strip("\n"), "    ")
        text = textwrap.dedent(self.whole) or f"stages:\n  {self.stage}:\n{steps}\n"
        return {"/oem/50.yaml": text, **{k: textwrap.dedent(v) for k, v in self.files.items()}}


def f(content: str, mode: int = 0o644, owner: int = 0, group: int = 0) -> Entry:
    """A file."""
    return Entry("file", mode, owner, group, content)


def d(mode: int, owner: int = 0, group: int = 0) -> Entry:
    """A directory."""
    return Entry("directory", mode, owner, group)


def log(*lines: str) -> dict[str, Entry | None]:
    """The file /log, to which commands write one after the other."""
    return {"/log": f("".join(f"{line}\n" for line in lines))}


def b64(data: bytes) -> str:
    """base64."""
    return base64.b64encode(data).decode()


NOTHING: Want = {"/log": None}
_SAY = '#!/bin/sh\necho "${0##*/} $*" >> /log\n'
_PASSWD = "root:x:0:0:root:/root:/bin/bash\nuser:x:1500:1600:User:/home/user:/bin/sh\n"
_GROUP = "root:x:0:\naudio:x:29:\nshadow:x:42:\nstaff:x:50:user\nug:x:1600:\n"
_SHADOW = "root:*:19000:0:99999:7:::\nuser:!:19001:1:90:5:3:20000:\n"
USERS = {"/etc/passwd": _PASSWD, "/etc/group": _GROUP, "/etc/shadow": _SHADOW,
         "/home/user": "directory"}  # fmt: skip

FILES = [
    Case("file", "- files: [{path: /f, content: x, permissions: 0644}]", {"/f": f("x")}),
    Case("file: 0o600", "- files: [{path: /f, content: x, permissions: 0o600}]", {"/f": f("x", 0o600)}),
    Case("file: 420", "- files: [{path: /f, content: x, permissions: 420}]", {"/f": f("x", 0o644)}),
    Case("file: 0x1a4", "- files: [{path: /f, content: x, permissions: 0x1a4}]", {"/f": f("x")}),
    Case("file: 0b110", "- files: [{path: /f, content: x, permissions: 0b110}]", {"/f": f("x", 6)}),
    Case("file: 0_644", "- files: [{path: /f, content: x, permissions: 0_644}]", {"/f": f("x")}),
    Case("file: 644 is decimal", "- files: [{path: /f, content: x, permissions: 644}]",
         {"/f": f("x", 0o204)}),
    Case("file: 0000 said", "- files: [{path: /f, content: x, permissions: 0}]", {"/f": f("x", 0)}),
    Case("file: 1e2", "- files: [{path: /f, content: x, permissions: 1e2}]", {"/f": f("x", 100)}),
    Case("file: 04755", "- files: [{path: /f, content: x, permissions: 04755}]", {"/f": f("x", 0o755)}),
    Case("file: no permissions", "- files: [{path: /f, content: x}]", {"/f": f("x")},
         kairos="mode 0000"),
    Case("file: no permissions, parents", "- files: [{path: /a/f, content: x}]",
         {"/a/f": f("x"), "/a": d(0o755)}, kairos="mode 0000, parents 0100"),
    Case("file: no permissions, there already", "- files: [{path: /f, content: y}]",
         {"/f": f("y", 0o755)}, {"/f": "#!x"}, kairos="mode 0000"),
    Case("file: null permissions", "- files: [{path: /f, content: x, permissions: }]",
         {"/f": f("x")}, kairos="mode 0000"),
    Case("file: parents of 0644", "- files: [{path: /a/b/f, content: x, permissions: 0644}]",
         {"/a/b/f": f("x"), "/a": d(0o744), "/a/b": d(0o744)}),
    Case("file: parents of 0600", "- files: [{path: /a/f, content: x, permissions: 0600}]",
         {"/a/f": f("x", 0o600), "/a": d(0o700)}),
    Case("file: parents of 0755", "- files: [{path: /a/f, content: x, permissions: 0755}]",
         {"/a/f": f("x", 0o755), "/a": d(0o755)}),
    Case("file: parents of 0777", "- files: [{path: /a/f, content: x, permissions: 0777}]",
         {"/a/f": f("x", 0o777), "/a": d(0o755)}),
    Case("file: parents' owner", "- files: [{path: /a/f, content: x, permissions: 0640, owner: 5, group: 6}]",
         {"/a/f": f("x", 0o640, 5, 6), "/a": d(0o740, 5, 6)}),
    Case("file: ownerstring", "- files: [{path: /f, content: x, permissions: 0640, ownerstring: user}]",
         {"/f": f("x", 0o640, 1500, 1600)}, USERS),
    Case("file: ownerstring with group",
         "- files: [{path: /f, content: x, permissions: 0640, ownerstring: 'user:audio'}]",
         {"/f": f("x", 0o640, 1500, 29)}, USERS),
    Case("file: ownerstring wins",
         "- files: [{path: /f, content: x, permissions: 0640, ownerstring: 'user:audio', owner: 3, group: 4}]",
         {"/f": f("x", 0o640, 1500, 29)}, USERS),
    Case("file: no such owner", "- files: [{path: /f, content: x, permissions: 0640, ownerstring: nobody-here}]",
         {"/f": f("x", 0o640)}, USERS, problem="file 1 can't be written: the owner is no user"),
    Case("file: overwritten", "- files: [{path: /f, content: new, permissions: 0600}]",
         {"/f": f("new", 0o600)}, {"/f": "older and longer"}),
    Case("file: through a link", "- files: [{path: /l, content: x, permissions: 0644}]",
         {"/t": f("x"), "/l": None}, {"/l": "-> /t", "/t": "old"}),
    Case("file: through a link to nothing", "- files: [{path: /l, content: x, permissions: 0644}]",
         {"/t": f("x")}, {"/l": "-> /t"}),
    Case("file: a directory is there", "- files: [{path: /etc, content: x, permissions: 0644}]",
         problem="file 1 can't be written: Is a directory"),
    Case("file: a file as parent", "- files: [{path: /t/f, content: x, permissions: 0644}]",
         {"/t/f": None}, {"/t": "x"}, problem="file 1 can't be written"),
    Case("file: the second follows a bad one",
         "- files: [{path: /etc, permissions: 0644}, {path: /f, content: x, permissions: 0644}]",
         {"/f": f("x")}, problem="file 1 can't be written"),
    Case("file: number as content", "- files: [{path: /f, content: 0644, permissions: 0644}]",
         {"/f": f("0644")}),
    Case("file: true as content", "- files: [{path: /f, content: Yes, permissions: 0644}]",
         {"/f": f("Yes")}),
    Case("file: date as content", "- files: [{path: /f, content: 2024-01-02, permissions: 0644}]",
         {"/f": f("2024-01-02")}),
    Case("file: no content", "- files: [{path: /f, permissions: 0644}]", {"/f": f("")}),
    Case("file: block of text", "- files:\n  - path: /f\n    permissions: 0644\n    content: |\n      a\n       b\n",
         {"/f": f("a\n b\n")}),
    Case("file: b64", f"- files: [{{path: /f, encoding: b64, content: {b64(b'bin')}, permissions: 0644}}]",
         {"/f": f("bin")}),
    Case("file: base64 with line breaks",
         "- files:\n  - {path: /f, encoding: base64, content: \"aGVs\\nbG8=\\n\", permissions: 0644}",
         {"/f": f("hello")}),
    Case("file: bytes", f"- files: [{{path: /f, encoding: b64, content: {b64(bytes(range(256)))}, permissions: 0644}}]",
         {"/f": f(bytes(range(256)).decode(errors="surrogateescape"))}),
    *(Case(f"file: {name}", f"- files: [{{path: /f, encoding: {name}, permissions: 0644, "
           f"content: {b64(gzip.compress(b'zipped', mtime=0))}}}]", {"/f": f("zipped")})
      for name in ("gz+base64", "gzip+base64", "gz+b64", "gzip+b64")),
    Case("file: unknown encoding", "- files: [{path: /f, encoding: rot13, content: abc, permissions: 0644}]",
         {"/f": f("abc")}),
    Case("file: bad base64", "- files: [{path: /f, encoding: b64, content: '!!', permissions: 0644}]",
         {"/f": None}, {"/f": "precious"}, kairos="the file is emptied",
         problem="file 1 can't be written: its content is no base64"),
    Case("file: bad gzip", "- files: [{path: /f, encoding: gz+b64, content: aGVsbG8=, permissions: 0644}]",
         {"/f": None}, kairos="an empty file", problem="its content is no gzip"),
    Case("file: template", "- files: [{path: /f, content: '{{ .Values.os.name }}', permissions: 0644}]",
         {"/f": f("Debian GNU/Linux 13 (trixie)")}),
    Case("file: template without a value", "- files: [{path: /f, content: '{{ .Values.nix }}', permissions: 0644}]",
         {"/f": f("<no value>")}),
    Case("file: template in base64",
         f"- files: [{{path: /f, encoding: b64, content: {b64(b'{{ upper .Values.os.vendor }}')}, permissions: 0644}}]",
         {"/f": f("DEBIAN")}),
    Case("file: bad template", "- files: [{path: /f, content: 'a {{ b', permissions: 0644}]",
         {"/f": f("a {{ b")}),
    Case("file: unknown keys", "- files: [{path: /f, content: x, permissions: 0644, mode: 7}]\n  comment: x",
         {"/f": f("x")}),
    Case("file: path with points", "- files: [{path: /a/../f, content: x, permissions: 0644}]",
         {"/f": f("x")}, {"/a": "directory"}),
]  # fmt: skip

DIRECTORIES = [
    Case("directory", "- directories: [{path: /a, permissions: 0750, owner: 3, group: 4}]",
         {"/a": d(0o750, 3, 4)}),
    Case("directory: parents", "- directories: [{path: /a/b/c, permissions: 0755}]",
         {"/a": d(0o755), "/a/b": d(0o755), "/a/b/c": d(0o755)}),
    Case("directory: parents' owner", "- directories: [{path: /a/b, permissions: 0700, owner: 9}]",
         {"/a": d(0o700, 9), "/a/b": d(0o700, 9)}),
    Case("directory: there already", "- directories: [{path: /opt, permissions: 0700, owner: 1}]",
         {"/opt": d(0o700, 1)}),
    Case("directory: no permissions", "- directories: [{path: /a}]", {"/a": d(0o755)},
         kairos="mode 0000"),
    Case("directory: no permissions, there already", "- directories: [{path: /opt}]", {},
         kairos="mode 0000"),
    Case("directory: 0777 as written", "- directories: [{path: /a, permissions: 0777}]",
         {"/a": d(0o777)}, kairos="its umask counts, but only the first time"),
    Case("directory: 0777, there already", "- directories: [{path: /opt, permissions: 0777}]",
         {"/opt": d(0o777)}),
    Case("directory: sticky", "- directories: [{path: /a, permissions: 01777}]", {"/a": d(0o1777)},
         kairos="the sticky bit is dropped: everybody may remove everybody's files"),
    Case("directory: a file is there", "- directories: [{path: /f, permissions: 0755}]",
         {}, {"/f": "x"}, problem="directory 1 can't be made: something else is there"),
    Case("directory: the next one", "- directories: [{path: /f/a, permissions: 0755}, {path: /b, permissions: 0755}]",
         {"/b": d(0o755)}, {"/f": "x"}, problem="directory 1 can't be made"),
    Case("directory: before files", "- files: [{path: /a/f, content: x, permissions: 0600}]\n"
         "  directories: [{path: /a, permissions: 0755}]",
         {"/a": d(0o755), "/a/f": f("x", 0o600)}),
]  # fmt: skip

COMMANDS = [
    Case("command", "- commands: [echo a >> /log]", log("a")),
    Case("command: in order", "- commands: [echo a >> /log, echo b >> /log, echo c >> /log]",
         log("a", "b", "c")),
    Case("command: a failing one", "- commands: [echo a >> /log, exit 3, echo c >> /log]",
         log("a", "c"), problem="command 2 failed with exit code 3"),
    Case("command: what a failing one said", "- commands: ['echo because >&2; exit 4']",
         problem="command 1 failed with exit code 4: because"),
    Case("command: killed", "- commands: ['kill -9 $$', echo b >> /log]", log("b"),
         problem="command 1 was ended by the signal 9"),
    Case("command: not there", "- commands: [no-such-program]",
         problem="command 1 failed with exit code 127"),
    Case("command: block", "- commands:\n  - |\n    for i in 1 2; do\n      echo $i >> /log\n    done\n",
         log("1", "2")),
    Case("command: template", "- commands: ['echo {{ .Values.os.vendor }} >> /log']", log("debian")),
    Case("command: sprig", "- commands: ['echo {{ \"ab\" | upper | quote }} >> /log']", log("AB")),
    Case("command: bad template", "- commands: ['echo ''{{ x''  >> /log']", log("{{ x")),
    Case("command: a number", "- commands: [1, echo b >> /log]", log("b"), problem="command 1 failed"),
    Case("command: null", "- commands: [, echo b >> /log]".replace("[,", "[~,"), log("b")),
    Case("command: its directory", "- commands: ['pwd >> /log']", log("/")),
    Case("command: no input", "- commands: ['cat >> /log; echo end >> /log']", log("end")),
    Case("command: umask", "- commands: ['umask >> /log']", log("0022")),
    Case("command: after files", "- commands: ['cat /f >> /log']\n  files: [{path: /f, content: \"x\\n\", permissions: 0600}]",
         log("x")),
    Case("command: does not see environment", "- environment: {A: b}\n  commands: ['echo \"[$A]\" >> /log']",
         log("[]")),
    Case("command: in a session of its own", "- commands: ['( sleep 0.1; echo b >> /log ) > /dev/null 2>&1; echo a >> /log']",
         log("b", "a")),
]  # fmt: skip

CONDITIONS = [
    Case("if: holds", "- if: 'true'\n  commands: [echo a >> /log]", log("a")),
    Case("if: true without quotes", "- if: true\n  commands: [echo a >> /log]", log("a")),
    Case("if: does not hold", "- if: 'false'\n  commands: [echo a >> /log]\n- commands: [echo b >> /log]",
         log("b")),
    Case("if: shell", "- if: '[ -e /etc/passwd ] && [ ! -e /nix ]'\n  commands: [echo a >> /log]", log("a")),
    Case("if: template", "- if: '[ {{ .Values.os.vendor }} = debian ]'\n  commands: [echo a >> /log]", log("a")),
    Case("if: bad template", "- if: '[ {{ x = debian ]'\n  commands: [echo a >> /log]", NOTHING),
    Case("if: has an effect", "- if: 'echo if >> /log'\n  commands: [echo a >> /log]", log("if", "a")),
    Case("if: before only_os", "- if: 'echo if >> /log'\n  only_os: BeOS\n  commands: [echo a >> /log]",
         log("if")),
    Case("node comes before if", "- node: '^nobody$'\n  if: 'echo if >> /log'\n  commands: [echo a >> /log]",
         NOTHING),
    Case("node: matches", "- node: 'n[0-9]+'\n  commands: [echo a >> /log]", log("a"),
         {"/proc/sys/kernel/hostname": "n17\n"}),
    Case("node: does not", "- node: 'm[0-9]+'\n  commands: [echo a >> /log]", NOTHING,
         {"/proc/sys/kernel/hostname": "n17\n"}),
    Case("node: no regular expression", "- node: '['\n  commands: [echo a >> /log]", NOTHING,
         {"/proc/sys/kernel/hostname": "n17\n"}, problem="`node` is no regular expression"),
    Case("only_os: matches", "- only_os: '(?i)debian'\n  commands: [echo a >> /log]", log("a")),
    Case("only_os: PRETTY_NAME", "- only_os: 'trixie'\n  commands: [echo a >> /log]", log("a")),
    Case("only_os: does not", "- only_os: 'Ubuntu|SLES'\n  commands: [echo a >> /log]", NOTHING),
    Case("only_os: alternatives", "- only_os: 'Ubuntu.*|Debian.*'\n  commands: [echo a >> /log]", log("a")),
    Case("only_os: class", "- only_os: '^[[:upper:]][[:alpha:]]+ '\n  commands: [echo a >> /log]", log("a")),
    Case("only_os: no regular expression", "- only_os: '*'\n  commands: [echo a >> /log]", NOTHING,
         problem="`only_os` is no regular expression"),
    Case("only_os_version: matches", "- only_os_version: '^1[34]$'\n  commands: [echo a >> /log]", log("a")),
    Case("only_os_version: a number", "- only_os_version: 13\n  commands: [echo a >> /log]", log("a")),
    Case("only_os_version: does not", "- only_os_version: '24.04'\n  commands: [echo a >> /log]", NOTHING),
    Case("only_os_version: none", "- only_os_version: '.*'\n  commands: [echo a >> /log]", NOTHING,
         {"/etc/os-release": "ID=debian\nPRETTY_NAME=x\n"}),
    Case("only_arch: matches", "- only_arch: 'amd64|arm64'\n  commands: [echo a >> /log]", log("a")),
    Case("only_arch: does not", "- only_arch: 's390x'\n  commands: [echo a >> /log]", NOTHING),
    Case("service manager: systemd", "- only_service_manager: systemd\n  commands: [echo a >> /log]", log("a")),
    Case("service manager: Systemd", "- only_service_manager: Systemd\n  commands: [echo a >> /log]", log("a")),
    Case("service manager: openrc", "- only_service_manager: openrc\n  commands: [echo a >> /log]", NOTHING),
    Case("service manager: both", "- only_service_manager: systemd\n  commands: [echo a >> /log]", NOTHING,
         {"/usr/sbin/openrc": _SAY}),
    Case("service manager: unknown", "- only_service_manager: runit\n  commands: [echo a >> /log]", NOTHING),
    Case("if_files all: there", "- if_files: {all: [/etc/passwd, /etc/group]}\n  commands: [echo a >> /log]", log("a")),
    Case("if_files all: one missing", "- if_files: {all: [/etc/passwd, /nix]}\n  commands: [echo a >> /log]", NOTHING),
    Case("if_files any: one there", "- if_files: {any: [/nix, /etc/passwd]}\n  commands: [echo a >> /log]", log("a")),
    Case("if_files any: none there", "- if_files: {any: [/nix, /nada]}\n  commands: [echo a >> /log]", NOTHING),
    Case("if_files none: none there", "- if_files: {none: [/nix, /nada]}\n  commands: [echo a >> /log]", log("a")),
    Case("if_files none: one there", "- if_files: {none: [/nix, /etc/passwd]}\n  commands: [echo a >> /log]", NOTHING),
    Case("if_files: two kinds", "- if_files: {all: [/etc/passwd], none: [/etc/group]}\n  commands: [echo a >> /log]", NOTHING),
    Case("if_files: empty lists", "- if_files: {any: [], all: []}\n  commands: [echo a >> /log]", log("a")),
    Case("if_files: unknown kind", "- if_files: {some: [/etc/passwd]}\n  commands: [echo a >> /log]", NOTHING,
         problem="`if_files` has a key other than"),
    Case("if_files: a link to nothing", "- if_files: {any: [/l]}\n  commands: [echo a >> /log]", NOTHING,
         {"/l": "-> /nix"}),
    Case("all conditions", "- only_os: Debian\n  only_arch: amd64\n  if: 'true'\n  if_files: {none: [/nix]}\n"
         "  only_service_manager: systemd\n  only_os_version: '13'\n  commands: [echo a >> /log]", log("a")),
]  # fmt: skip

ORDER = [
    Case("parts of a stage", "", log("before", "boot", "after"), whole="""\
        stages:
          boot.after: [{commands: [echo after >> /log]}]
          boot: [{commands: [echo boot >> /log]}]
          boot.before: [{commands: [echo before >> /log]}]
        """),
    Case("another stage", "", NOTHING, whole="stages: {network: [{commands: [echo x >> /log]}]}\n"),
    Case("files by name", "- commands: [echo 50 >> /log]", log("10", "50", "60", "a"), {
        "/oem/10.yaml": "stages: {boot: [{commands: [echo 10 >> /log]}]}",
        "/oem/60.yml": "stages: {boot: [{commands: [echo 60 >> /log]}]}",
        "/oem/a.yaml": "stages: {boot: [{commands: [echo a >> /log]}]}",
        "/oem/no.txt": "stages: {boot: [{commands: [echo no >> /log]}]}",
        "/oem/70.yaml.bak": "stages: {boot: [{commands: [echo bak >> /log]}]}",
    }),
    Case("directories below", "- commands: [echo 50 >> /log]", log("40", "45/a", "45/b", "50"), {
        "/oem/40.yaml": "stages: {boot: [{commands: [echo 40 >> /log]}]}",
        "/oem/45/b.yaml": "stages: {boot: [{commands: [echo 45/b >> /log]}]}",
        "/oem/45/a.yaml": "stages: {boot: [{commands: [echo 45/a >> /log]}]}",
    }),
    Case("Kairos's directories", "- commands: [echo oem >> /log]", log("system", "oem", "local"), {
        "/usr/local/cloud-config/1.yaml": "stages: {boot: [{commands: [echo local >> /log]}]}",
        "/system/oem/9.yaml": "stages: {boot: [{commands: [echo system >> /log]}]}",
    }),
    Case("a stage over directories before the next", "", log("s.before", "o.before", "s", "o"), {
        "/system/oem/9.yaml": "stages: {boot: [{commands: [echo s >> /log]}], "
                              "boot.before: [{commands: [echo s.before >> /log]}]}",
    }, whole="stages: {boot: [{commands: [echo o >> /log]}], boot.before: [{commands: [echo o.before >> /log]}]}\n"),
    Case("a file that is a link", "- commands: [echo 50 >> /log]", log("50", "link"), {
        "/oem/60.yaml": "-> /else/x", "/else/x": "stages: {boot: [{commands: [echo link >> /log]}]}"}),
    Case("after: a step before", "- {name: a, commands: [echo a >> /log]}\n- {name: b, commands: [echo b >> /log]}\n"
         "- {name: c, after: [{name: /oem/50.yaml.b}], commands: [echo c >> /log]}", log("a", "b", "c")),
    Case("after: a step behind", "- {name: a, after: [{name: /oem/50.yaml.c}], commands: [echo a >> /log]}\n"
         "- {name: b, after: [{name: /oem/50.yaml.c}], commands: [sleep 0.3; echo b >> /log]}\n"
         "- {name: c, after: [{name: /oem/40.yaml.x}], commands: [echo c >> /log]}", log("x", "c", "a", "b"),
         {"/oem/40.yaml": "stages: {boot: [{name: x, commands: [echo x >> /log]}]}"}),
    Case("after: by the file's name", "", log("a", "b"), whole="""\
        name: mine
        stages:
          boot:
            - {name: a, commands: [echo a >> /log]}
            - {name: b, after: [{name: mine.a}], commands: [echo b >> /log]}
        """),
    Case("after: by number", "", log("a", "b"), whole="""\
        name: mine
        stages:
          boot:
            - {commands: [echo a >> /log]}
            - {name: b, after: [{name: mine.0}], commands: [echo b >> /log]}
        """),
    Case("after: numbered names", "", log("a", "b"), whole="""\
        name: mine
        stages:
          boot:
            - {name: x, commands: [echo a >> /log]}
            - {name: x, after: [{name: mine.x.0}], commands: [echo b >> /log]}
        """),
    Case("after: across files", "", log("a", "b"),
         {"/oem/40.yaml": "name: first\nstages: {boot: [{name: a, commands: [echo a >> /log]}]}"}, whole="""\
        stages:
          boot:
            - {name: b, after: [{name: first.a}], commands: [echo b >> /log]}
        """),
    Case("after: #cloud-config drops the file's name", "", log("a", "b"), whole="""\
        #cloud-config
        name: mine
        stages:
          fs:
            - {name: a, commands: [echo a >> /log]}
            - {name: b, after: [{name: /oem/50.yaml.a}], commands: [echo b >> /log]}
        """, stage="fs"),
    Case("after: #cloud-config has a step of its own", "", log("a", "b"), whole="""\
        #cloud-config
        stages:
          boot:
            - {name: a, commands: [echo a >> /log]}
            - {name: b, after: [{name: /oem/50.yaml.a}], commands: [echo b >> /log]}
        """),
    Case("after: #cloud-config, numbers are higher", "", log("a", "b"), whole="""\
        #cloud-config
        stages:
          network:
            - {commands: [echo a >> /log]}
            - {name: b, after: [{name: /oem/50.yaml..1}], commands: [echo b >> /log]}
        """, stage="network"),
    Case("after: missing", "- {name: a, commands: [echo a >> /log]}\n- {name: b, after: [{name: nix}], commands: [echo b >> /log]}\n"
         "- {name: c, commands: [echo c >> /log]}", log("a", "c"),
         kairos="the executor crashes", problem="names `nix`, which is no step"),
    Case("after: a cycle", "- {name: a, after: [{name: /oem/50.yaml.b}], commands: [echo a >> /log]}\n"
         "- {name: b, after: [{name: /oem/50.yaml.a}], commands: [echo b >> /log]}\n"
         "- {name: c, commands: [echo c >> /log]}", log("c"),
         kairos="the executor crashes, or nothing runs", problem="steps wait for each other: `a` (line 3) → `b` (line 4)"),
    Case("after: itself", "- {name: a, after: [{name: /oem/50.yaml.a}], commands: [echo a >> /log]}\n"
         "- {name: c, commands: [echo c >> /log]}", log("c"),
         kairos="the executor crashes, or nothing runs", problem="steps wait for each other"),
    Case("after: another directory", "- {name: a, after: [{name: s.x}], commands: [echo a >> /log]}", log("x", "a"),
         {"/system/oem/1.yaml": "name: s\nstages: {boot: [{name: x, commands: [echo x >> /log]}]}"},
         kairos="the executor crashes"),
    Case("a step that fails", "- {commands: [exit 1]}\n- {commands: [echo b >> /log]}", log("b"),
         problem="command 1 failed"),
    Case("keys in yip's order", """\
        - packages: {install: [p]}
          systemctl: {enable: [u]}
          commands: [echo command >> /log]
          """, log("command", "systemctl enable u", "apt-get -y --no-install-recommends install p"),
         {"/usr/bin/systemctl": _SAY, "/usr/bin/apt-get": _SAY}),
]  # fmt: skip

BROKEN = [
    Case("a broken file", "- commands: [echo 50 >> /log]", log("50"), {"/oem/40.yaml": "stages: ["},
         kairos="its neighbours don't run", problem="/oem/40.yaml:1:10: this is not YAML"),
    Case("a wrong type in one step", "- {commands: [echo a >> /log]}\n- {commands: echo}\n- {commands: [echo c >> /log]}",
         log("a", "c"), kairos="nothing of the directory runs", problem="/oem/50.yaml:4:18: `commands` is text"),
    Case("a wrong type under #cloud-config", "", log("a"), whole="""\
        #cloud-config
        stages:
          boot:
            - {commands: [echo a >> /log]}
            - {files: [{path: /f, permissions: "0644"}]}
        """, kairos="the file's stages are dropped without a word", problem="/oem/50.yaml:5:40: `files[0].permissions`"),
    Case("permissions 0888 are 888", "- files: [{path: /f, permissions: 0888, content: x}]",
         {"/f": f("x", 0o570)}),
    Case("permissions 644.5", "- files: [{path: /f, permissions: 644.5}]\n- commands: [echo b >> /log]", log("b"),
         kairos="nothing of the directory runs", problem="`files[0].permissions` is a number"),
    Case("a stage that is a mapping", "", log("a"),
         {"/oem/60.yaml": "stages: {boot: [{commands: [echo a >> /log]}]}"},
         whole="stages: {boot: {commands: [x]}}\n", kairos="nothing of the directory runs",
         problem="the stage is a mapping; expected a list of steps"),
    Case("stages is text", "", log("a"), {"/oem/60.yaml": "stages: {boot: [{commands: [echo a >> /log]}]}"},
         whole="stages: no\n", kairos="nothing of the directory runs", problem="`stages` is"),
    Case("an empty file", "- commands: [echo b >> /log]", log("b"), {"/oem/40.yaml": ""}),
    Case("a file without stages", "- commands: [echo b >> /log]", log("b"), {"/oem/40.yaml": "users: []\nx: {y: 1}\n"}),
    Case("an empty stage", "", NOTHING, whole="stages: {boot: , boot.after: []}\n"),
    Case("an empty step", "- {}\n- commands: [echo b >> /log]", log("b")),
    Case("a null step", "-\n- commands: [echo b >> /log]", log("b")),
    Case("the same key twice", "- commands: [echo a >> /log]", log("x"),
         {"/oem/40.yaml": "stages: {}\nstages: {}\n", "/oem/60.yaml": "stages: {boot.after: [{commands: [echo x > /log]}]}"},
         kairos="its neighbours don't run", problem="/oem/40.yaml:2:1"),
    Case("merged keys", "", log("a", "b"), whole="""\
        x: &x {name: n, commands: [echo a >> /log]}
        stages:
          boot: [*x, {<<: *x, commands: [echo b >> /log]}]
        """),
    Case("a directory called .yaml", "- commands: [echo b >> /log]", log("in", "b"), {
        "/oem/10.yaml/x.yaml": "stages: {boot: [{commands: [echo in >> /log]}]}"}),
    Case("a link to nothing", "- commands: [echo b >> /log]", log("b"), {"/oem/10.yaml": "-> /nix"},
         kairos="its neighbours don't run", problem="/oem/10.yaml can't be read"),
]  # fmt: skip
