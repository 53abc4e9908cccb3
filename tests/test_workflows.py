"""The workflows: sound as files, and working as a whole, step by step in their own order, on a real remote.

What GitHub itself does (checking out, keeping artifacts, answering its API) is done here by a stand-in of a few lines;
every `run` line of every workflow is run as it stands.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import docker
import pytest
import yaml

from tests.conftest import BIN, HONEST, ROOT, WITHOUT_PANEL, Build, LocalRegistry
from tests.support.registries import push
from tests.support.repositories import commit, git

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
ACTION = ROOT / ".github" / "actions" / "setup" / "action.yml"
TESTING = ("ci", "newest")  # they run the tests; all others run the benchmark


def load(path: Path) -> dict[Any, Any]:
    content = yaml.safe_load(path.read_text())
    assert isinstance(content, dict)
    return content


def steps(workflow: str, job: str) -> list[dict[str, Any]]:
    found = load(ROOT / ".github" / "workflows" / f"{workflow}.yml")["jobs"][job]["steps"]
    assert isinstance(found, list)
    return found


# --- as files --------------------------------------------------------------------------------------------------------


def test_zizmor_finds_nothing() -> None:
    command: list[str | Path] = [BIN / "zizmor", "--offline", "--pedantic", "--no-progress", ".github"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("schema", "files"),
    [
        ("vendor.github-workflows", WORKFLOWS),
        ("vendor.github-actions", [ACTION]),
        ("vendor.dependabot", [ROOT / ".github" / "dependabot.yml"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_files_fit_their_schemas(schema: str, files: list[Path]) -> None:
    command: list[str | Path] = [BIN / "check-jsonschema", "--builtin-schema", schema, *files]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda p: p.stem)
def test_rights_and_time_are_bounded(path: Path) -> None:
    content = load(path)
    assert content["permissions"] == {}
    assert "concurrency" in content
    for job in content["jobs"].values():
        assert job["permissions"]
        assert "timeout-minutes" in job or "uses" in job
        for step in job.get("steps", []):
            uses = step.get("uses", "")
            assert not uses or uses.startswith(("./", "$/")) or re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", uses)


def shell_lines(path: Path) -> list[str]:
    return [step["run"] for job in load(path)["jobs"].values() for step in job.get("steps", []) if "run" in step]


@pytest.mark.parametrize("path", [p for p in WORKFLOWS if p.stem not in TESTING], ids=lambda p: p.stem)
def test_shell_lines_are_nothing_but_apb(path: Path) -> None:
    runs = shell_lines(path)
    assert all(re.fullmatch(r'apb [\w ."$/-]+', run) for run in runs), runs
    assert all("${{" not in run for run in runs)


def test_what_tests_the_benchmark_is_made_by_make() -> None:
    assert {path.stem: shell_lines(path) for path in WORKFLOWS if path.stem in TESTING} == {
        "ci": ["make lint", ".ci/run"],
        "newest": ["make test", ".venv/bin/python -m pip freeze", "python3 -m scripts.tell"],
    }


def test_only_the_newest_versions_are_tested_without_the_lock() -> None:
    assert [path.stem for path in WORKFLOWS if "APB_NEWEST" in path.read_text()] == ["newest"]
    assert "APB_NEWEST" not in (ROOT / ".ci" / "run").read_text()
    installs = [step["run"] for step in load(ACTION)["runs"]["steps"] if "run" in step]
    assert ["--require-hashes -r requirements.txt" in line or "--no-deps" in line for line in installs] == [True, True]


def test_who_may_write_issues_runs_nothing_that_was_installed() -> None:
    tests, tell = (load(ROOT / ".github" / "workflows" / "newest.yml")["jobs"][name] for name in ("test", "tell"))
    assert tests["permissions"] == {"contents": "read"} and "github.token" not in json.dumps(tests)
    assert tell["permissions"] == {"contents": "read", "issues": "write"}
    assert tell["needs"] == "test" and tell["if"] == "always() && needs.test.result != 'success'"
    [checkout] = [step["uses"] for step in tell["steps"] if "uses" in step]
    assert checkout.startswith("actions/checkout@")


def test_what_judges_strangers_has_no_rights() -> None:
    content = load(ROOT / ".github" / "workflows" / "submission.yml")
    assert set(content[True]) == {"pull_request"}  # YAML takes `on` for true
    assert "ready_for_review" in content[True]["pull_request"]["types"]
    [job] = content["jobs"].values()
    assert job["permissions"] == {"contents": "read"}
    assert "secrets" not in json.dumps(content) and "github.token" not in json.dumps(content)


def starts(path: str) -> bool:
    """Whether a pull request that changes this file alone is checked; a later pattern overrules those before."""
    matches = False
    for pattern in load(ROOT / ".github" / "workflows" / "submission.yml")[True]["pull_request"]["paths"]:
        words = re.split(r"(\*\*/?|\*)", pattern.removeprefix("!"))
        kinds = {"**": ".*", "**/": "(?:.*/)?", "*": "[^/]*"}
        if re.fullmatch("".join(kinds.get(word, re.escape(word)) for word in words), path):
            matches = not pattern.startswith("!")
    return matches


@pytest.mark.parametrize(
    "path",
    ["submissions/eve-x.yaml", "submissions/README", "eve-x.yaml", "eve-x.yml", "eve-x/eve-x.yaml",
     "Submissions/eve-x.yaml", "submission/eve-x.yaml"],
)  # fmt: skip
def test_a_submission_is_looked_at_wherever_it_was_put(path: str) -> None:
    assert starts(path)


def test_the_benchmarks_own_files_are_no_submissions() -> None:
    own = git(ROOT, "ls-files").splitlines()
    assert [path for path in own if starts(path) and not path.startswith("submissions/")] == []


# --- as a whole ------------------------------------------------------------------------------------------------------


class RefusedError(Exception):
    """What GitHub does not do: a status and the reason that it gives."""


@dataclass
class Hub:
    """What GitHub knows and answers; merging is done for real in the bare remote."""

    remote: Path
    folder: Path
    pulls: dict[int, dict[str, Any]] = field(default_factory=dict)
    comments: list[dict[str, Any]] = field(default_factory=list)
    issues: list[dict[str, Any]] = field(default_factory=list)
    waits: bool = False
    refuses: str = ""
    down: bool = False
    accounts: list[str] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)

    def user(self, login: str) -> dict[str, Any]:
        """An account, by the login that it has now."""
        if login.lower() not in self.accounts:
            self.accounts.append(login.lower())
        return {"login": login, "id": 100 + self.accounts.index(login.lower())}

    def rename(self, old: str, new: str) -> None:
        """Its account keeps its number; the old login is free."""
        self.accounts[self.accounts.index(old)] = new
        for pull in self.pulls.values():
            if pull["user"] and pull["user"]["login"].lower() == old:
                pull["user"] = self.user(new)

    def pull(self, login: str, branch: str, sha: str, base: str) -> int:
        number = len(self.pulls) + 1
        git(self.remote, "update-ref", f"refs/pull/{number}/head", sha)
        self.pulls[number] = {
            "number": number, "node_id": f"PR_{number}", "user": self.user(login), "state": "open", "draft": False,
            "head": {"sha": sha, "label": f"{login}:{branch}"}, "base": {"ref": "main", "sha": base},
            "auto_merge": None, "merge_commit_sha": None, "merged_at": None,
        }  # fmt: skip
        return number

    def merge(self, number: int, sha: str, message: str) -> None:
        pull = self.pulls[number]
        assert pull["head"]["sha"] == sha
        clone = self.folder / f"merge-{number}"
        git(self.folder, "clone", "--quiet", str(self.remote), str(clone))
        git(clone, "fetch", "--quiet", "origin", f"refs/pull/{number}/head")
        git(clone, "merge", "--quiet", "--squash", "FETCH_HEAD")
        commit(clone, message)
        git(clone, "push", "--quiet", "origin", "HEAD:main")
        merged = git(clone, "rev-parse", "HEAD").strip()
        pull.update(state="closed", merged_at="2026-03-10T00:00:00Z", merge_commit_sha=merged)

    def answer(  # noqa: C901, PLR0911, PLR0912 - one line per call
        self, method: str, path: str, query: dict[str, str], body: Any
    ) -> Any:
        self.seen.append(f"{method} {path}")
        if "comments" in path and method != "GET" and len(body["body"]) > 65_536:
            raise RefusedError(422, "Validation Failed: body is too long (maximum is 65536 characters)")
        if path == "/graphql" and self.pulls[int(body["variables"]["id"].removeprefix("PR_"))]["draft"]:
            return {"errors": [{"message": "Pull request is in draft state"}]}
        if method == "PUT" and path.endswith("/merge") and self.pulls[int(path.split("/")[-2])]["draft"]:
            raise RefusedError(405, "Pull Request is still a draft")
        if self.down and (path == "/graphql" or path.endswith("/merge")):
            raise RefusedError(503, "Service Unavailable")
        if method == "PUT" and path.endswith("/merge") and self.refuses:
            raise RefusedError(405, self.refuses)
        if method == "GET" and path.endswith("/pulls") and "/commits/" in path:
            return [p for p in self.pulls.values() if p["merge_commit_sha"] == path.split("/")[-2]]
        if method == "GET" and path.endswith("/pulls"):
            found = [p for p in self.pulls.values() if p["state"] == "open"]
            return [p for p in found if "head" not in query or p["head"]["label"] == query["head"]]
        if method == "GET" and path.endswith("/issues"):
            return [issue for issue in self.issues if issue["state"] == query["state"]]
        if method == "POST" and path.endswith("/issues"):
            self.issues.append({"number": len(self.issues) + 1, "state": "open", "html_url": "x", **body})
            return self.issues[-1]
        if method == "GET" and path.endswith("/comments"):
            return self.comments
        if method == "POST" and path.endswith("/comments"):
            by = {"login": "github-actions[bot]"}
            self.comments.append({"id": len(self.comments), "user": by, "html_url": "x", **body})
            return self.comments[-1]
        if method == "PATCH":
            self.comments[int(path.rpartition("/")[2])].update(body)
            return {}
        if path == "/graphql" and self.waits:
            number = int(body["variables"]["id"].removeprefix("PR_"))
            assert self.pulls[number]["head"]["sha"] == body["variables"]["sha"]
            self.pulls[number]["auto_merge"] = {"merge_method": "squash"}
            return {"data": {"enablePullRequestAutoMerge": {}}}
        if path == "/graphql":
            return {"errors": [{"message": "Pull request is in clean status"}]}
        if method == "PUT" and path.endswith("/merge"):
            self.merge(int(path.split("/")[-2]), body["sha"], f"{body['commit_title']}\n\n{body['commit_message']}\n")
            return {"merged": True}
        raise AssertionError(f"{method} {path}")


def serve(hub: Hub) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            parts = urlsplit(self.path)
            body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"null")
            query = {k: v[0] for k, v in parse_qs(parts.query).items()}
            try:
                status, answer = 200, hub.answer(self.command, parts.path, query, body)
            except RefusedError as refused:
                status, answer = refused.args[0], {"message": refused.args[1]}
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        do_GET = do_POST = do_PATCH = do_PUT = handle_any  # noqa: N815 - as http.server wants them

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Be quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


@dataclass
class Runner:
    """Runs a workflow's job: checkouts and artifacts in its own way, every `run` line as it stands."""

    hub: Hub
    url: str
    folder: Path
    variables: dict[str, str]
    count: int = 0

    def job(self, workflow: str, job: str, event: dict[str, Any]) -> tuple[bool, Path, str]:
        """Whether it succeeded, where it ran, and what it printed."""
        self.count += 1
        place = self.folder / f"{self.count}-{workflow}"
        place.mkdir(parents=True)
        (self.folder / "event.json").write_text(json.dumps(event))
        content = load(ROOT / ".github" / "workflows" / f"{workflow}.yml")["jobs"][job]
        failed, printed = False, ""
        for step in content["steps"]:
            if failed and step.get("if") not in ("always()", "${{ !cancelled() }}"):
                continue
            given = {k: self.value(v, event) for k, v in (step.get("with") or {}).items()}
            if "run" in step:
                env = {**(content.get("env") or {}), **(step.get("env") or {})}
                done = self.run(step["run"], place, {k: self.value(v, event) for k, v in env.items()})
                printed += f"$ {step['run']}\n{done.stdout}{done.stderr}"
                failed = failed or done.returncode != 0
            elif "checkout" in step["uses"]:
                target = place / str(given.get("path", "."))
                git(self.folder, "clone", "--quiet", str(self.hub.remote), str(target))
                git(target, "fetch", "--quiet", "origin", "+refs/pull/*/head:refs/remotes/pull/*")
                git(target, "checkout", "--quiet", str(given.get("ref", "main")))
            elif "upload-artifact" in step["uses"]:
                shutil.copytree(place / "verdict", self.folder / "artifact", dirs_exist_ok=True)
            elif "download-artifact" in step["uses"] and (self.folder / "artifact").exists():
                shutil.move(self.folder / "artifact", place / "verdict")
        return not failed, place, printed

    def value(self, text: Any, event: dict[str, Any]) -> str:
        def one(match: re.Match[str]) -> str:
            name = match[1]
            if name == "github.token":
                return "a-token"
            if name.startswith("vars."):
                return self.variables[name.removeprefix("vars.")]
            found: Any = event
            for part in name.removeprefix("github.event.").split("."):
                found = found[part]
            return str(found)

        return re.sub(r"\$\{\{ ([\w.]+) \}\}", one, str(text))

    def run(self, line: str, place: Path, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
        whole = {
            "PATH": f"{BIN}:{os.environ['PATH']}", "HOME": str(self.folder), "CI": "true",
            "GITHUB_REPOSITORY": "lab/benchmark", "GITHUB_API_URL": self.url,
            "GITHUB_SERVER_URL": "https://github.example", "GITHUB_RUN_ID": "7",
            "GITHUB_GRAPHQL_URL": f"{self.url}/graphql", "GITHUB_EVENT_PATH": str(self.folder / "event.json"),
            "GITHUB_STEP_SUMMARY": str(self.folder / "summary.md"),
            **{k: v for k, v in os.environ.items() if k.startswith(("DOCKER_", "APB_SCOPE"))}, **env,
        }  # fmt: skip
        return subprocess.run(
            ["bash", "-eo", "pipefail", "-c", line], cwd=place, env=whole, capture_output=True, text=True, check=False,
            timeout=300,
        )  # fmt: skip


@pytest.fixture
def runner(tmp_path: Path, registry: LocalRegistry, engine: docker.DockerClient) -> Iterator[Runner]:
    """A benchmark with one hidden track, its bare remote, and the stand-in for GitHub."""
    seed = tmp_path / "seed"
    (seed / "submissions").mkdir(parents=True)
    (seed / "submissions" / ".gitkeep").touch()
    shutil.copytree(ROOT / "test_data", seed / "test_data", ignore=WITHOUT_PANEL)
    for path in (seed / "test_data" / "tracks").glob("*.yaml"):
        if "smoke" not in path.stem:
            path.unlink()
    (seed / "pyproject.toml").write_text(f'[tool.apb]\ninsecure_registries = ["{registry.host}"]\nlog_days = 0\n')
    (seed / ".gitignore").write_text("/.apb/\n/leaderboard/site/\n")
    panel = "sequence_id,sequence,label\n" + "".join(
        f"ab{k},EVQLVESGGGLVQPGG{'RK' * (k % 5)}SLRLSCAAS{'ACDEFGHIKL'[k % 10]},{int(k % 5 > 2)}\n" for k in range(40)
    )
    (tmp_path / "panel.csv").write_text(panel)
    prepare = ["--root", str(seed), "prepare", "--new", "panel", "--from", str(tmp_path / "panel.csv")]
    subprocess.run(
        [BIN / "apb", *prepare, "--hidden", str(tmp_path / "hidden")], check=True, capture_output=True, text=True
    )
    git(seed, "init", "--quiet", "--initial-branch=main")
    commit(seed, "the benchmark")
    remote = tmp_path / "remote.git"
    git(tmp_path, "clone", "--quiet", "--bare", str(seed), str(remote))
    hub = Hub(remote, tmp_path)
    server = serve(hub)
    variables = {"APB_HIDDEN": str(tmp_path / "hidden"), "APB_STATE": str(tmp_path / "state")}
    yield Runner(hub, f"http://127.0.0.1:{server.server_port}", tmp_path / "runs", variables)
    server.shutdown()


def propose(runner: Runner, login: str, files: dict[str, str]) -> tuple[int, dict[str, Any]]:
    """A pull request from a fork, and its event."""
    fork = runner.hub.folder / f"fork-{len(runner.hub.pulls)}"
    git(runner.hub.folder, "clone", "--quiet", str(runner.hub.remote), str(fork))
    base = git(fork, "rev-parse", "HEAD").strip()
    for name, text in files.items():
        (fork / name).parent.mkdir(parents=True, exist_ok=True)
        (fork / name).write_text(text)
    commit(fork, "a submission")
    head = git(fork, "rev-parse", "HEAD").strip()
    git(fork, "push", "--quiet", "origin", f"HEAD:refs/forks/{head}")
    number = runner.hub.pull(login, "patch", head, base)
    return number, {"pull_request": runner.hub.pulls[number]}


def finished(runner: Runner, number: int, *, ok: bool) -> dict[str, Any]:
    """The event of a finished check."""
    pull = runner.hub.pulls[number]
    return {
        "repository": {"default_branch": "main"},
        "workflow_run": {
            "id": 1, "event": "pull_request", "conclusion": "success" if ok else "failure",
            "path": ".github/workflows/submission.yml", "head_sha": pull["head"]["sha"], "head_branch": "patch",
            "head_repository": {"owner": {"login": pull["user"]["login"]}},
        },
    }  # fmt: skip


MAIN = {"repository": {"default_branch": "main"}}


def test_from_a_pull_request_to_a_published_score(
    runner: Runner, build: Build, engine: docker.DockerClient, registry: LocalRegistry
) -> None:
    image = push(engine, build("flow", HONEST), f"{registry.host}/eve/model:1.0")
    yaml_file = f"name: Eve's model\ndocker_image: {image}\nauthor: Eve\ntraining_data: [none]\n"
    number, event = propose(runner, "Eve", {"submissions/eve-model.yaml": yaml_file})

    ok, _, printed = runner.job("submission", "check", event)
    assert ok, printed
    assert "eve-model: PASSED" in printed
    assert "Check of eve-model: passed" in (runner.folder / "summary.md").read_text()

    ok, place, printed = runner.job("report", "report", finished(runner, number, ok=True))
    assert ok, printed
    assert "it is merged" in printed
    digest = json.loads((place / "verdict" / "check.json").read_text())["digest"]
    [comment] = runner.hub.comments
    assert "weekly round" in comment["body"]

    push(engine, build("flow-swapped", "raise SystemExit(1)"), image)  # from here on the tag means something else
    ok, _, printed = runner.job("intake", "intake", MAIN)
    assert ok, printed
    assert f"eve-model by eve: locked {digest}" in printed

    ok, place, printed = runner.job("evaluate", "evaluate", MAIN)
    assert ok, printed
    assert "1 scored" in printed and "0 failed" in printed  # what was checked is what was run
    ok, place, printed = runner.job("pages", "build", MAIN)
    assert ok, printed
    assert (place / "leaderboard" / "site" / "submissions" / "eve-model" / "index.html").is_file()
    assert "FAIL" not in printed

    push(engine, build("flow-second", HONEST + "    # 2\n"), image)
    second = yaml_file.replace("Eve's", "Her other").replace("[none]", "[boughter]")
    number, event = propose(runner, "eve", {"submissions/eve-second.yaml": second})
    ok, _, printed = runner.job("submission", "check", event)
    assert ok, printed
    assert runner.job("report", "report", finished(runner, number, ok=True))[0]
    ok, _, printed = runner.job("evaluate", "evaluate", MAIN)  # which takes in what intake.yml has not yet
    assert ok and "eve-second by eve: locked" in printed and "1 scored" in printed, printed
    ok, place, printed = runner.job("pages", "build", MAIN)
    assert ok and "FAIL" not in printed, printed
    record = json.loads((place / "leaderboard" / "results" / "eve-second" / "panel.json").read_text())
    assert record["status"] == "ok"
    tracked = git(place, "ls-files").splitlines()
    assert not [name for name in tracked if name.startswith((".apb", "leaderboard/site", "hidden", "taken", "verdict"))]
    everything = git(place, "log", "-p", "--all")
    assert not re.search(r"EVQLVESGGGLVQPGG(RK)*SLRLSCAAS", everything)  # no hidden row has reached the repository


def test_a_failing_image_is_told_and_not_merged(
    runner: Runner, build: Build, engine: docker.DockerClient, registry: LocalRegistry
) -> None:
    image = push(engine, build("flow-bad", "raise SystemExit('the reason')"), f"{registry.host}/eve/bad:1.0")
    text = f"name: x\ndocker_image: {image}\nauthor: Eve\n"
    number, event = propose(runner, "eve", {"submissions/eve-bad.yaml": text})
    ok, _, _ = runner.job("submission", "check", event)
    assert not ok
    ok, _, printed = runner.job("report", "report", finished(runner, number, ok=False))
    assert ok, printed
    assert "EXIT&#95;NONZERO" in runner.hub.comments[0]["body"] and "the reason" in runner.hub.comments[0]["body"]
    assert runner.hub.pulls[number]["state"] == "open"
    assert not [seen for seen in runner.hub.seen if seen.startswith("PUT") or "graphql" in seen]


FORGED = {"schema_version": "1", "submission": "eve-model", "passed": True, "sha256": "0" * 64}


def test_an_account_that_is_gone_keeps_nobody_from_being_told(runner: Runner) -> None:
    text = "name: x\ndocker_image: docker.io/eve/x:1\nauthor: Eve\n"
    gone, _ = propose(runner, "gone", {"submissions/gone-model.yaml": text})
    runner.hub.pulls[gone]["user"] = None
    runner.hub.comments.append({"id": 0, "user": None, "body": "x"})
    number, _ = propose(runner, "eve", {"submissions/adam-model.yaml": text})
    ok, _, printed = runner.job("report", "report", finished(runner, number, ok=True))
    assert ok, printed
    assert "PREFIX" in runner.hub.comments[-1]["body"]


@pytest.mark.parametrize("author", [None, {"login": "dependabot[bot]", "id": 49699333}], ids=["gone", "a bot"])
def test_whoever_cannot_own_an_entry_is_told(runner: Runner, author: dict[str, Any] | None) -> None:
    number, _ = propose(runner, "somebody", {"submissions/somebody-model.yaml": "name: x\n"})
    event = finished(runner, number, ok=False)
    runner.hub.pulls[number]["user"] = author
    assert runner.job("report", "report", event)[0]
    assert "own an entry" in runner.hub.comments[0]["body"]


SOME = "name: x\ndocker_image: docker.io/eve/x:1\nauthor: Eve\n"


@pytest.mark.parametrize("login", ["artur-", "a--b", "Acme_eve"])
def test_logins_of_every_kind_are_told(runner: Runner, login: str) -> None:
    number, event = propose(runner, login, {"submissions/model.yaml": SOME})
    ok, _, printed = runner.job("submission", "check", event)
    assert not ok and "[PREFIX]" in printed, printed
    assert runner.job("report", "report", finished(runner, number, ok=False))[0]
    name = f"{login.lower().replace('_', '-')}-x"
    assert f"submissions/{name}".removesuffix("x") in runner.hub.comments[0]["body"]
    number, event = propose(runner, login, {f"submissions/{name}.yaml": SOME})
    ok, _, printed = runner.job("submission", "check", event)
    assert f"{name}: may pass" in printed, printed


def test_a_comment_is_as_long_as_github_takes_and_says_what_was_cut(runner: Runner) -> None:
    fields = "".join(f"config_key_{k}: {k}\n" for k in range(400))
    number, event = propose(runner, "eve", {"submissions/eve-model.yaml": SOME + fields})
    runner.job("submission", "check", event)
    ok, _, printed = runner.job("report", "report", finished(runner, number, ok=False))
    assert ok, printed
    body = runner.hub.comments[0]["body"]
    assert body.count("FIELD&#95;UNKNOWN") + int(re.findall(r"and (\d+) more lines", body)[0]) == 400


def test_a_draft_is_told_and_merged_when_it_is_ready(
    runner: Runner, build: Build, engine: docker.DockerClient, registry: LocalRegistry
) -> None:
    image = push(engine, build("flow", HONEST), f"{registry.host}/eve/draft:1.0")
    text = f"name: Eve's\ndocker_image: {image}\nauthor: Eve\n"
    number, event = propose(runner, "eve", {"submissions/eve-model.yaml": text})
    runner.hub.pulls[number]["draft"] = True
    assert runner.job("submission", "check", event)[0]
    verdict = (runner.folder / "artifact" / "check.json").read_bytes()
    for change, told in (
        ({"draft": True}, "mark it as ready for review"),
        ({"draft": False, "refuses": "At least 1 approving review is required by @lab"}, "At least 1 approving review"),
    ):
        runner.hub.pulls[number]["draft"] = bool(change["draft"])
        runner.hub.refuses = str(change.get("refuses", ""))
        (runner.folder / "artifact").mkdir(exist_ok=True)
        (runner.folder / "artifact" / "check.json").write_bytes(verdict)
        ok, _, printed = runner.job("report", "report", finished(runner, number, ok=True))
        assert ok, printed
        body = runner.hub.comments[0]["body"]
        assert told in body and "weekly round" not in body and "@lab" not in body
        assert runner.hub.pulls[number]["state"] == "open"
    runner.hub.refuses = ""
    for down in (True, False):  # GitHub's own failure is told too, and the job is red so that somebody runs it again
        runner.hub.down = down
        (runner.folder / "artifact").mkdir(exist_ok=True)
        (runner.folder / "artifact" / "check.json").write_bytes(verdict)
        ok, _, printed = runner.job("report", "report", finished(runner, number, ok=True))
        assert ok is not down, printed
        assert ("503" in runner.hub.comments[0]["body"]) is down
    assert runner.hub.pulls[number]["state"] == "closed" and "weekly round" in runner.hub.comments[0]["body"]


def test_an_entry_stays_with_its_account_through_a_change_of_the_login(runner: Runner) -> None:
    number, _ = propose(runner, "eve", {"submissions/eve-model.yaml": SOME})
    runner.hub.merge(number, runner.hub.pulls[number]["head"]["sha"], "Add eve-model (#1)")
    ok, place, printed = runner.job("intake", "intake", MAIN)
    assert ok and "eve-model by eve" in printed, printed
    [line] = (place / "leaderboard" / "intake.jsonl").read_text().splitlines()
    account = json.loads(line)["account"]
    old = {key: value for key, value in json.loads(line).items() if key != "account"}  # as it was written before
    clone = runner.hub.folder / "clone"
    git(runner.hub.folder, "clone", "--quiet", str(runner.hub.remote), str(clone))
    (clone / "leaderboard" / "intake.jsonl").write_text(json.dumps(old) + "\n")
    commit(clone, "a line of old")
    git(clone, "push", "--quiet", "origin", "HEAD:main")
    runner.hub.rename("eve", "eva")
    for login, told in (("eva", "no verdict"), ("eve", "OWNER")):
        number, _ = propose(runner, login, {"submissions/eve-model.yaml": SOME + "withdrawn: a mistake\n"})
        ok, _, printed = runner.job("report", "report", finished(runner, number, ok=False))
        assert ok, printed
        assert told in runner.hub.comments[0]["body"], runner.hub.comments[0]["body"]
        runner.hub.pulls[number]["state"] = "closed"
    ok, place, printed = runner.job("intake", "intake", MAIN)
    assert ok, printed
    assert json.loads((place / "leaderboard" / "intake.jsonl").read_text())["account"] == account


def test_records_that_cannot_be_joined_are_not_lost(runner: Runner) -> None:
    clones = []
    for name in ("ours", "theirs"):
        clone = runner.folder / name
        git(runner.hub.folder, "clone", "--quiet", str(runner.hub.remote), str(clone))
        path = clone / "leaderboard" / "results" / "eve-model" / "image.lock"
        path.parent.mkdir(parents=True)
        path.write_text(name)
        clones.append(clone)
    commit(clones[1], "theirs")
    git(clones[1], "push", "--quiet", "origin", "HEAD:main")
    done = runner.run("apb commit --push", clones[0], {})
    assert done.returncode == 0 and "locked by others to another image; theirs stays" in done.stdout, done.stderr
    assert "what was left out stands on the branch records-" in done.stdout
    [rescue] = [b for b in git(runner.hub.remote, "branch", "--list", "records-*").split() if b != "*"]
    assert git(runner.hub.remote, "show", f"{rescue}:leaderboard/results/eve-model/image.lock") == "ours"
    assert git(runner.hub.remote, "show", "main:leaderboard/results/eve-model/image.lock") == "theirs"


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"submissions/eve-model.yaml": "{yaml}", ".github/workflows/submission.yml": "name: submission\n"}, "OTHER"),
        ({"submissions/eve-model.yaml": "{yaml}", "evaluator/gate.py": "evil"}, "OTHER"),
        ({"submissions/adam-model.yaml": "{yaml}"}, "PREFIX"),
        ({"submissions/eve-model.yaml": "{yaml}"}, "not on this file"),
    ],
)
def test_a_forged_verdict_merges_nothing(runner: Runner, files: dict[str, str], told: str) -> None:
    text = "name: x\ndocker_image: docker.io/eve/x:1\nauthor: Eve\n"
    number, _ = propose(runner, "eve", {name: body.replace("{yaml}", text) for name, body in files.items()})
    (runner.folder / "artifact").mkdir(parents=True)
    (runner.folder / "artifact" / "check.json").write_text(json.dumps(FORGED))
    ok, _, printed = runner.job("report", "report", finished(runner, number, ok=True))
    assert ok, printed
    assert told in runner.hub.comments[0]["body"]
    assert runner.hub.pulls[number]["state"] == "open" and runner.hub.pulls[number]["auto_merge"] is None


