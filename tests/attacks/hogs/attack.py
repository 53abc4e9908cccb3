"""More processes, memory, threads or files than anybody needs."""

import os
import resource
import threading
import time

from kit import MIB, honest, main, probe, put, say


def fork_bomb():
    while True:
        try:
            os.fork()
        except OSError as error:
            say("fork", f"refused ({error.errno})")
            time.sleep(0.2)


def fork_count():
    children = []
    try:
        while len(children) < 5000:
            child = os.fork()
            if child == 0:
                time.sleep(60)
                os._exit(0)
            children.append(child)
    except OSError as error:
        say("fork", f"refused ({error.errno}) after {len(children) // 100} hundred")
    else:
        say("fork", "DONE")
    honest()


def threads():
    def wait():
        time.sleep(60)

    threading.stack_size(64 * 1024)
    count = 0
    try:
        for count in range(20_000):
            threading.Thread(target=wait, daemon=True).start()
    except (RuntimeError, MemoryError):
        say("threads", f"refused after {count // 100} hundred")
    else:
        say("threads", "DONE")
    honest()
    os._exit(0)


def memory():
    kept = []
    while True:
        kept.append(bytearray(b"x") * (16 * MIB))


def memory_in_a_child():
    """The child is killed; the parent does not mind and ends well, with a file that may be half of what was meant."""
    child = os.fork()
    if child == 0:
        memory()
    os.waitpid(child, 0)
    honest()


def memory_of_the_kernel():
    kept = []
    while True:
        ends = os.pipe()
        os.set_blocking(ends[1], False)
        os.write(ends[1], b"x" * 65536)
        kept.append(ends)


def survives_its_score():
    probe("oom_score_adj", lambda: put("/proc/self/oom_score_adj", "-1000\n"))
    probe("limit", lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (10**6, 10**6)))
    probe("nice", lambda: os.nice(-5))
    probe("realtime", lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50)))
    probe("mlock", lambda: resource.setrlimit(resource.RLIMIT_MEMLOCK, (2**40, 2**40)))
    honest()


def descriptors():
    kept = []
    try:
        while len(kept) < 100_000:
            kept.append(os.open("/dev/null", os.O_RDONLY))
    except OSError as error:
        say("open", f"refused ({error.errno}) after {len(kept)}")
        for fd in kept:
            os.close(fd)
    honest()


def core_dump():
    os.abort()


main(globals())
