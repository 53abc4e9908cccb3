"""The gate on real repositories: what strangers may and may not ask to be merged."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pytest

from evaluator.errors import EvaluatorError
from evaluator.pull_requests import gate
from evaluator.pull_requests.gate import Judgement
from evaluator.pull_requests.github import Pull
from evaluator.pull_requests.merged import merged_since
from evaluator.store.intake import Intake
from evaluator.store.intake import read as read_intake
from tests.conftest import ROOT, Workspace
from tests.support.repositories import commit, git

TODAY = date(2026, 3, 10)
GOOD = "name: x\ndocker_image: docker.io/me/x:1\nauthor: me\n"
PUBLISHED = "name: x\nauthor: me\narchived: {source: a paper, protocol: trained on other data}\n"
NUMBERS = {"eve": 1, "a-b": 2, "busy": 3, "fresh": 4, "keeper": 5, "house": 6, "a": 7, "adam": 8}
INTAKE = [
    Intake(date=date(2026, 1, 1), id="eve-old", login="eve", new_run=True),
    Intake(date=date(2026, 1, 1), id="eve-gone", login="eve", new_run=True),
    Intake(date=date(2026, 1, 1), id="a-b-model", login="a-b", new_run=True),
    *(Intake(date=TODAY - timedelta(days=k), id=f"busy-{k}00", login="busy", new_run=True) for k in range(3)),
    Intake(date=date(2026, 1, 1), id="busy-old", login="busy", new_run=True),
    Intake(date=TODAY, id="fresh-one", login="fresh", new_run=False),
]


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A repository with a base that has some entries, and had one more."""
    root = tmp_path / "clone"
    (root / "submissions").mkdir(parents=True)
    (root / ".github" / "workflows").mkdir(parents=True)
    (root / "evaluator").mkdir()
    for path in ("README.md", ".github/workflows/ci.yml", "evaluator/gate.py"):
        (root / path).write_text("ours\n")
    for name in ("eve-old", "eve-gone", "a-b-model", "house-model", "fresh-one", "busy-old"):
        (root / "submissions" / f"{name}.yaml").write_text(GOOD)
    git(root, "init", "--quiet", "--initial-branch=main")
    commit(root, "base")
    (root / "submissions" / "eve-gone.yaml").unlink()
    commit(root, "one is gone")
    git(root, "checkout", "--quiet", "-b", "request")
    return root


def put(path: str, text: str = GOOD) -> Callable[[Path], None]:
    def change(root: Path) -> None:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)

    return change


def both(*changes: Callable[[Path], object]) -> Callable[[Path], None]:
    def change(root: Path) -> None:
        for one in changes:
            one(root)

    return change


def link(root: Path) -> None:
    (root / "submissions" / "eve-new.yaml").symlink_to("/etc/passwd")


def link_in_place(root: Path) -> None:
    (root / "submissions" / "eve-old.yaml").unlink()
    (root / "submissions" / "eve-old.yaml").symlink_to("house-model.yaml")


def executable(root: Path) -> None:
    put("submissions/eve-new.yaml")(root)
    (root / "submissions" / "eve-new.yaml").chmod(0o755)


def mode_only(root: Path) -> None:
    (root / "submissions" / "eve-old.yaml").chmod(0o755)


def submodule(root: Path) -> None:
    here = git(root, "rev-parse", "HEAD").strip()
    git(root, "update-index", "--add", "--cacheinfo", f"160000,{here},submissions/eve-new.yaml")


def renamed(root: Path) -> None:
    (root / "submissions" / "eve-old.yaml").rename(root / "submissions" / "eve-new.yaml")


