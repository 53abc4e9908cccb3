"""Fill whatever can be written to; the host's disk must not notice."""

import ctypes
import os
from contextlib import suppress

from kit import MIB, fill, honest, main, probe, say


def bytes_in(name, folder):
    fill(name, f"{folder}/big")


def files_in(name, folder, limit):
    made = 0
    try:
        for made in range(limit):
            os.close(os.open(f"{folder}/{made}", os.O_CREAT | os.O_WRONLY))
    except OSError as error:
        say(name, f"refused (OSError {error.errno}) after {made} files")
    else:
        say(name, f"DONE {limit} files")


def output_bytes():
    bytes_in("fill", "/output")


def output_inodes():
    files_in("fill", "/output", 5000)


def output_folders():
    path = "/output"
    try:
        for _ in range(5000):
            path += "/d"
            os.mkdir(path)
    except OSError as error:
        say("fill", f"refused (OSError {error.errno})")
    else:
        say("fill", "DONE")


def tmp_bytes():
    bytes_in("fill", "/tmp")


def tmp_inodes():
    files_in("fill", "/tmp", 100_000)


def shm_bytes():
    bytes_in("fill", "/dev/shm")


def shm_inodes():
    files_in("fill", "/dev/shm", 3_000_000)


def all_at_once():
    for folder in ("/output", "/tmp", "/dev/shm"):
        bytes_in(folder, folder)


def memory_file():
    for _ in range(16):
        fd = os.memfd_create("x")
        for _ in range(64):
            os.write(fd, b"\xa5" * MIB)
    say("fill", "DONE 1 GiB")


def system_v_shared_memory():
    kept = []
    libc = ctypes.CDLL(None, use_errno=True)
    libc.shmat.restype = ctypes.c_void_p
    for _ in range(64):
        segment = libc.shmget(0, 16 * MIB, 0o1600)
        address = libc.shmat(segment, None, 0)
        ctypes.memset(address, 1, 16 * MIB)
        kept.append(address)
    say("fill", "DONE 1 GiB")


def message_queues():
    libc = ctypes.CDLL(None, use_errno=True)
    for number in range(100_000):
        if libc.mq_open(f"/q{number}".encode(), os.O_CREAT | os.O_RDWR, 0o600, None) < 0:
            say("fill", f"refused ({ctypes.get_errno()}) after {number} queues")
            return
    say("fill", "DONE")


def extended_attributes():
    written = 0
    for number in range(100):
        with suppress(OSError):
            os.close(os.open(f"/output/{number}", os.O_CREAT | os.O_WRONLY))
            for key in range(100):
                os.setxattr(f"/output/{number}", f"user.{key}", b"x" * 60_000)
                written += 60_000
    say("fill", f"refused after {written // MIB} MiB" if written < 100 * MIB else "DONE")


def elsewhere():
    """Every folder that lets itself be written to."""
    found = set()
    for folder, folders, _ in os.walk("/"):
        folders[:] = [f for f in folders if f"{folder}/{f}" not in ("//proc", "//sys")]
        try:
            os.close(os.open(f"{folder}/x", os.O_CREAT | os.O_WRONLY))
            found.add(folder)
        except OSError:
            pass
    say("writable", sorted(found))
    honest()


main(globals())
