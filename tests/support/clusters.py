"""Schedulers, workers and their certificates."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

TLS_FILES = ("ca.pem", "cert.pem", "key.pem")


def make_certificates(folder: Path) -> Path:
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", "/CN=apb", "-keyout", "key.pem", "-out", "cert.pem"],
        cwd=folder, check=True, capture_output=True,
    )  # fmt: skip
    (folder / "ca.pem").write_bytes((folder / "cert.pem").read_bytes())
    return folder


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def scheduler_command(certificates: Path, host: str, port: int) -> list[str]:
    ca, cert, key = (str(certificates / name) for name in TLS_FILES)
    return [
        sys.executable, "-m", "distributed.cli.dask_scheduler", "--protocol", "tls", "--host", host,
        "--port", str(port), "--no-dashboard", "--tls-ca-file", ca, "--tls-cert", cert, "--tls-key", key,
    ]  # fmt: skip


def worker_command(address: str, certificates: Path, state: Path, *more: str) -> list[str]:
    return [
        sys.executable, "-m", "evaluator", "worker", address, "--tls", str(certificates), "--state", str(state), *more,
    ]  # fmt: skip


def on(address: str, certificates: Path) -> list[str]:
    return ["--scheduler", address, "--tls", str(certificates), "--patience", "60"]