HONEST: dict[str, tuple[str, Callable[[Path], object]]] = {
    "a new entry": ("eve", put("submissions/eve-new.yaml")),
    "a new entry, login in capitals": ("Eve", put("submissions/eve-new.yaml")),
    "another image of one's own": ("eve", put("submissions/eve-old.yaml", GOOD.replace("x:1", "x:2"))),
    "taken back, over quota": ("busy", put("submissions/busy-000.yaml", GOOD + "withdrawn: mistake\n")),
    "one that counted nothing": ("fresh", put("submissions/fresh-two.yaml")),
    "a maintainer's": ("keeper", put("submissions/house-model.yaml", GOOD + "team: house\n")),
    "a maintainer's, of published predictions": ("keeper", put("submissions/published-model.yaml", PUBLISHED)),
    "in two commits": (
        "eve",
        both(put("submissions/eve-new.yaml", "x"), lambda root: commit(root, "x"), put("submissions/eve-new.yaml")),
    ),
}  # fmt: skip

HOSTILE: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "nothing": ("eve", lambda _: None, "NO_CHANGE"),
    "two entries": ("eve", both(put("submissions/eve-new.yaml"), put("submissions/eve-two.yaml")), "SEVERAL"),
    "an entry and a workflow": (
        "eve", both(put("submissions/eve-new.yaml"), put(".github/workflows/ci.yml", "evil")), "OTHER_FILE",
    ),
    "a new workflow": ("eve", both(put("submissions/eve-new.yaml"), put(".github/workflows/x.yml")), "OTHER_FILE"),
    "the validator": ("eve", both(put("submissions/eve-new.yaml"), put("evaluator/gate.py", "")), "OTHER_FILE"),
    "a result": ("eve", put("leaderboard/results/eve-old/jain.json", "{}"), "OTHER_FILE"),
    "attributes": ("eve", both(put("submissions/eve-new.yaml"), put(".gitattributes", "* filter=x")), "OTHER_FILE"),
    "a submodule's settings": ("eve", put(".gitmodules", "[submodule]"), "OTHER_FILE"),
    "deleted": ("eve", lambda root: (root / "submissions" / "eve-old.yaml").unlink(), "DELETED"),
    "renamed": ("eve", renamed, "DELETED"),
    "a link": ("eve", link, "NOT_PLAIN"),
    "a link in place of a file": ("eve", link_in_place, "NOT_PLAIN"),
    "executable": ("eve", executable, "NOT_PLAIN"),
    "mode alone": ("eve", mode_only, "NOT_PLAIN"),
    "a submodule": ("eve", submodule, "NOT_PLAIN"),
    "capitals": ("eve", put("submissions/Eve-New.yaml"), "OTHER_FILE"),
    "other suffix": ("eve", put("submissions/eve-new.yml"), "OTHER_FILE"),
    "a folder deeper": ("eve", put("submissions/eve/eve-new.yaml"), "OTHER_FILE"),
    "cyrillic": ("eve", put("submissions/\u0435ve-new.yaml"), "OTHER_FILE"),
    "full width": ("eve", put("submissions/eve-new\uff0eyaml"), "OTHER_FILE"),
    "line break in the name": ("eve", put("submissions/eve-new.yaml\n"), "OTHER_FILE"),
    "escape in the name": ("eve", put("submissions/eve-\x1b[31mnew.yaml"), "OTHER_FILE"),
    "another folder's look-alike": ("eve", put("Submissions/eve-new.yaml"), "OTHER_FILE"),
    "somebody else's prefix": ("eve", put("submissions/adam-new.yaml"), "PREFIX"),
    "no prefix": ("eve", put("submissions/eve.yaml"), "PREFIX"),
    "somebody else's entry": ("eve", put("submissions/a-b-model.yaml", GOOD + "team: x\n"), "OWNER"),
    "an ambiguous prefix": ("a", put("submissions/a-b-model.yaml", GOOD + "team: x\n"), "OWNER"),
    "the house's entry": ("house", put("submissions/house-model.yaml", GOOD + "team: x\n"), "OWNER"),
    "an id of old": ("eve", put("submissions/eve-gone.yaml"), "REUSED"),
    "over quota": ("busy", put("submissions/busy-new.yaml"), "QUOTA"),
    "over quota, the same image with more memory": (
        "busy", put("submissions/busy-old.yaml", GOOD + "resources: {memory_gb: 9}\n"), "QUOTA",
    ),
    "published predictions": ("eve", put("submissions/eve-new.yaml", PUBLISHED), "ARCHIVED"),
    "published predictions in place of one's image": ("eve", put("submissions/eve-old.yaml", PUBLISHED), "ARCHIVED"),
    "published predictions in place of an image, a maintainer's": (
        "keeper", put("submissions/house-model.yaml", PUBLISHED), "ARCHIVED",
    ),
    "published predictions, and an image": (
        "eve", put("submissions/eve-new.yaml", PUBLISHED + "docker_image: docker.io/me/x:1\n"), "FIELD_VALUE",
    ),
    "published predictions in the repository": (
        "eve", both(put("submissions/eve-new.yaml", PUBLISHED), put("submissions/eve-new.csv", "x")), "OTHER_FILE",
    ),
    "broken YAML": ("eve", put("submissions/eve-new.yaml", "name: [\n"), "YAML_SYNTAX"),
    "unknown field": ("eve", put("submissions/eve-new.yaml", GOOD + "root: true\n"), "FIELD_UNKNOWN"),
    "huge": ("eve", put("submissions/eve-new.yaml", GOOD + "#" * 10**6), "YAML_TOO_LARGE"),
}  # fmt: skip


