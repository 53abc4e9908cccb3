"""The guides' own commands, run as they stand: a newcomer's and a maintainer's."""

from __future__ import annotations

import os
import re
import subprocess
import threading
from functools import partial
from http.server import ThreadingHTTPServer
from pathlib import Path

import docker
import pytest
import yaml

from evaluator.cluster import slurm
from evaluator.cluster.slurm import Slurm
from tests.conftest import BIN, HONEST, REAL_DATA, ROOT, Build, LocalRegistry
from tests.support.clusters import free_port
from tests.support.guides import WHO, clone, commands, shell
from tests.support.repositories import git
from tests.support.web import Quiet


@pytest.fixture
def fork(tmp_path: Path, registry: LocalRegistry, engine: docker.DockerClient) -> Path:
    """A clone of this project as it is now, and a bare remote behind it; its registries take the one on loopback."""
    return clone(tmp_path, insecure_registries=[registry.host])


def test_the_submission_guide_leads_to_an_entry_that_may_pass(
    fork: Path, registry: LocalRegistry, base: str, engine: docker.DockerClient
) -> None:
    environment = {k: v for k, v in os.environ.items() if k not in ("CI", "VIRTUAL_ENV")} | WHO
    environment["PIP_CONSTRAINT"] = str(ROOT / "constraints.txt")
    environment["PIP_NO_COMPILE"] = "1"
    image = f"{registry.host}/your-account/your-login-model:0.1"
    script = "".join(commands("BENCHMARK_SUBMISSION_GUIDE.md"))
    for line in ("pip install -e .", "apb new", "apb check", "docker push", "git push origin my-model"):
        assert line in script
    script = script.replace("docker.io/your-account", f"{registry.host}/your-account")  # which a reader does by hand
    script = script.replace("docker build", f"docker build --build-arg BASE_IMAGE={base}")
    edit = f"sed -i 's#docker.io/your-account#{registry.host}/your-account#' your-login-model.yaml\n"
    script = script.replace("cd your-login-model\n", f"cd your-login-model\n{edit}")
    printed = shell(script, fork, environment)
    assert "your-login-model: PASSED" in printed

    clone = fork.parent / "upstream"
    git(fork.parent, "clone", "--quiet", str(fork.parent / "remote.git"), str(clone))
    gate = ["gate", "--base", "origin/main", "--head", "origin/my-model", "--author", "your-login", "--take", "taken"]
    done = subprocess.run([BIN / "apb", *gate], cwd=clone, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    environment["CI"] = "true"  # as a pull request's check: from the registry
    engine.images.remove(image, force=True)
    done = subprocess.run(
        [BIN / "apb", "check", "taken"], cwd=clone, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(not REAL_DATA.is_dir(), reason="the real data are not at hand")
def test_the_maintainers_guide_leads_to_a_verified_site(fork: Path, base: str) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(REAL_DATA / "source")))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    rows = "".join(f"ab{k},EVQLVESGGGLVQPGG{'RK' * (k % 5)}SLRLSCAAS,{int(k % 5 > 2)}\n" for k in range(20))
    srv = fork.parent / "srv"  # the machine's, outside of every clone
    srv.mkdir()
    (srv / "panel.csv").write_text(f"sequence_id,sequence,label\n{rows}")
    (fork / "submissions").mkdir(exist_ok=True)
    script = "".join(commands("docs/maintaining.md", until="## Runbook")).replace("/srv/", f"{srv}/")
    packed = script.replace("apb-zoo package", f"apb-zoo package --base-image {base}")
    assert script.count("apb-zoo package") == 2
    script = packed
    mirror = f"--mirror http://127.0.0.1:{server.server_port}"
    script = script.replace("apb fetch vhh48", f"apb fetch vhh48 {mirror}")
    environment = {**os.environ, **WHO, "PATH": f"{BIN}:{os.environ['PATH']}"}
    for path in (fork / "submissions").glob("*.yaml"):
        path.unlink()  # the reference images need not be built here
    printed = shell(script, fork, environment)
    server.shutdown()
    assert "FAIL" not in printed
    assert (srv / "hidden" / "vhh48" / "labels.csv").is_file()
    assert (fork / "leaderboard" / "site" / "index.html").is_file()


def test_the_cluster_guide_leads_to_a_round_on_workers(fork: Path, build: Build, engine: docker.DockerClient) -> None:
    for path in (fork / "submissions").glob("*.yaml"):
        path.unlink()
    image = build("guide-cluster", HONEST)
    (fork / "submissions" / "entry.yaml").write_text(f"name: Entry\ndocker_image: {image}\nauthor: t\n")
    rows = "".join(f"ab{k},EVQLVESGGGLVQPGG{'RK' * (k % 5)}SLRLSCAAS,{int(k % 5 > 2)}\n" for k in range(20))
    (fork / "panel.csv").write_text(f"sequence_id,sequence,label\n{rows}")
    script = "apb prepare --new our-panel --from panel.csv --hidden hidden\ntrap 'kill $(jobs -p); wait' EXIT\n"
    again = "rm -rf leaderboard/results .apb\n"
    for block in commands("docs/cluster.md"):
        if "--slurm" in block or "pip install" in block:  # tests/test_slurm.py; installed as it stands in the guide
            continue
        stays = "dask scheduler" in block or block.startswith("apb worker")
        script += block.rstrip() + (" &\n" if stays else "\n")
        script += again if "--workers" in block else ""
    port = free_port()
    script = script.replace("head:8786", f"127.0.0.1:{port}").replace("--port 8786", f"--host 127.0.0.1 --port {port}")
    for line in ("openssl req", "apb worker tls://", "apb evaluate --all --hidden hidden --executor dask --scheduler"):
        assert line in script
    script = script.replace(
        "apb status\n", "apb status\nss -ltnp | grep '\"dask\"' | grep -vc 127.0.0.1 | grep -qx 0\n"
    )
    here = {"TMPDIR": str(fork.parent)}  # a worker's state lies there, and a machine has one worker
    environment = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", **here}
    printed = shell(script, fork, environment)
    assert printed.count("1 scored, 0 rescored") == 2
    assert "2 of 2 done" in printed  # the track, and the panel
    [tar] = (fork / "images").glob("*.tar")
    assert tar.stem in str(engine.images.get(image).id)


def test_the_cluster_guides_file_for_slurm_is_valid(tmp_path: Path) -> None:
    [text] = re.findall(r"^```yaml\n(.*?)^```$", (ROOT / "docs/cluster.md").read_text(), re.MULTILINE | re.DOTALL)
    (tmp_path / "slurm.yaml").write_text(text)
    found = slurm.load(tmp_path / "slurm.yaml")
    assert found.walltime_seconds == 8 * 3600
    assert set(yaml.safe_load(text)) <= set(Slurm.model_fields)
