"""A real SLURM of two nodes on this machine."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from scripts import machine
from tests.support.rounds import until

CONFIGURATION = """
ClusterName=apb
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmctldPort={port}
AuthType=auth/munge
AuthInfo=cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SlurmdParameters=config_overrides
SlurmdTimeout=10
KillWait=3
ReturnToService=2
GresTypes=gpu
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={first} CPUs=2 RealMemory=4000 Gres=gpu:1
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={second} CPUs=2 RealMemory=4000 Gres=gpu:1
PartitionName=main Nodes=n1,n2 Default=YES DefMemPerCPU=500
"""


@dataclass
class Cluster:
    """Two nodes on this machine."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "SLURM_CONF": str(self.folder / "slurm.conf")}

    def run(self, *command: str) -> str:
        return subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=300, check=True
        ).stdout

    def start(self) -> None:
        host = socket.gethostname().partition(".")[0]
        for name in ("state", "spool-n1", "spool-n2"):
            (self.folder / name).mkdir()
        ports = []
        for _ in range(3):
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                ports.append(probe.getsockname()[1])
        text = CONFIGURATION.format(host=host, folder=self.folder, port=ports[0], first=ports[1], second=ports[2])
        (self.folder / "slurm.conf").write_text(text)
        (self.folder / "gres.conf").write_text("NodeName=n1,n2 Name=gpu Count=1 File=/dev/null\n")
        if not Path("/run/munge/munge.socket.2").is_socket():
            subprocess.run(["install", "-d", "-o", "munge", "-g", "munge", "-m", "755", "/run/munge"], check=True)
        with suppress(subprocess.CalledProcessError):  # it is running already
            self.run("setpriv", "--reuid", "munge", "--regid", "munge", "--clear-groups", "munged")
        self.run("slurmctld", "-c", "-f", str(self.folder / "slurm.conf"))
        for node in ("n1", "n2"):
            self.run("slurmd", "-f", str(self.folder / "slurm.conf"), "-N", node)
        until(lambda: self.run("sinfo", "-h", "-t", "idle", "-o", "%D").strip() == "2")

    def pid(self, name: str) -> int:
        return int((self.folder / f"{name}.pid").read_text())

    def stop(self) -> None:
        with suppress(subprocess.CalledProcessError):
            self.run("scancel", "--user", "root")
        for name in ("slurmd-n1", "slurmd-n2", "slurmctld"):
            with suppress(OSError, ValueError):
                os.kill(self.pid(name), signal.SIGKILL)  # on SIGTERM a slurmd waits for its jobs


@contextmanager
def started(folder: Path) -> Iterator[Cluster]:
    """The cluster, with its files in a new folder."""
    machine.slurm()
    folder.mkdir()
    cluster = Cluster(folder)
    cluster.start()
    try:
        yield cluster
    finally:
        cluster.stop()