def test_only_the_commit_that_was_checked_is_merged(runner: Runner) -> None:
    text = "name: x\ndocker_image: docker.io/eve/x:1\nauthor: Eve\n"
    number, _ = propose(runner, "eve", {"submissions/eve-model.yaml": text})
    event = finished(runner, number, ok=True)
    event["workflow_run"]["head_sha"] = "1" * 40
    ok, _, printed = runner.job("report", "report", event)
    assert ok, printed
    assert "no open pull request has this commit" in printed
    assert not runner.hub.comments


def test_quota_counts_what_is_about_to_be_merged(runner: Runner) -> None:
    for k in range(4):
        text = f"name: x\ndocker_image: docker.io/eve/x:{k}\nauthor: Eve\n"
        number, _ = propose(runner, "eve", {f"submissions/eve-model-{k}.yaml": text})
        runner.hub.pulls[number]["auto_merge"] = {} if k == 3 else {"merge_method": "squash"}
        runner.hub.pulls[number]["head"]["label"] = f"eve:patch-{k}"
    event = finished(runner, 4, ok=True)
    event["workflow_run"]["head_branch"] = "patch-3"
    ok, _, printed = runner.job("report", "report", event)
    assert ok, printed
    assert "QUOTA" in runner.hub.comments[0]["body"]


