"""Images that no Dockerfile can make: prints the configuration, and the layer as base64, of the variant named."""

import base64
import io
import json
import sys
import tarfile

GOOD = {"Cmd": ["/nothing"]}
PLATFORM = {"architecture": "amd64", "os": "linux"}
FOLDER, FILE, FIFO, LINK = tarfile.DIRTYPE, tarfile.REGTYPE, tarfile.FIFOTYPE, tarfile.SYMTYPE


def layer(*members):
    """A layer of (name, kind[, target of a link or size of a file of zeros])."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, kind, *more in members:
            member = tarfile.TarInfo(name)
            member.type, member.mode = kind, 0o755 if kind == FOLDER else 0o666
            content = None
            if kind == LINK:
                member.linkname = more[0]
            elif more:
                member.size, content = len(more[0]), io.BytesIO(more[0])
            tar.addfile(member, content)
    return buffer.getvalue()


VARIANTS = {
    "no-command": ({"config": {}}, ()),
    "empty-command": ({"config": {"Cmd": [""]}}, ()),
    "nul-in-command": ({"config": {"Cmd": ["/a\0b"]}}, ()),
    "huge-command": ({"config": {"Cmd": ["/x", "a" * 200_000]}}, ()),
    "huge-environment": ({"config": {**GOOD, "Env": ["BIG=" + "x" * 200_000]}}, ()),
    "odd-environment": ({"config": {**GOOD, "Env": ["=x", "NOTHING", "A=\0b", "B=\x1b[31m"]}}, ()),
    "many-volumes": ({"config": {**GOOD, "Volumes": {f"/v{n}": {} for n in range(2000)}}}, ()),
    "volume-on-root": ({"config": {**GOOD, "Volumes": {"/": {}}}}, ()),
    "volume-on-nothing": ({"config": {**GOOD, "Volumes": {"": {}}}}, ()),
    "volume-with-colons": ({"config": {**GOOD, "Volumes": {"/a:/b:rw": {}, "/etc:/host": {}}}}, ()),
    "volume-with-escapes": ({"config": {**GOOD, "Volumes": {"/output/\x1b]0;x\x07\u202e": {}}}}, ()),
    "workdir-relative": ({"config": {**GOOD, "WorkingDir": "../../x"}}, ()),
    "workdir-cries-wolf": ({"config": {**GOOD, "WorkingDir": "../../no space left on device, timed out"}}, ()),
    "workdir-long": ({"config": {**GOOD, "WorkingDir": "/" + "x" * 5000}}, ()),
    "stop-signal": ({"config": {**GOOD, "StopSignal": "SIGNONSENSE"}}, ()),
    "healthcheck": ({"config": {**GOOD, "Healthcheck": {"Test": ["CMD", "x"], "Interval": 1, "Retries": -1}}}, ()),
    "null-config": ({"config": None}, ()),
    "arm64": ({"architecture": "arm64", "config": GOOD}, ()),
    "riscv-with-escapes": ({"architecture": "\x1b[31mred\u202e", "config": GOOD}, ()),
    "passwd-is-a-fifo": ({"config": GOOD}, (("etc", FOLDER), ("etc/passwd", FIFO))),
    "group-is-a-fifo": ({"config": GOOD}, (("etc", FOLDER), ("etc/group", FIFO))),
    "passwd-links-to-a-fifo": ({"config": GOOD}, (("etc", FOLDER), ("pipe", FIFO), ("etc/passwd", LINK, "/pipe"))),
    "passwd-is-a-folder": ({"config": GOOD}, (("etc", FOLDER), ("etc/passwd", FOLDER))),
    "volume-on-a-file": ({"config": {**GOOD, "Volumes": {"/file": {}}}}, (("file", FILE),)),
    "passwd-links-up": (
        {"config": GOOD},
        (("etc", FOLDER), ("etc/passwd", LINK, "../../../../../../etc/passwd")),
    ),
    "group-is-endless": ({"config": GOOD}, (("etc", FOLDER), ("etc/group", FILE, b"g:x:65532:\n" * 3_000_000))),
    "hosts-is-a-folder": ({"config": GOOD}, (("etc", FOLDER), ("etc/hosts", FOLDER), ("etc/resolv.conf", FIFO))),
    "hosts-links-to-the-host": (
        {"config": GOOD},
        (("etc", FOLDER), ("etc/hosts", LINK, "/../../../../tmp/apb-attack")),
    ),
    "proc-is-a-link": ({"config": GOOD}, (("proc", LINK, "/etc"),)),
    "proc-is-a-file": ({"config": GOOD}, (("proc", FILE),)),
    "dev-is-a-link": ({"config": GOOD}, (("dev", LINK, "/output"),)),
    "sbin-is-a-file": ({"config": GOOD}, (("sbin", FILE),)),
}

if __name__ == "__main__":
    changes, members = VARIANTS[sys.argv[1]]
    json.dump({**PLATFORM, **changes, "layer": base64.b64encode(layer(*members)).decode()}, sys.stdout)
