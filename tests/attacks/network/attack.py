"""Reach anything that is not in the container."""

import ctypes
import os
import socket
import struct

from kit import honest, main, probe, say


def connect(host, port=80, family=socket.AF_INET, kind=socket.SOCK_STREAM):
    s = socket.socket(family, kind)
    s.settimeout(0.5)
    s.connect((host, port))
    s.send(b"x")
    return True


def addresses():
    for name in ("1.1.1.1", "8.8.8.8", "169.254.169.254", "172.17.0.1", "10.0.0.1", "100.100.100.200"):
        for port in (53, 80, 2375):
            probe("tcp", lambda: connect(name, port))
        probe("udp", lambda: connect(name, 53, kind=socket.SOCK_DGRAM))
    for name in ("2606:4700:4700::1111", "fe80::1%lo", "fd00:ec2::254", "ff02::1%lo"):
        probe("ipv6", lambda: connect(name, 80, socket.AF_INET6))
        probe("udp6", lambda: connect(name, 53, socket.AF_INET6, socket.SOCK_DGRAM))
    for name in ("example.com", "host.docker.internal", "metadata.google.internal", "gateway.docker.internal"):
        probe("dns", lambda: socket.getaddrinfo(name, 80))
    honest()


def raw():
    probe("raw", lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP))
    probe("packet", lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)))
    probe("ping", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP).connect(("1.1.1.1", 1)))
    honest()


def interfaces():
    say("interfaces", sorted(name for _, name in socket.if_nameindex()))
    say("routes", len(open("/proc/net/route").read().splitlines()) - 1)
    import fcntl

    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    probe("address", lambda: fcntl.ioctl(s, 0x8916, struct.pack("16sH2x4s8x", b"lo", 2, b"\x0a\0\0\1")))
    probe("tun", lambda: os.open("/dev/net/tun", os.O_RDWR))
    honest()


def unix_sockets():
    for path in (
        "/var/run/docker.sock",
        "/run/docker.sock",
        "/run/containerd/containerd.sock",
        "/run/dbus/system_bus_socket",
    ):
        probe("unix", lambda: connect_unix(path))
    probe("abstract", lambda: connect_unix("\0apb-attack-canary"))
    say("abstract sockets", open("/proc/net/unix").read().count("@"))
    honest()


def connect_unix(address):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(1)
    s.connect(address)
    return True


def vsock():
    """A virtual machine's line to its hypervisor has no network namespace."""
    for cid in (2, 1, 3, 0):
        probe(f"vsock {cid}", lambda: connect(cid, 1024, socket.AF_VSOCK))
    probe("vsock", lambda: socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM))
    honest()


def other_families():
    """Every kind of socket that the kernel makes for us; what is in no network namespace must not be among them."""
    known = {1: "unix", 2: "inet", 10: "inet6", 16: "netlink"}
    for family in range(1, 50):
        for kind in (1, 2, 3, 5):
            try:
                socket.socket(family, kind).close()
            except OSError:
                continue
            say("family", known.get(family, family))
            break
    honest()


main(globals())
