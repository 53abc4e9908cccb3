"""Every metric against scikit-learn and SciPy, and against the reference values of real predictions."""

from __future__ import annotations

import json
import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as sk

from evaluator.contract.task_types import FEW_SHOT_METRICS, METRICS
from evaluator.scoring.curves import coarse
from evaluator.scoring.curves import full as curves
from evaluator.scoring.files import score_files
from evaluator.scoring.metrics import COMPUTE, Scores, score
from evaluator.scoring.scored import Scored
from tests.conftest import REAL_DATA

DATA = REAL_DATA
TOLERANCE = 1e-12

Floats = npt.NDArray[np.float64]
Classes = npt.NDArray[np.int8]
Table = tuple[Classes, Classes, Floats]
"""True classes, predicted classes, scores."""

CLASSIFICATION: dict[str, Callable[[Classes, Classes, Floats], float]] = {
    "roc_auc": lambda y, _, s: sk.roc_auc_score(y, s),
    "average_precision": lambda y, _, s: sk.average_precision_score(y, s),
    "mcc": lambda y, p, _: sk.matthews_corrcoef(y, p),
    "balanced_accuracy": lambda y, p, _: sk.balanced_accuracy_score(y, p),
    "accuracy": lambda y, p, _: sk.accuracy_score(y, p),
    "precision": lambda y, p, _: sk.precision_score(y, p),
    "recall": lambda y, p, _: sk.recall_score(y, p),
    "specificity": lambda y, p, _: sk.recall_score(y, p, pos_label=0),
    "f1": lambda y, p, _: sk.f1_score(y, p),
    "brier": lambda y, _, s: sk.mean_squared_error(y, s),
}

UNDEFINED: dict[str, Callable[[Classes, Classes], bool]] = {
    "roc_auc": lambda y, _: len(set(y.tolist())) < 2,
    "average_precision": lambda y, _: not y.any(),
    "mcc": lambda y, _: len(set(y.tolist())) < 2,
    "balanced_accuracy": lambda y, _: len(set(y.tolist())) < 2,
    "accuracy": lambda _, __: False,
    "precision": lambda _, p: not p.any(),
    "recall": lambda y, _: not y.any(),
    "specificity": lambda y, _: bool(y.all()),
    "f1": lambda y, p: not y.any() and not p.any(),
    "brier": lambda _, __: False,
}


def classes(*values: int) -> Classes:
    return np.array(values, dtype=np.int8)


def floats(*values: float) -> Floats:
    return np.array(values, dtype=np.float64)


def value(scores: Scores, name: str) -> float:
    found = scores.metrics[name].value
    assert found is not None
    return found


# --- against the oracles ---------------------------------------------------------------------------------------------

SCORES = st.one_of(
    st.just(st.floats(0, 1)),
    st.just(st.sampled_from([0.0, -0.0, 0.25, 0.5, 1.0])),  # ties
    st.just(st.sampled_from([0.5, math.nextafter(0.5, 1), math.nextafter(0.5, 0), 5e-324, 0.0])),  # no ties, but nearly
    st.floats(0, 1).map(st.just),  # constant
)


@st.composite
def tables(draw: st.DrawFn) -> Table:
    n = draw(st.integers(1, 60))
    truth = draw(st.lists(st.integers(0, 1), min_size=n, max_size=n))
    if draw(st.booleans()):  # at most one positive or one negative
        truth = [draw(st.integers(0, 1))] * n
        truth[draw(st.integers(0, n - 1))] ^= draw(st.integers(0, 1))
    prediction = draw(st.lists(st.integers(0, 1), min_size=n, max_size=n) | st.integers(0, 1).map(lambda c: [c] * n))
    scores = draw(st.lists(draw(SCORES), min_size=n, max_size=n))
    return classes(*truth), classes(*prediction), floats(*scores)