def judge(root: Path, login: str) -> Judgement:
    number = NUMBERS[login.lower()]
    return gate.judge(root, "main", "request", login, account=number, intake=INTAKE, maintainers=(5,), today=TODAY)


@pytest.mark.parametrize("name", HONEST)
def test_honest_requests_pass(clone: Path, name: str) -> None:
    login, change = HONEST[name]
    if login == "busy":
        git(clone, "checkout", "--quiet", "main")
        put("submissions/busy-000.yaml")(clone)
        commit(clone, "busy's")
        git(clone, "checkout", "--quiet", "-B", "request")
    change(clone)
    commit(clone, name)
    found = judge(clone, login)
    assert found.problems == ()
    assert found.id and found.passed


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_requests_are_refused(clone: Path, name: str) -> None:
    login, change, code = HOSTILE[name]
    change(clone)
    if name != "a submodule":
        git(clone, "add", "--all", "--force")
    git(clone, "commit", "--quiet", "--allow-empty", "--message", name)
    found = judge(clone, login)
    assert [p.code for p in found.problems][:1] == [code]
    assert not found.passed
    assert all(p.what.isprintable() and (p.remedy or "and" in p.what) for p in found.problems)


def owned(number: int | None) -> list[Intake]:
    return [Intake(date=date(2026, 1, 1), id="eve-old", login="eve", account=number, new_run=True)]


@pytest.mark.parametrize(
    ("login", "account", "owner", "code"),
    [
        ("eve", 1, 1, None),
        ("eva", 1, 1, None),  # renamed
        ("eve", 9, 1, "OWNER"),  # somebody else has taken the login
        ("keeper", 9, 1, "OWNER"),
        ("eve", 1, None, None),  # a line of before, without a number
        ("eva", 1, None, "OWNER"),
        ("eve", None, 1, None),  # at home, where the number is not given
    ],
)
def test_the_number_of_an_account_decides(
    clone: Path, login: str, account: int | None, owner: int | None, code: str | None
) -> None:
    put("submissions/eve-old.yaml", GOOD + "team: x\n")(clone)
    commit(clone, "a change")
    found = gate.judge(
        clone, "main", "request", login, account=account, intake=owned(owner), maintainers=(5,), today=TODAY
    )
    assert [p.code for p in found.problems] == ([code] if code else [])


def test_quota_follows_the_account(clone: Path) -> None:
    lines = [Intake(date=TODAY, id=f"eve-{k}00", login="eve", account=1, new_run=True) for k in range(3)]
    put("submissions/eva-new.yaml")(clone)
    commit(clone, "under another login")
    said = {n: gate.judge(clone, "main", "request", "eva", account=n, intake=lines, today=TODAY) for n in (1, 2)}
    assert [p.code for p in said[1].problems] == ["QUOTA"] and said[2].passed


