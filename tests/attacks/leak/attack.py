"""Carry hidden rows out. All of it may reach the private log; none of it anything public."""

import base64
import gzip
import os
import sys

from kit import INPUT, OUTPUT, honest, main, rows, table

TEXT = open(INPUT).read()


def plain():
    print(TEXT)
    honest()


def plain_and_fails():
    print(TEXT, file=sys.stderr)
    raise SystemExit(1)


def encoded():
    print("B64", base64.b64encode(TEXT.encode()).decode())
    print("GZ", base64.b64encode(gzip.compress(TEXT.encode())).decode())
    print("HEX", TEXT.encode().hex())
    honest()


def traceback():
    raise ValueError(TEXT)


def exit_code():
    raise SystemExit(213)


def exit_code_of_a_shell():
    raise SystemExit(126)


def exit_by_signal():
    os.kill(os.getpid(), 31)


def exit_like_a_timeout():
    raise SystemExit(137)


def further_columns():
    header, *lines = table().splitlines()
    of = {row["sequence_id"]: row["sequence"] for row in rows()}
    with open(OUTPUT, "w") as target:
        target.write(f"{header},sequence,{rows()[0]['sequence']}\n")
        target.writelines(f"{line},{of[line.split(',')[0]]},x\n" for line in lines)


def unknown_ids():
    with open(OUTPUT, "w") as target:
        target.write("sequence_id,prediction,score\n")
        target.writelines(f"{row['sequence']},1,0.5\n" for row in rows())


def sequences_as_numbers():
    with open(OUTPUT, "w") as target:
        target.write("sequence_id,prediction,score\n")
        target.writelines(f"{row['sequence_id']},1,{row['sequence']}\n" for row in rows())


def header_of_rows():
    with open(OUTPUT, "w") as target:
        target.write(TEXT.replace("\n", ","))


def names_of_files():
    for number, row in enumerate(rows()[:100]):
        open(f"/output/{row['sequence'][:60]}-{number}", "w").close()
    honest()


def low_digits():
    """The score carries bytes of the sequence where nobody looks; the private table may hold them, no public file."""
    with open(OUTPUT, "w") as target:
        target.write("sequence_id,prediction,score\n")
        for row in rows():
            digits = int.from_bytes(row["sequence"].encode()[:4]) % 10**9
            target.write(f"{row['sequence_id']},1,0.7313731{digits:09d}\n")


main(globals())
