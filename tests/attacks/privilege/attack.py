"""Be somebody else, or do what only root may."""

import ctypes
import os
import socket
import subprocess
import sys

from kit import honest, main, probe, say, syscall

WHO = "import os; print('PROBE became:', os.getresuid(), os.getresgid(), sorted(os.getgroups()), flush=True)"


def who():
    status = dict(line.rstrip().split(":\t", 1) for line in open("/proc/self/status") if ":\t" in line)
    say("ids", (status["Uid"].split(), status["Gid"].split(), status["Groups"].split()))
    for key in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp"):
        say(key, status[key].lstrip("0") or "0")
    honest()


def setuid():
    subprocess.run(["/rootly", "-c", WHO], check=False)
    subprocess.run(["/rootly", "-c", "import os; os.setuid(0)"], check=False)
    subprocess.run(["/usr/bin/su", "-c", "id"], stdin=subprocess.DEVNULL, check=False)
    probe("setuid", lambda: os.setuid(0))
    probe("setgid", lambda: os.setgid(0))
    probe("setgroups", lambda: os.setgroups([0]))
    honest()


def capability():
    probe("capable", lambda: subprocess.run(["/capable", "-c", "print(open('/proc/self/status').read())"], check=True))
    honest()


def namespaces():
    for name, flag in {
        "user": 0x10000000,
        "mount": 0x20000,
        "net": 0x40000000,
        "pid": 0x20000000,
        "cgroup": 0x2000000,
    }.items():
        probe(f"unshare {name}", lambda: syscall(272, flag))
    probe("setns", lambda: syscall(308, os.open("/proc/1/ns/mnt", os.O_RDONLY), 0))
    probe(
        "clone3", lambda: syscall(435, ctypes.create_string_buffer((0x10000000).to_bytes(8, "little") + bytes(80)), 88)
    )
    probe("mount", lambda: syscall(165, b"none", b"/tmp", b"tmpfs", 0, None))
    probe("fsopen", lambda: syscall(430, b"tmpfs", 0))
    probe("pivot_root", lambda: syscall(155, b"/tmp", b"/tmp"))
    probe("chroot", lambda: os.chroot("/tmp"))
    honest()


def kernel():
    probe("bpf", lambda: syscall(321, 0, ctypes.create_string_buffer(128), 128))
    probe("keyctl", lambda: syscall(250, 0, -3, 1))
    probe("add_key", lambda: syscall(248, b"user", b"x", b"y", 1, -3))
    probe("perf_event_open", lambda: syscall(298, ctypes.create_string_buffer(128), 0, -1, -1, 0))
    probe("userfaultfd", lambda: syscall(323, 0))
    probe("kexec_load", lambda: syscall(246, 0, 0, None, 0))
    probe("init_module", lambda: syscall(175, b"x", 1, b""))
    probe("reboot", lambda: syscall(169, 0xFEE1DEAD, 672274793, 0x1234567, None))
    probe("syslog", lambda: syscall(103, 3, ctypes.create_string_buffer(4096), 4096))
    probe("open_by_handle_at", lambda: syscall(304, 3, ctypes.create_string_buffer(64), 0))
    probe("sethostname", lambda: socket.sethostname("mine"))
    probe("settimeofday", lambda: syscall(164, ctypes.create_string_buffer(16), None))
    probe("swapon", lambda: syscall(167, b"/tmp/x", 0))
    probe("quotactl", lambda: syscall(179, 0x800002 << 8, b"/dev/vda", 0, None))
    probe("acct", lambda: syscall(163, b"/tmp/x"))
    probe("ioperm", lambda: syscall(173, 0, 1, 1))
    honest()


def devices():
    for name in ("mem", "kmem", "port", "kmsg", "sda", "vda", "vsock", "fuse", "kvm", "loop-control", "net/tun", "dri"):
        probe(f"/dev/{name}", lambda: os.open(f"/dev/{name}", os.O_RDONLY))
    probe("kcore", lambda: open("/proc/kcore", "rb").read(1) or 1 / 0)
    probe("keys", lambda: open("/proc/keys").read() or 1 / 0)
    probe("timer_list", lambda: open("/proc/timer_list").read() or 1 / 0)
    probe("firmware", lambda: os.listdir("/sys/firmware") or 1 / 0)
    probe("sched_debug", lambda: open("/proc/sched_debug").read() or 1 / 0)
    say("devices", sorted(os.listdir("/dev")))
    honest()


def first_process():
    """Process 1 is ours in name only: it is docker-init, as confined as we are."""
    import signal

    probe("attach", lambda: syscall(101, 16, 1, None, None))
    for line in open("/proc/1/status"):
        if line.startswith(("Uid", "CapEff", "Seccomp:")):
            say("first", " ".join(line.split()))
    say("processes", sorted(int(p) for p in os.listdir("/proc") if p.isdigit() and int(p) < os.getpid() - 5))
    honest()
    for number in (signal.SIGSTOP, signal.SIGKILL):
        os.kill(1, number)


main(globals())
