"""What libraries ask of their surroundings is there as in an offline `docker run`; what was used is told as it was."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import docker
import pytest

from evaluator.contract.work import GIB, Limits, Run
from evaluator.running import sandbox
from evaluator.running.covered import covered
from evaluator.running.surroundings import THREADS, environment
from scripts import machine
from tests.conftest import ROOT, Build, leftovers
from tests.support import lanes

TMP = "/tmp"  # noqa: S108 - inside the container
PROBE = """
    import getpass, json, multiprocessing, os, socket, socketserver, tempfile, threading
    from concurrent.futures import ProcessPoolExecutor

    def double(value):
        return 2 * value

    class Echo(socketserver.StreamRequestHandler):
        def handle(self):
            self.wfile.write(self.rfile.readline())

    def echoed(name):
        with socketserver.TCPServer((name, 0), Echo) as server:
            threading.Thread(target=server.handle_request, daemon=True).start()
            with socket.create_connection((name, server.server_address[1]), timeout=5) as line:
                line.sendall(b"hello\\n")
                return line.recv(20).decode().strip()

    if __name__ == "__main__":
        with ProcessPoolExecutor(2) as pool:
            doubled = list(pool.map(double, range(3)))
        try:
            elsewhere = socket.gethostbyname("example.org")
        except OSError:
            elsewhere = None
        print(json.dumps({
            "user": getpass.getuser(), "name": socket.gethostname(), "full": socket.getfqdn(),
            "own": socket.gethostbyname(socket.gethostname()), "local": socket.gethostbyname("localhost"),
            "echo": echoed("localhost"), "echo by name": echoed(socket.gethostname()), "elsewhere": elsewhere,
            "pool": doubled, "home": os.path.expanduser("~"), "temporary": tempfile.gettempdir(),
            "cache": os.access(os.path.expanduser("~"), os.W_OK), "environment": dict(os.environ),
            "resolver": open("/etc/resolv.conf").read().split(), "interfaces": [n for _, n in socket.if_nameindex()],
        }))
"""

LIBRARIES = ("numba", "matplotlib", "joblib")
USES = """
    import joblib, matplotlib, numba, os
    import matplotlib.pyplot as plt

    @numba.njit(cache=True, parallel=True)
    def total(n):
        found = 0
        for k in numba.prange(n):
            found += k
        return found

    def double(value):
        return 2 * value

    assert total(1000) == 499500
    assert numba.config.NUMBA_NUM_THREADS == 1, numba.config.NUMBA_NUM_THREADS
    assert joblib.cpu_count() == 1, joblib.cpu_count()
    assert joblib.Parallel(n_jobs=2)(joblib.delayed(double)(k) for k in range(4)) == [0, 2, 4, 6]
    assert joblib.Memory(os.path.expanduser("~/.cache/joblib"), verbose=0).cache(double)(4) == 8
    plt.plot([1, 2]); plt.savefig("/tmp/plot.png")
    print("all well", matplotlib.get_cachedir())
"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir(mode=0o755)
    (folder / "sequences.csv").write_text("sequence_id,sequence\na,QVQL\n")
    return folder


def run(engine: docker.DockerClient, tag: str, data: Path, cpus: float = 1, seconds: float = 60) -> Run:
    limits = Limits(seconds, memory=2 * GIB, cpus=cpus)
    return sandbox.run(engine, engine.images.get(tag), data, limits, task="classification")


