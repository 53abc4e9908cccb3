"""Everything but a plain file at /output/predictions.csv."""

import os
import socket
import stat

from kit import INPUT, OUTPUT, honest, main, probe


def link_to_host_file():
    os.symlink("/etc/shadow", OUTPUT)


def link_to_input():
    os.symlink(INPUT, OUTPUT)


def link_up_and_out():
    os.symlink("../../../../../../../../etc/passwd", OUTPUT)


def link_to_proc():
    os.symlink("/proc/1/root/etc/shadow", OUTPUT)


def link_to_good_file():
    honest("/output/real.csv")
    os.symlink("real.csv", OUTPUT)


def link_loop():
    os.symlink("/output/predictions.csv", OUTPUT)


def dangling_link():
    os.symlink("/nowhere", OUTPUT)


def fifo():
    os.mkfifo(OUTPUT)


def folder():
    os.makedirs(OUTPUT + "/a/b")
    honest(OUTPUT + "/predictions.csv")


def socket_file():
    socket.socket(socket.AF_UNIX).bind(OUTPUT)


def device():
    for kind, number in ((stat.S_IFCHR, os.makedev(1, 5)), (stat.S_IFBLK, os.makedev(254, 0))):
        probe("mknod", lambda: os.mknod(OUTPUT, 0o666 | kind, number))


def mode_000():
    honest()
    os.chmod(OUTPUT, 0)


def hard_link():
    honest("/output/other.csv")
    os.link("/output/other.csv", OUTPUT)


def terabyte():
    probe("terabyte", lambda: os.truncate(os.open(OUTPUT, os.O_CREAT | os.O_WRONLY), 2**40))
    raise SystemExit(9)


def holes():
    os.truncate(os.open(OUTPUT, os.O_CREAT | os.O_WRONLY), 100 * 2**20)


def holes_within_limit():
    os.truncate(os.open(OUTPUT, os.O_CREAT | os.O_WRONLY), 64 * 2**20 - 1)


def newline_in_name():
    honest(OUTPUT + "\n")
    honest("/output/Predictions.csv")


def setuid_bits():
    honest()
    os.chmod(OUTPUT, 0o7777)


main(globals())
