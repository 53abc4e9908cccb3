"""Twenty submissions at once, five of them hostile: the honest ones get exactly the scores that they get alone."""

from __future__ import annotations

import json

import docker

from tests.conftest import HONEST, Build, Workspace, leftovers

HOSTILE = {
    "fork-bomb": "import os\nwhile True:\n    try:\n        os.fork()\n    except OSError:\n        pass",
    "memory-bomb": "x = []\nwhile True: x.append(bytearray(10**7))",
    "disk-bomb": "f = open('/output/x', 'wb')\nwhile True: f.write(bytes(10**6))",
    "log-bomb": "import sys\nwhile True: sys.stdout.write('x' * 10**6)",
    "hangs": "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(600)",
}
RESIDUES = "ACDEFGHIKLMNPQR"


def test_honest_entries_are_unharmed_in_a_crowd(
    engine: docker.DockerClient, build: Build, workspace: Workspace
) -> None:
    resources = "{memory_gb: 0.5, timeout_minutes: 0.15}"
    alone = {}
    for residue in RESIDUES:
        name = f"honest-{residue.lower()}"
        workspace.submit(name, build(name, HONEST.replace('count("R")', f'count("{residue}")')), resources=resources)
    assert workspace.evaluate("--jobs", "1", timeout=300).returncode == 0
    for residue in RESIDUES:
        name = f"honest-{residue.lower()}"
        alone[name] = json.loads((workspace.results / name / "smoke.json").read_text())
    for name, predict in HOSTILE.items():
        workspace.submit(name, build(name, predict), resources=resources)

    assert workspace.evaluate("--force", "--jobs", "4", timeout=300).returncode == 0

    for name, before in alone.items():
        after = json.loads((workspace.results / name / "smoke.json").read_text())
        assert {k: v for k, v in after.items() if k != "runtime"} == {k: v for k, v in before.items() if k != "runtime"}
    for name in HOSTILE:
        assert json.loads((workspace.results / name / "smoke.json").read_text())["status"] == "failed"
    assert leftovers(engine) == []