@settings(deadline=None, max_examples=400)
@given(tables())
@example((classes(0, 1), classes(0, 1), floats(0, 1)))
@example((classes(0, 1), classes(1, 0), floats(0.5, 0.5)))
@example((classes(1), classes(0), floats(0.3)))
@example((classes(*[0] * 199, 1), classes(*[0] * 200), floats(*np.linspace(0, 1, 200))))
def test_classification_metrics_equal_scikit_learn(table: Table) -> None:
    truth, prediction, scores = table
    found = score(truth, scores, prediction)
    assert set(found.metrics) == set(CLASSIFICATION)
    for name, estimate in found.metrics.items():
        if UNDEFINED[name](truth, prediction):
            assert (estimate.value, estimate.low, estimate.high) == (None, None, None), name
            assert estimate.reason, name
        else:
            assert estimate.value == pytest.approx(
                CLASSIFICATION[name](truth, prediction, scores), rel=0, abs=TOLERANCE
            )
            assert estimate.reason is None, name


@settings(deadline=None, max_examples=100)
@given(tables())
def test_confusion_equals_scikit_learn(table: Table) -> None:
    truth, prediction, scores = table
    found = score(truth, scores, prediction)
    assert found.confusion is not None
    c = found.confusion
    assert [c.tn, c.fp, c.fn, c.tp] == sk.confusion_matrix(truth, prediction, labels=[0, 1]).ravel().tolist()
    assert c.n == found.n == len(truth)


TARGETS = st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from([-1.0, 0.0, -0.0, 0.5, 2.0])


@settings(deadline=None, max_examples=300)
@given(st.lists(st.tuples(TARGETS, TARGETS), min_size=1, max_size=50))
@example([(1.0, 2.0), (2.0, 3.0)])
@example([(1.0, 3.0), (2.0, 2.0)])
@example([(1.0, 1.0), (2.0, 1.0)])
@example([(0.0, 1.0), (-0.0, 2.0), (1.0, 3.0)])
def test_spearman_equals_scipy(pairs: list[tuple[float, float]]) -> None:
    truth, scores = floats(*(t for t, _ in pairs)), floats(*(s for _, s in pairs))
    found = score(truth, scores, None)
    assert set(found.metrics) == {"spearman"}
    assert found.confusion is None
    estimate = found.metrics["spearman"]
    if len(set(truth.tolist())) < 2 or len(set(scores.tolist())) < 2:
        assert estimate.value is None
        assert estimate.reason
    else:
        correlation = value(found, "spearman")
        assert correlation == pytest.approx(stats.spearmanr(truth, scores).statistic, rel=0, abs=TOLERANCE)
        assert -1 <= correlation <= 1


def test_large_counts_do_not_overflow() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 400_000).astype(np.int8)
    prediction = (truth ^ (rng.random(len(truth)) < 0.3)).astype(np.int8)
    scores = np.round((rng.random(len(truth)) + truth) / 2, 3)
    found = score(truth, scores, prediction)
    for name, oracle in CLASSIFICATION.items():
        assert value(found, name) == pytest.approx(oracle(truth, prediction, scores), rel=0, abs=TOLERANCE), name


# --- documented conventions ------------------------------------------------------------------------------------------


def test_every_metric_is_documented_and_titled() -> None:
    assert set(METRICS) == {*CLASSIFICATION, "spearman", *FEW_SHOT_METRICS}
    assert all(compute.__doc__ and METRICS[name].title for name, compute in COMPUTE.items())
    assert [name for name, metric in METRICS.items() if not metric.higher_is_better] == ["brier"]


def test_perfect_and_inverted_predictions() -> None:
    truth = classes(0, 1, 0, 1)
    perfect = score(truth, floats(0, 1, 0, 1), truth)
    inverted = score(truth, floats(1, 0, 1, 0), classes(1, 0, 1, 0))
    higher = [name for name in CLASSIFICATION if name != "brier"]
    assert [value(perfect, name) for name in higher] == [1] * len(higher)
    assert (value(perfect, "brier"), value(inverted, "brier")) == (0, 1)
    assert (value(inverted, "mcc"), value(inverted, "roc_auc"), value(inverted, "f1")) == (-1, 0, 0)


