"""What attacks share. A probe prints one line, `PROBE name: outcome`, which the harness holds against expected.yaml."""

import csv
import os

INPUT, OUTPUT = "/data/sequences.csv", "/output/predictions.csv"
MIB = 2**20


def rows():
    """The rows of the input, as dicts."""
    with open(INPUT) as source:
        return list(csv.DictReader(source))


def table(score=lambda row: row["sequence"].count("R") / len(row["sequence"])):
    """A valid predictions file, as text."""
    lines = [f"{row['sequence_id']},{int(score(row) > 0.05)},{score(row)!r}\n" for row in rows()]
    return "sequence_id,prediction,score\n" + "".join(lines)


def honest(path=OUTPUT):
    """Do what is asked for."""
    with open(path, "w") as target:
        target.write(table())


def say(name, outcome):
    """One line for the harness."""
    print(f"PROBE {name}: {outcome}", flush=True)


def probe(name, action):
    """Try something that must be refused."""
    try:
        result = action()
    except BaseException as error:
        say(name, f"refused ({type(error).__name__} {getattr(error, 'errno', '')})")
        return None
    say(name, f"DONE {result!r:.200}")
    return result


def put(path, text):
    """Write at once, so that a refusal is seen here."""
    fd = os.open(path, os.O_WRONLY)
    return os.write(fd, text.encode())


def fill(name, path, limit=300 * MIB):
    """Write to a file until it is refused, or `limit` bytes are there."""
    written = 0
    try:
        with open(path, "wb", buffering=0) as target:
            while written < limit:
                written += target.write(b"\xa5" * MIB)
    except OSError as error:
        say(name, f"refused (OSError {error.errno}) after {written // MIB} MiB")
    else:
        say(name, f"DONE {written // MIB} MiB")
    return written


def syscall(number, *arguments):
    """A raw system call; raises OSError."""
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    result = libc.syscall(number, *arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def main(functions):
    """Run the function that the image's VARIANT names."""
    functions[os.environ["VARIANT"].replace("-", "_")]()
