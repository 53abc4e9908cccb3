"""A gigabyte to where only a megabyte is kept."""

import os

from kit import MIB, honest, main


def pour(fd, chunk):
    chunk *= MIB // len(chunk)
    for _ in range(1024):
        left = memoryview(chunk)
        while left:
            left = left[os.write(fd, left) :]


def lines():
    pour(1, b"0123456789abcde\n")
    honest()


def one_line():
    pour(2, b"0123456789abcdef")
    honest()


def empty_lines():
    for _ in range(2):  # each of these lines is a message of its own to the engine
        os.write(1, b"\n" * MIB)
    honest()


def nul_bytes():
    os.write(1, b"\0" * (8 * MIB))
    honest()


main(globals())