def test_constant_scores_rank_at_chance() -> None:
    found = score(classes(0, 0, 0, 1), floats(*[0.7] * 4), classes(1, 1, 1, 1))
    assert value(found, "roc_auc") == 0.5
    assert value(found, "average_precision") == 0.25


@pytest.mark.parametrize("predicted", [0, 1])
def test_mcc_of_one_predicted_class_is_zero(predicted: int) -> None:
    found = score(classes(0, 1, 1), floats(0.1, 0.2, 0.3), classes(*[predicted] * 3))
    assert value(found, "mcc") == 0
    assert value(found, "balanced_accuracy") == 0.5


@pytest.mark.parametrize(
    ("name", "truth", "prediction", "reason"),
    [
        ("roc_auc", 1, 1, "one class"),
        ("roc_auc", 0, 0, "one class"),
        ("mcc", 1, 1, "one class"),
        ("balanced_accuracy", 0, 1, "one class"),
        ("average_precision", 0, 1, "no row is positive"),
        ("recall", 0, 1, "no row is positive"),
        ("specificity", 1, 1, "no row is negative"),
        ("precision", 1, 0, "predicted positive"),
        ("f1", 0, 0, "predicted positive"),
    ],
)
def test_undefined_value_says_why(name: str, truth: int, prediction: int, reason: str) -> None:
    estimate = score(classes(truth, truth), floats(0.2, 0.4), classes(prediction, prediction)).metrics[name]
    assert estimate.value is None
    assert estimate.reason is not None
    assert reason in estimate.reason


@pytest.mark.parametrize(
    ("truth", "scores"), [(floats(1), floats(2)), (floats(1, 1), floats(1, 2)), (floats(1, 2), floats(3, 3))]
)
def test_undefined_spearman_says_why(truth: Floats, scores: Floats) -> None:
    estimate = score(truth, scores, None).metrics["spearman"]
    assert estimate.value is None
    assert estimate.reason


def test_without_rows_every_value_is_undefined() -> None:
    for scores in (score(classes(), floats(), classes()), score(floats(), floats(), None)):
        assert scores.n == 0
        assert {name: e.value for name, e in scores.metrics.items() if e.value is not None} == {}
        assert all(e.reason for e in scores.metrics.values())


@settings(deadline=None, max_examples=50)
@given(tables())
def test_json_has_every_metric_and_no_nan(table: Table) -> None:
    truth, prediction, scores = table
    record = json.loads(json.dumps(score(truth, scores, prediction).as_json(), allow_nan=False))
    assert record["n"] == len(truth)
    assert sum(record["confusion"].values()) == len(truth)
    assert set(record["metrics"]) == set(CLASSIFICATION)
    for estimate in record["metrics"].values():
        assert {"value", "low", "high"} <= set(estimate)
        assert ("reason" in estimate) == (estimate["value"] is None)


# --- real predictions ------------------------------------------------------------------------------------------------

REAL = {
    "jain_esm1v": ("reference/jain_esm1v.csv", "hidden/jain/labels.csv"),
    "shehata_esm1v": ("reference/shehata_esm1v.csv", "hidden/shehata/labels.csv"),
    "harvey_esm1v": ("reference/harvey_esm1v.csv.gz", "reference/harvey_labels.csv.gz"),
    "vhh48_onehot": ("reference/vhh48_onehot.csv", "hidden/vhh48/labels.csv"),
}


@pytest.mark.skipif(not DATA.is_dir(), reason="the real data are not at hand")
@pytest.mark.parametrize("name", REAL)
def test_real_predictions_have_the_reference_values(name: str) -> None:
    expected: dict[str, float] = json.loads((DATA / "reference" / "expected.json").read_text())[name]
    predictions_file, labels_file = REAL[name]
    scores, table = score_files(DATA / predictions_file, DATA / labels_file)
    assert table.notes == ()
    found: dict[str, float] = {"n": scores.n, **{metric: value(scores, metric) for metric in scores.metrics}}
    if scores.confusion:
        found |= {cell: getattr(scores.confusion, cell) for cell in ("tn", "fp", "fn", "tp")}
    assert found.keys() == expected.keys()
    assert found == pytest.approx(expected, rel=0, abs=TOLERANCE)


