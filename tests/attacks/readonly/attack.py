"""Change what is only lent, or find what was never given."""

import ctypes
import os

from kit import INPUT, honest, main, probe, put, say, syscall


def data():
    probe("write", lambda: open("/data/x", "w"))
    probe("append", lambda: open(INPUT, "a"))
    probe("truncate", lambda: os.truncate(INPUT, 0))
    probe("unlink", lambda: os.unlink(INPUT))
    probe("rename", lambda: os.rename(INPUT, "/data/y"))
    probe("chmod", lambda: os.chmod(INPUT, 0o777))
    probe("chown", lambda: os.chown(INPUT, 65532, 65532))
    probe("utime", lambda: os.utime(INPUT, (0, 0)))
    probe("setxattr", lambda: os.setxattr(INPUT, "user.x", b"y"))
    probe("link", lambda: os.link(INPUT, "/output/predictions.csv"))
    probe("symlink", lambda: os.symlink("/etc", "/data/z"))
    probe("remount", lambda: syscall(165, None, b"/data", None, 0x20 | 0x1000, None))
    probe(
        "mount_setattr",
        lambda: syscall(442, -100, b"/data", 0, ctypes.create_string_buffer(b"\0" * 8 + b"\1" + b"\0" * 23), 32),
    )
    probe("umount", lambda: syscall(166, b"/data", 2))
    probe("parent", lambda: open("/data/../x", "w"))
    say("data", os.listdir("/data"))
    say("links", os.stat(INPUT).st_nlink)
    honest()


def system():
    for path in (
        "/etc/passwd", "/usr/bin/env", "/dev/sda", "/proc/sysrq-trigger",
        "/proc/sys/kernel/core_pattern", "/proc/sys/kernel/hostname", "/proc/sys/vm/drop_caches",
        "/proc/sys/fs/binfmt_misc/register", "/proc/sys/net/ipv4/ip_forward", "/proc/sys/kernel/modprobe",
        "/sys/kernel/uevent_helper", "/sys/power/state", "/sys/class/net/lo/mtu", "/sys/kernel/mm/ksm/run",
        "/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/release_agent",
        "/sys/fs/cgroup/pids/pids.max", "/sys/fs/cgroup/cgroup.procs", "/sys/fs/cgroup/memory.max", "/proc/1/mem",
        "/proc/irq/1/smp_affinity", "/proc/acpi/x", "/etc/hosts", "/etc/resolv.conf", "/etc/hostname",
    ):  # fmt: skip
        probe(f"write {path}", lambda: put(path, "1\n"))
    for folder in ("/", "/etc", "/usr", "/var", "/root", "/run", "/dev", "/sys", "/proc", "/var/lib/docker"):
        probe(f"create in {folder}", lambda: open(f"{folder}/x", "w"))
    probe("cgroup", lambda: os.mkdir("/sys/fs/cgroup/memory/x"))
    honest()


def search():
    """Look for labels, for true ids, for any file of the host, wherever it can be read."""
    for folder, folders, files in os.walk("/"):
        folders[:] = [f for f in folders if f"{folder}/{f}" not in ("//proc", "//sys", "//dev", "//attack")]
        for name in files:
            path = os.path.join(folder, name)
            if "label" in name and name.endswith((".csv", ".key", ".gz")):
                say("found", path)
            try:
                if os.stat(path).st_size < 2**20 and b"synthetic_00" in open(path, "rb").read(2**20):
                    say("found", path)
            except OSError:
                pass
    for process in filter(str.isdigit, os.listdir("/proc")):
        for name in ("environ", "cmdline"):
            try:
                text = open(f"/proc/{process}/{name}", "rb").read()
            except OSError:
                continue
            for word in (b"hidden", b"labels", b"synthetic_00"):
                if word in text:
                    say("found", (process, name, word))
    for path in ("/proc/1/root", "/proc/1/cwd", "/proc/self/root"):
        if os.path.exists(f"{path}/work"):
            say("found", path)
    for line in open("/proc/self/mountinfo"):
        if "/data " in line:
            say("mounted from", line.split()[3])
    say("search", "over")
    honest()


def escape_by_path():
    """Known ways from the name of a file to the host: /proc/self/fd of the runtime, magic links, handles."""
    for fd in range(3, 64):
        probe(f"fd {fd}", lambda: os.readlink(f"/proc/self/fd/{fd}"))
    for fd in range(3, 64):
        probe(f"fd {fd} of 1", lambda: os.listdir(f"/proc/1/fd/{fd}"))
    probe("cwd", lambda: os.listdir("../../../../../../work"))
    honest()


main(globals())