def test_a_failure_on_the_newest_versions_is_one_issue_until_it_is_closed(tmp_path: Path) -> None:
    seed = tmp_path / "seed"
    shutil.copytree(ROOT / "scripts", seed / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    git(seed, "init", "--quiet", "--initial-branch=main")
    commit(seed, "the scripts")
    git(tmp_path, "clone", "--quiet", "--bare", str(seed), str(tmp_path / "remote.git"))
    hub = Hub(tmp_path / "remote.git", tmp_path)
    hub.issues.append({"number": 1, "state": "open", "title": "Another"})
    server = serve(hub)
    runner = Runner(hub, f"http://127.0.0.1:{server.server_port}", tmp_path / "runs", {})
    for week in range(3):
        ok, _, printed = runner.job("newest", "tell", {})
        assert ok, printed
        assert len(hub.issues) == 2 and len(hub.comments) == week
    assert "https://github.example/lab/benchmark/actions/runs/7" in hub.issues[1]["body"]
    assert hub.seen[-1] == "POST /repos/lab/benchmark/issues/2/comments"
    assert hub.comments[1]["body"] == hub.issues[1]["body"]
    hub.issues[1]["state"] = "closed"
    assert runner.job("newest", "tell", {})[0]
    assert len(hub.issues) == 3 and len(hub.comments) == 2
    server.shutdown()
