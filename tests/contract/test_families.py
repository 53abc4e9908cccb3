"""Families: by the rule, and the same whatever the order of the rows."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import pdist, squareform

from baselines.training.synthetic import nanobodies
from evaluator.contract import families, tables
from evaluator.contract.arrays import IntArray
from evaluator.contract.identity import cdr_h3
from evaluator.contract.linkage import complete_linkage
from evaluator.contract.tracks import FORMER_RULES
from evaluator.integrity.findings import Family
from tests.conftest import REAL_DATA, Workspace
from tests.integrity.test_overlap import identity, in_one_line

real_data = pytest.mark.skipif(not REAL_DATA.is_dir(), reason="the real data are not at hand")


def groups(found: IntArray) -> set[frozenset[int]]:
    members = defaultdict(list)
    for row, family in enumerate(found.tolist()):
        members[family].append(row)
    return {frozenset(rows) for rows in members.values()}


@pytest.mark.parametrize("seed", range(40))
def test_complete_linkage_is_scipys(seed: int) -> None:
    rng = np.random.default_rng(seed)
    far = pdist(rng.random((int(rng.integers(2, 40)), 3)))  # no ties, which scipy breaks by the order of rows
    limit = float(rng.uniform(0, 1.2))
    found = complete_linkage(squareform(far), limit)
    assert groups(found) == groups(fcluster(linkage(far, "complete"), limit, "distance"))


@given(st.lists(st.text("AC", min_size=4, max_size=6), min_size=1, max_size=12, unique=True))
def test_with_ties_any_two_of_a_family_are_near_and_no_two_families_could_be_one(words: list[str]) -> None:
    far = np.array([[1 - identity(a, b) for b in words] for a in words])
    found = groups(complete_linkage(far.copy(), 0.34))
    assert all(far[a, b] <= 0.34 for one in found for a, b in combinations(one, 2))
    assert all(max(far[a, b] for a in one for b in other) > 0.34 for one, other in combinations(found, 2))


def test_the_limit_itself_is_within() -> None:
    heavy = "ACDEFGHIKLMNPQRSTVWY" * 6
    twelve, thirteen = "W" * 12 + heavy[12:], "W" * 13 + heavy[13:]
    assert families.families([heavy, twelve])[1].tolist() == [0, 0]  # 12 edits of 120
    assert families.families([heavy, thirteen])[1].tolist() == [0, 1]


@pytest.mark.parametrize("rule", [families.by_identity, families.by_loop])
def test_families_do_not_depend_on_the_order_of_rows(rule: object, monkeypatch: pytest.MonkeyPatch) -> None:
    if rule is families.by_loop:
        monkeypatch.setattr(families, "LIBRARY_ROWS", 10)
    rng = random.Random(3)
    heavy = list(nanobodies(60, 5)["sequence"])
    heavy += ["".join(c if rng.random() > 0.04 else rng.choice("ACDY") for c in one) for one in heavy * 3]
    names = families.families(heavy)[1]
    assert len(set(names.tolist())) < len(heavy)
    for _ in range(4):
        order = rng.sample(range(len(heavy)), len(heavy))
        again = families.families([heavy[k] for k in order])[1]
        assert again.tolist() == names[order].tolist()


def test_a_library_is_sorted_by_its_loops() -> None:
    heavy = [one[:95] + "YC" + loop + "WGQGTQVTVSS" for one in list(nanobodies(5, 2)["sequence"])
             for loop in ("AADYY", "AADFY", "AAEFY", "AAEFYY", "GGGGG", "GGGHH")]  # fmt: skip
    made = sorted(set(heavy))
    found = groups(families.by_loop(made))
    loops = {frozenset(cdr_h3(made[k]) for k in one) for one in found}
    assert loops == {frozenset(["AADYY", "AADFY", "AAEFY"]), *(frozenset([x]) for x in ("AAEFYY", "GGGGG", "GGGHH"))}


def test_loops_that_hold_the_motif_of_framework_4_are_compared_to_their_end() -> None:
    front = "EVQLLESGGGLVQPGGSLRLSCAASGFTFSSYAMSWVRQAPGKGLEWVSAISGSGGSTYYADSVKGRFTISRDNSKNTLYLQMNSLRAEDTAVYYC"
    made = [f"{front}ATDWNFGRWYTLGVEMDYWGQGTQVTVSS", f"{front}ATDWTYGSSWWYWGQGTQVTVSS"]
    assert families.by_loop(made).tolist() == [0, 1]


def test_a_track_that_names_a_rule_of_before_is_told_which_one_to_write(workspace: Workspace) -> None:
    assert set(FORMER_RULES.values()) <= set(families.RULES) and not set(FORMER_RULES) & set(families.RULES)
    path = workspace.root / "test_data" / "tracks" / "harvey.yaml"
    path.write_text(path.read_text().replace("cdr-h3-one-substitution v2", "cdr-h3-one-substitution v1"))
    done = workspace.apb("families", "smoke", "--hidden", "test_data")
    assert done.returncode == 3 and "write 'cdr-h3-one-substitution v2'" in done.stderr and in_one_line(done)


def test_loops_are_joined_as_by_comparing_all_pairs() -> None:
    rng = random.Random(4)
    front = "EVQLLESGGGLVQPGGSLRLSCAASGFTFSSYAMSWVRQAPGKGLEWVSAISGSGGSTYYADSVKGRFTISRDNSKNTLYLQMNSLRAEDTAVYYC"
    made = sorted({front + "".join(rng.choices("AY", k=rng.randint(6, 9))) + "WGQG" for _ in range(60)} | {front})
    parent = {k: {k} for k in range(len(made))}
    for a, b in combinations(range(len(made)), 2):
        x, y = cdr_h3(made[a]), cdr_h3(made[b])
        if x and y and len(x) == len(y) and sum(p != q for p, q in zip(x, y, strict=True)) <= 1:
            joined = parent[a] | parent[b]
            parent.update(dict.fromkeys(joined, joined))
    assert groups(families.by_loop(made)) == {frozenset(one) for one in parent.values()}


def test_a_library_of_many_rows_takes_little_time() -> None:
    heavy = list(nanobodies(8_000, 1)["sequence"])
    rule, found = families.families(heavy)
    assert rule is families.LIBRARY and len(found) == 8_000


@real_data
@pytest.mark.parametrize(("track", "count", "largest"), [("jain", 85, 2), ("shehata", 379, 3), ("vhh48", 45, 2)])
def test_families_of_the_real_panels(track: str, count: int, largest: int) -> None:
    heavy = tables.read_csv(REAL_DATA / "hidden" / track / "sequences.csv")["sequence"]
    found = Family.of(*families.families(heavy))
    assert (found.rule, found.count, found.largest) == ("vh-complete-linkage-0.90 v1", count, largest)


def test_the_command_writes_a_column(workspace: Workspace) -> None:
    done = workspace.apb("families", "smoke", "--hidden", "test_data", "--out", "families.csv", "--json")
    assert done.returncode == 0, done.stderr
    table = tables.read_csv(workspace.root / "families.csv")
    own = tables.read_csv(workspace.root / "test_data/smoke/sequences.csv")
    assert table["sequence_id"] == own["sequence_id"]
    told = json.loads(done.stdout)
    assert told["count"] == len(set(table["family"])) == tables.family_column(table, Path("x")).max() + 1
    assert "vh-complete-linkage-0.90 v1: Complete" in workspace.apb("families", "smoke", "--hidden", "test_data").stdout


@pytest.mark.parametrize("arguments", ["nosuch --hidden test_data", "jain --hidden test_data", "smoke"])
def test_wrong_use_is_told(workspace: Workspace, arguments: str) -> None:
    done = workspace.apb("families", *arguments.split())
    assert done.returncode == 2 and in_one_line(done), done.stderr