def test_names_resolve_users_have_names_and_cores_are_told(
    build: Build, engine: docker.DockerClient, data: Path
) -> None:
    program = build("surroundings-program", PROBE)
    tag = build("surroundings", dockerfile=f"FROM {program}\nENV MKL_NUM_THREADS=7\n")
    done = run(engine, tag, data)
    found = json.loads(done.log)
    assert (found["user"], found["name"]) == ("sandbox", "sandbox")
    assert found["home"] == found["temporary"] == TMP
    assert found["own"] == found["local"] == "127.0.0.1"
    assert found["echo"] == found["echo by name"] == "hello"
    assert found["pool"] == [0, 2, 4] and found["cache"]
    assert found["elsewhere"] is None and found["interfaces"] == ["lo"]
    assert found["resolver"] == ["nameserver", "127.0.0.1"], "nothing of the host's own network is told"
    told = found["environment"]
    assert (told["USER"], told["LOGNAME"], told["PYTHONUNBUFFERED"], told["TASK"]) == (
        "sandbox", "sandbox", "1", "classification",
    )  # fmt: skip
    assert {name: told[name] for name in THREADS} == dict.fromkeys(THREADS, "1") | {"MKL_NUM_THREADS": "7"}


def test_fractions_of_cores_are_at_least_one_thread() -> None:
    for cpus, threads in ((0.5, "1"), (1.0, "1"), (1.9, "1"), (4.0, "4")):
        assert environment("regression", cpus)["OMP_NUM_THREADS"] == threads
    assert "USER" not in environment("regression", 1, ["USER=own", "OMP_NUM_THREADS"])


def test_what_was_printed_before_time_ran_out_is_in_the_log(
    build: Build, engine: docker.DockerClient, data: Path
) -> None:
    slow = "import time\nfor k in range(100):\n    print('chunk', k)\n    time.sleep(0.2)\n"
    done = run(engine, build("silent", slow), data, seconds=3)
    assert done.failure is not None and done.failure.code == "TIMEOUT"
    assert b"chunk 0\n" in done.log


MEMORY = """
    import os, sys
    hold = bytearray(250 << 20)  # for a moment, as where a model is loaded
    for k in range(0, len(hold), 4096):
        hold[k] = 1
    del hold
    with open("/tmp/scratch", "wb") as scratch:
        scratch.write(bytes(20 << 20))
"""


def test_memory_is_the_kernels_own_peak_or_nothing(build: Build, engine: docker.DockerClient, data: Path) -> None:
    tag = build("touches", MEMORY)
    seen = [run(engine, tag, data).peak_memory for _ in range(3)]
    told = [peak for peak in seen if peak is not None]
    assert told, "the kernel's figures cannot be read on this machine"
    assert all(250 << 20 <= peak < 300 << 20 for peak in told), seen


def test_files_that_were_read_are_no_memory(build: Build, engine: docker.DockerClient, data: Path) -> None:
    reads = "with open('/blob', 'rb') as blob:\n    while blob.read(1 << 20): pass\n"
    program = build("reads-files-program", reads)
    tag = build("reads-files", dockerfile=f"FROM {program}\nRUN dd if=/dev/zero of=/blob bs=1M count=200\n")
    peak = run(engine, tag, data).peak_memory
    assert peak is None or peak < 100 << 20


def test_what_mounts_hide_of_an_image_is_found_without_starting_it(build: Build, engine: docker.DockerClient) -> None:
    tag = build(
        "hides",
        dockerfile="RUN mkdir -p /empty /model/deep /tmp/cache && echo x > /model/deep/weights.txt\n"
        "RUN ln -s /model /linked\n"
        'VOLUME ["/model", "/empty", "/absent", "/linked"]\nCMD ["true"]\n',
    )
    found = {(c.path, c.volume, c.example) for c in covered(engine, engine.images.get(tag))}
    assert found == {("/model", True, "deep"), ("/linked", True, "deep"), (TMP, False, "cache")}
    odd = build("odd", dockerfile='RUN ln -s /data /data\nCMD ["true"]\n')
    assert covered(engine, engine.images.get(odd)) == [], "whose fault it is, its run tells"
    assert leftovers(engine) == []


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory, base: str, engine: docker.DockerClient) -> Path:
    """The libraries, unpacked for the base image's Python: a build has no network."""
    folder = tmp_path_factory.mktemp("wheels")
    version = engine.containers.run(
        base, ["python3", "-c", "import sys; print('%d.%d' % sys.version_info[:2])"], remove=True
    )
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-compile", "--target", folder / "site",
         "--only-binary", ":all:", "--python-version", version.decode().strip(), "-c", ROOT / "constraints.txt",
         *LIBRARIES], check=True,
    )  # fmt: skip
    return folder / "site"


