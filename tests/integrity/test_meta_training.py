"""What few-shot entries were meta-trained on: whether that holds a track's labels, however it is spelt."""

from __future__ import annotations

from typing import Any

import pytest

from evaluator.contract.submissions import FewShotEntry, Submission, parse
from evaluator.contract.tracks import Track, load_all
from evaluator.errors import SubmissionError
from evaluator.integrity.contamination import trained_on
from tests.conftest import ROOT

TRACKS = load_all(ROOT / "test_data" / "tracks")
HELD_OUT = {"BLAT_ECOLX_Jacquier_2013": "BLAT_ECOLX", "DLG4_RAT_McLaughlin_2012": "DLG4_RAT"}


def _proteins(**fields: Any) -> Track:
    """A track of two proteins, as ProteinGym's files give it."""
    landscape = TRACKS["fewshot-cr6261"].model_dump(mode="json")
    one = landscape["few_shot"]["tasks"][0]
    tasks = [
        {**one, "id": name.lower().replace("_", "-"), "title": name, "support": name, "queries": name, "cluster": of}
        for name, of in HELD_OUT.items()
    ]
    landscape |= {
        "id": "fewshot-proteingym",
        "same_labels": ["proteingym", "dms-substitutions", "dms-proteingym-substitutions"],
        "related_assays": {"DLG4_HUMAN_Faure_2021": 0.99, "BRCA1_HUMAN_Findlay_2018": 0.2, "GFP_X_Y_2022": 0.89},
        "few_shot": {**landscape["few_shot"], "tasks": tasks},
    }
    return Track.model_validate({**landscape, **fields})


PROTEINS = _proteins()


def seen(track: Track, *meta_training: str) -> str:
    few_shot = FewShotEntry(meta_training=meta_training)
    mine = Submission(id="x", name="x", docker_image="a/b:1", author="a", training_data=("none",), few_shot=few_shot)
    return trained_on(mine, track)


@pytest.mark.parametrize(
    "declared",
    [
        "ProteinGym",
        "ProteinGym v1.1, 113 assays",
        "DMS_substitutions",
        "DMS_ProteinGym_substitutions.csv",
        "BLAT_ECOLX_Jacquier_2013",
        "BLAT_ECOLX_Jacquier_2013.csv",
        "blat-ecolx-jacquier-2013",
        "BLAT_ECOLX_Firnberg_2014",
        "dms/BLAT_ECOLX_Deng_2012.csv.gz",
        "BLAT_ECOLX",
        "DLG4_HUMAN_Faure_2021",
        "dlg4_human_faure_2021.csv",
        "fewshot-proteingym",
    ],
)
def test_an_assay_of_a_tasks_protein_or_of_a_near_one_has_its_labels(declared: str) -> None:
    assert seen(PROTEINS, "synthetic", declared) == "yes"


@pytest.mark.parametrize(
    ("declared", "outcome"),
    [
        ("BRCA1_HUMAN_Findlay_2018", "no"),
        ("GFP_X_Y_2022.csv", "no"),
        ("jain-psr", "no"),
        ("fewshot-cr6261", "no"),
        ("synthetic", "no"),
        ("NEW_HUMAN_Nobody_2030", "unknown"),
        ("in-house scans", "unknown"),
        ("a part of ProteinGym", "unknown"),
        ("private", "unknown"),
        ("蛋白質", "unknown"),
    ],
)
def test_what_nobody_held_against_a_track_is_unknown(declared: str, outcome: str) -> None:
    assert seen(PROTEINS, declared) == outcome


def test_without_identities_every_other_assay_is_unknown() -> None:
    without = _proteins(related_assays={})
    assert seen(without, "BRCA1_HUMAN_Findlay_2018") == "unknown"
    assert seen(without, "BLAT_ECOLX_Firnberg_2014") == "yes"


@pytest.mark.parametrize(
    "declared",
    ["CR6261", "Phillips 2021", "CR6261 H1 Phillips 2021", "cr6261_h1.csv", "phillips2021binding_cr6261_h1_kd", "FLAb"],
)
def test_a_landscape_is_known_by_its_antibody_and_by_its_authors(declared: str) -> None:
    assert seen(TRACKS["fewshot-cr6261"], declared) == "yes"
    assert seen(TRACKS["fewshot-poly"], declared) == ("yes" if declared == "FLAb" else "no")


@pytest.mark.parametrize("track", ["fewshot-poly", "fewshot-cr6261", "jain137"])
@pytest.mark.parametrize(
    ("declared", "outcome"),
    [
        ("ProteinGym", "no"),
        ("BRCA1_HUMAN_Findlay_2018", "no"),
        ("synthetic", "no"),
        ("none", "no"),
        ("undisclosed", "undisclosed"),
        ("clinical antibodies of our own", "unknown"),
        ("AB_PANEL_cr6261_jain_2017", "unknown"),
    ],
)
def test_on_antibodies_an_assay_of_a_protein_is_known_and_another_name_is_not(
    declared: str, outcome: str, track: str
) -> None:
    assert seen(TRACKS[track], declared) == outcome


def test_silence_is_undisclosed_and_an_empty_list_says_that_there_was_nothing() -> None:
    head = "name: x\ndocker_image: docker.io/a/b:1\nauthor: a\ntraining_data: [none]\n"
    for written, meta_training, outcome in (
        ("few_shot: {mode: inductive}\n", ("undisclosed",), "undisclosed"),
        ("few_shot:\n  mode: inductive\n  meta_training:\n", ("undisclosed",), "undisclosed"),
        ("few_shot: {meta_training: []}\n", (), "no"),
    ):
        found = parse((head + written).encode(), "my-model")
        assert found.few_shot is not None and found.few_shot.meta_training == meta_training
        assert trained_on(found, TRACKS["fewshot-poly"]) == outcome
    assert trained_on(parse(head.encode(), "my-model"), TRACKS["fewshot-poly"]) == "no"
    with pytest.raises(SubmissionError, match="beside other sets"):
        parse((head + "few_shot: {meta_training: [none, synthetic]}\n").encode(), "my-model")


def test_what_the_benchmarks_own_entries_were_meta_trained_on_is_known_and_holds_no_labels() -> None:
    own = [parse(p.read_bytes(), p.stem) for p in sorted((ROOT / "submissions").glob("*.yaml"))]
    few = [entry for entry in own if entry.few_shot]
    assert len(few) >= 6
    for entry in few:
        expected = "undisclosed" if "undisclosed" in entry.training_data else "no"  # of the language model under it
        assert {trained_on(entry, TRACKS[t]) for t in ("fewshot-poly", "fewshot-cr6261")} == {expected}, entry.id