# --- curves ----------------------------------------------------------------------------------------------------------


def curve_table(n: int, levels: int, seed: int) -> Scored:
    """n rows of both classes with at most `levels` distinct scores."""
    rng = np.random.default_rng(seed)
    truth = (np.arange(n) % 3 == 0).astype(np.int8)
    return Scored(truth, rng.integers(0, levels, n) / levels, truth)


@settings(deadline=None, max_examples=200)
@given(st.integers(2, 80), st.integers(1, 100), st.integers(0, 1000), st.integers(2, 40))
@example(80, 100, 0, 2)
def test_curves_rise_from_the_origin_to_the_corner(n: int, levels: int, seed: int, points: int) -> None:
    x = curve_table(n, levels, seed)
    found = curves(x, points)
    assert found is not None
    fpr, tpr = found["roc"]["fpr"], found["roc"]["tpr"]
    recall, precision = found["pr"]["recall"], found["pr"]["precision"]
    assert fpr == sorted(fpr)
    assert tpr == sorted(tpr)
    assert recall == sorted(recall)
    assert (fpr[0], tpr[0], fpr[-1], tpr[-1]) == (0, 0, 1, 1)
    assert (recall[0], recall[-1]) == (0, 1)
    assert precision[-1] == pytest.approx(float(np.mean(x.truth)), abs=1e-5)
    assert all(0 <= p <= 1 for p in precision)
    full = sk.roc_curve(x.truth, x.score, drop_intermediate=False)
    vertices = {(round(float(f), 5), round(float(t), 5)) for f, t in zip(full[0], full[1], strict=True)}
    assert set(zip(fpr, tpr, strict=True)) <= vertices


@settings(deadline=None, max_examples=100)
@given(st.integers(2, 80), st.integers(1, 100), st.integers(0, 1000), st.integers(2, 40))
@example(80, 100, 0, 2)
def test_curves_have_at_most_the_points_asked_for(n: int, levels: int, seed: int, points: int) -> None:
    found = curves(curve_table(n, levels, seed), points)
    assert found is not None
    assert all(2 <= len(axis) <= points for curve in found.values() for axis in curve.values())
    assert len(found["roc"]["fpr"]) == len(found["roc"]["tpr"])
    assert len(found["pr"]["recall"]) == len(found["pr"]["precision"])


@settings(deadline=None, max_examples=50)
@given(st.integers(2, 80), st.integers(1, 100), st.integers(0, 1000))
def test_full_curve_has_the_area_that_is_reported(n: int, levels: int, seed: int) -> None:
    x = curve_table(n, levels, seed)
    found = curves(x, 1000)
    assert found is not None
    area = sk.auc(found["roc"]["fpr"], found["roc"]["tpr"])
    assert area == pytest.approx(COMPUTE["roc_auc"](x).value, abs=1e-4)


@pytest.mark.parametrize("only", [0, 1])
def test_one_class_has_no_curves(only: int) -> None:
    assert curves(Scored(classes(only, only), floats(0.1, 0.9), classes(0, 1)), 10) is None


def test_coarse_curves_stand_on_a_fixed_grid() -> None:
    x = curve_table(80, 60, 7)
    found = coarse(x)
    assert found is not None
    assert found["roc"]["fpr"] == found["pr"]["recall"] == [i / 10 for i in range(11)]
    fine = curves(x, 1000)
    assert fine is not None
    expected = np.interp(found["roc"]["fpr"], fine["roc"]["fpr"], fine["roc"]["tpr"])
    assert np.abs(np.array(found["roc"]["tpr"]) - expected)[1:].max() < 0.05
    assert all(value == round(value, 3) for curve in found.values() for values in curve.values() for value in values)
