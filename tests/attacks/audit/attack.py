"""Behave on the full file, and otherwise on the smaller one of the consistency audit."""

import os
import time

from kit import OUTPUT, honest, main, probe, rows

FULL = 60


def hangs_on_fewer():
    if len(rows()) < FULL:
        time.sleep(10**6)
    honest()


def fails_on_fewer():
    if len(rows()) < FULL:
        raise SystemExit(7)
    honest()


def link_on_fewer():
    if len(rows()) < FULL:
        os.symlink("/etc/shadow", OUTPUT)
    else:
        honest()


def random_scores():
    with open(OUTPUT, "w") as target:
        target.write("sequence_id,prediction,score\n")
        target.writelines(f"{row['sequence_id']},1,{int.from_bytes(os.urandom(4)) / 2**32}\n" for row in rows())


def remembers():
    """Whatever one run has written is gone in the next."""
    for folder in ("/tmp", "/dev/shm", "/output", "/dev/mqueue"):
        assert not os.listdir(folder), (folder, os.listdir(folder))
        open(f"{folder}/kept", "w").close() if folder != "/dev/mqueue" else None
    probe("kept in the image", lambda: open("/attack/kept", "w"))
    honest()


def opposite_extremes():
    """On a regression track any finite float is a score; the difference of two need not be finite."""
    sign = "" if len(rows()) == 40 else "-"
    with open(OUTPUT, "w") as target:
        target.write("sequence_id,score\n")
        target.writelines(f"{row['sequence_id']},{sign}1.7e308\n" for row in rows())


main(globals())
