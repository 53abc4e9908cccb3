"""Do not end, or end and leave somebody behind."""

import os
import signal
import subprocess
import sys
import threading
import time

from kit import MIB, OUTPUT, honest, main


def daemon(work):
    """A child that no parent and no session holds."""
    if os.fork() == 0:
        os.setsid()
        for number in range(1, 65):
            if number not in (signal.SIGKILL, signal.SIGSTOP):
                try:
                    signal.signal(number, signal.SIG_IGN)
                except (OSError, ValueError):
                    pass
        if os.fork() == 0:
            while True:
                work()
        os._exit(0)


def sleeps():
    time.sleep(10**6)


def ignores_signals():
    daemon(lambda: time.sleep(1))
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    while True:
        time.sleep(0.1)


def leaves_a_daemon():
    honest()
    daemon(lambda: open("/output/more", "a").write("x" * 100))
    time.sleep(0.3)


def leaves_a_writer():
    """Whatever the daemon does to the file, it is dead before the file is looked at."""
    honest()

    def flip():
        honest("/output/next")
        os.replace("/output/next", OUTPUT)
        os.symlink("/etc/shadow", "/output/link")
        os.replace("/output/link", OUTPUT)

    daemon(flip)
    time.sleep(0.3)


def daemons_and_sleeps():
    for _ in range(20):
        daemon(lambda: open("/output/more", "w").write("x" * 1000))
    time.sleep(10**6)


def stops_itself():
    os.kill(os.getpid(), signal.SIGSTOP)


def stops_everybody():
    daemon(lambda: time.sleep(1))
    os.kill(-1, signal.SIGSTOP)
    os.kill(os.getpid(), signal.SIGSTOP)


def traces_itself():
    """A process under ptrace is stopped between its signals."""
    if os.fork() == 0:
        subprocess.run(
            [sys.executable, "-c", "import ctypes, os; ctypes.CDLL(None).ptrace(0, 0, 0, 0); os.kill(os.getpid(), 19)"]
        )
    time.sleep(10**6)


def floods_stdout():
    chunk = b"0123456789abcde\n" * 4096
    while True:
        os.write(1, chunk)


def floods_output():
    while True:
        try:
            with open(OUTPUT, "wb", buffering=0) as target:
                while True:
                    target.write(b"x" * MIB)
        except OSError:
            os.unlink(OUTPUT)


def burns():
    for _ in range(64):
        if os.fork() == 0:
            while True:
                pass
    while True:
        pass


def forks_without_end():
    while True:
        try:
            if os.fork():
                os._exit(0)
        except OSError:
            pass


def swaps_memory():
    """Stay just below the limit and touch everything."""
    kept = bytearray(380 * MIB)
    while True:
        for page in range(0, len(kept), 4096):
            kept[page] ^= 1


def many_threads():
    for _ in range(200):
        threading.Thread(target=sleeps).start()
    sleeps()


main(globals())