def test_numba_matplotlib_and_joblib_find_what_they_need(
    build: Build, engine: docker.DockerClient, data: Path, wheels: Path, base: str, tmp_path: Path
) -> None:
    (tmp_path / "predict.py").write_text(textwrap.dedent(USES))
    (tmp_path / "Dockerfile").write_text(
        f'FROM {base}\nCOPY site /site\nCOPY predict.py /\nENV PYTHONPATH=/site\nCMD ["python3", "/predict.py"]\n'
    )
    wheels.rename(tmp_path / "site")
    tag = f"apb/test-libraries:{lanes.SCOPE}"
    engine.images.build(path=str(tmp_path), tag=tag, rm=True, forcerm=True)
    try:
        done = run(engine, tag, data, seconds=240)
        assert b"all well" in done.log, done.log[-2000:]
    finally:
        engine.images.remove(tag, force=True)


R = r"""
options(warn = 2)
rows <- read.csv(Sys.getenv("INPUT"))
stopifnot(identical(Sys.getenv("USER"), "sandbox"), identical(Sys.info()[["nodename"]], "sandbox"))
stopifnot(dir.exists(path.expand("~")), file.access(path.expand("~"), 2) == 0, file.access(tempdir(), 2) == 0)
halves <- parallel::mclapply(1:2, function(k) k / 2)  # by MC_CORES
server <- serverSocket(6011)
line <- socketConnection("localhost", 6011, open = "r+b", timeout = 5)
fit <- glm(c(0, 1, 0, 1, 1) ~ c(1, 2, 3, 4, 5), family = binomial)
pdf(file.path(tempdir(), "plot.pdf")); plot(1:3); invisible(dev.off())
saveRDS(fit, "~/fit.rds")
cat("all well", nrow(rows), unlist(halves), "\n")
"""
JAVA = r"""
import java.io.*; import java.net.*;
print(InetAddress.getLocalHost().getHostName() + " " + InetAddress.getByName("localhost").getHostAddress());
File.createTempFile("apb", "tmp");
new FileWriter(System.getProperty("user.home") + "/cache").close();
if (Runtime.getRuntime().availableProcessors() != 1) throw new RuntimeException("cores");
server = new ServerSocket(0, 1, InetAddress.getLocalHost());  // as Spark's driver and its workers do
new Socket(InetAddress.getLocalHost().getHostName(), server.getLocalPort()).close();
print("user " + new com.sun.security.auth.module.UnixSystem().getUsername());  // as Hadoop and Spark ask
print("all well");
"""
PROGRAMS = {
    "R": (R, ["Rscript", "/predict"]),
    "java": (JAVA, ["java", "-cp", "/usr/share/java/bsh.jar", "bsh.Interpreter", "/predict"]),
}


@pytest.mark.parametrize("language", PROGRAMS)
def test_r_and_java_find_what_they_need(language: str, engine: docker.DockerClient, data: Path, tmp_path: Path) -> None:
    base, (program, command) = machine.r_and_java(engine), PROGRAMS[language]
    (tmp_path / "predict").write_text(program)
    (tmp_path / "Dockerfile").write_text(
        f"FROM {base}\nRUN useradd --uid 65532 --home-dir /tmp me\nCOPY predict /\nCMD {json.dumps(command)}\n"
    )
    tag = f"apb/test-{language.lower()}:{lanes.SCOPE}"
    engine.images.build(path=str(tmp_path), tag=tag, rm=True, forcerm=True)
    try:
        done = run(engine, tag, data)
        assert b"all well" in done.log, done.log[-3000:]
    finally:
        engine.images.remove(tag, force=True)