@pytest.mark.parametrize("told", ["every commit", "the last commit"])
def test_several_commits_of_a_rebase_merge_are_one_pull_request(clone: Path, told: str) -> None:
    git(clone, "checkout", "--quiet", "main")
    base = git(clone, "rev-parse", "HEAD").strip()
    put("submissions/bob-model.yaml")(clone)
    commit(clone, "Add bob-model")
    put("submissions/bob-model.yaml", GOOD + "license: MIT\n")(clone)
    commit(clone, "Name the licence")
    put("README.md", "and one that touches no submission\n")(clone)
    if told == "every commit":
        commit(clone, "Read me")
    last = git(clone, "rev-parse", "HEAD").strip()
    pull = Pull(1, "PR_1", "bob", last, auto_merge=False, merge_sha=last, merged=True, account=7, base=base)

    def pull_of(sha: str) -> Pull | None:
        ours = git(clone, "rev-list", f"{base}..{last}").split()
        return pull if sha in (ours if told == "every commit" else [last]) else None

    [line] = merged_since(clone, [INTAKE[0].model_copy(update={"commit": base})], pull_of)
    assert (line.id, line.login, line.account, line.new_run, line.commit) == ("bob-model", "bob", 7, True, last)
    assert merged_since(clone, [line], pull_of) == []


def test_what_the_base_has_gained_since_is_not_the_requests(clone: Path) -> None:
    put("submissions/eve-new.yaml")(clone)
    commit(clone, "request")
    git(clone, "checkout", "--quiet", "main")
    put("README.md", "changed since\n")(clone)
    put("submissions/adam-other.yaml")(clone)
    commit(clone, "others")
    assert judge(clone, "eve").passed


def test_an_entry_that_has_changed_meanwhile_must_be_rebased(clone: Path) -> None:
    put("submissions/eve-old.yaml", GOOD + "team: one\n")(clone)
    commit(clone, "request")
    git(clone, "checkout", "--quiet", "main")
    put("submissions/eve-old.yaml", GOOD + "license: MIT\n")(clone)
    commit(clone, "another of hers")
    assert [p.code for p in judge(clone, "eve").problems] == ["STALE"]


def test_the_command_says_it_and_exits(clone: Path, workspace: Workspace) -> None:
    put("submissions/eve-new.yaml")(clone)
    commit(clone, "good")
    arguments = ["gate", "--base", "main", "--head", "request", "--author", "eve", "--clone", str(clone)]
    good = workspace.apb(*arguments, "--json")
    assert good.returncode == 0
    assert json.loads(good.stdout) == {"id": "eve-new", "new": True, "new_run": True, "passed": True, "problems": []}
    put("README.md", "evil")(clone)
    commit(clone, "bad")
    bad = workspace.apb(*arguments)
    assert bad.returncode == 1 and "README.md" in bad.stdout
    assert workspace.apb("gate", "--base", "nowhere", "--author", "eve", "--clone", str(clone)).returncode == 2
    assert workspace.apb("gate", "--base", "--output=x", "--author", "eve", "--clone", str(clone)).returncode == 2
    assert workspace.apb(*arguments[:-4], "--author", "../x", "--clone", str(clone)).returncode == 2


def test_intake_is_read(tmp_path: Path) -> None:
    (tmp_path / "intake.jsonl").write_text("".join(f"{merged.model_dump_json()}\n" for merged in INTAKE))
    assert read_intake(tmp_path / "intake.jsonl") == INTAKE
    assert read_intake(tmp_path / "none") == []
    (tmp_path / "intake.jsonl").write_text("{}\n")
    with pytest.raises(EvaluatorError, match=r"intake\.jsonl"):
        read_intake(tmp_path / "intake.jsonl")


def test_the_houses_own_submissions_have_plain_names() -> None:
    assert all(p.name == p.name.lower() for p in (ROOT / "submissions").glob("*"))
